/// A place in one change log: everything before it has been read, applied or stored, depending on whose cursor it is.
///
/// Always lies between two records. `commitLSN` and `ordinal` say the same place in the source's terms: the transaction
/// that the cursor is in or behind, and how many of its changes lie before the cursor.
package struct Cursor: Hashable, Comparable, Sendable {
    /// Which log: a number drawn when the log was created. Cursors of different logs cannot be compared in order.
    package var logID: UInt64
    /// Bytes of log before this place, counted over all segments ever written.
    package var offset: UInt64
    package var commitLSN: LSN
    package var ordinal: UInt64

    package init(logID: UInt64, offset: UInt64, commitLSN: LSN, ordinal: UInt64) {
        self.logID = logID
        self.offset = offset
        self.commitLSN = commitLSN
        self.ordinal = ordinal
    }

    @inlinable
    package static func < (left: Cursor, right: Cursor) -> Bool {
        left.offset < right.offset
    }
}

extension Cursor: CustomStringConvertible {
    /// `<log id>@<offset>@<commit LSN>:<ordinal>`, e.g. `9f03c2d1a4b5e677@81920@0/16B3748:12`; `init?(_:)` reads it back.
    package var description: String {
        "\(String(logID, radix: 16))@\(offset)@\(commitLSN):\(ordinal)"
    }

    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 3, let logID = UInt64(parts[0], radix: 16), let offset = UInt64(parts[1]) else {
            return nil
        }
        let position = parts[2].split(separator: ":", omittingEmptySubsequences: false)
        guard position.count == 2, let lsn = LSN(position[0]), let ordinal = UInt64(position[1]) else { return nil }
        self.init(logID: logID, offset: offset, commitLSN: lsn, ordinal: ordinal)
    }
}
