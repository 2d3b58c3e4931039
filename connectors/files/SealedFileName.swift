package import MillraceCore

/// The name of a finished file. Names of one source sort in the order of its log, and say what is in the file:
///
///     <prefix>-<sequence>-<start>-<end>_<first LSN>-<first ordinal>_<LSN>-<ordinal>_<commit end>_<log id>.jsonl
///
/// The newest name is the sink's cursor: the file appears with it by one rename, so that data and cursor cannot part.
package struct SealedFileName: Hashable, Sendable {
    /// Topic prefix of the source.
    package var prefix: String
    /// Counts the change logs that were read into this directory: a source that was reset begins a new one.
    package var sequence: UInt32
    /// Place in the log where the file begins; it ends at `cursor`.
    package var startOffset: UInt64
    /// Commit LSN and ordinal of the first change in the file.
    package var firstLSN: LSN
    package var firstOrdinal: UInt64
    /// Behind the last change in the file.
    package var cursor: Cursor
    /// End of the last commit before `cursor`; zero where it is not known.
    package var lastCommitEnd: LSN

    package init(
        prefix: String, sequence: UInt32, startOffset: UInt64, firstLSN: LSN, firstOrdinal: UInt64, cursor: Cursor,
        lastCommitEnd: LSN
    ) {
        self.prefix = prefix
        self.sequence = sequence
        self.startOffset = startOffset
        self.firstLSN = firstLSN
        self.firstOrdinal = firstOrdinal
        self.cursor = cursor
        self.lastCommitEnd = lastCommitEnd
    }

    /// `pathExtension` without the dot.
    package func text(_ pathExtension: String) -> String {
        PathText.encode(prefix) + "-" + PathText.decimal(UInt64(sequence), 6)
            + "-" + PathText.hex(startOffset) + "-" + PathText.hex(cursor.offset)
            + "_" + PathText.hex(firstLSN.value) + "-" + PathText.decimal(firstOrdinal, 12)
            + "_" + PathText.hex(cursor.commitLSN.value) + "-" + PathText.decimal(cursor.ordinal, 12)
            + "_" + PathText.hex(lastCommitEnd.value) + "_" + PathText.hex(cursor.logID) + "." + pathExtension
    }

    /// Length of everything but the prefix, the extension included.
    package static let fixedLength = 160

    /// Nil: no name of ours, or of another source.
    package init?(_ text: String, prefix: String, pathExtension: String) {
        let start = PathText.encode(prefix) + "-"
        let end = "." + pathExtension
        guard text.hasPrefix(start), text.hasSuffix(end), text.count > start.count + end.count else { return nil }
        let middle = text.dropFirst(start.count).dropLast(end.count)
        let parts = middle.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 5 else { return nil }
        let places = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard places.count == 3, let sequence = UInt32(places[0]), let startOffset = UInt64(places[1], radix: 16),
            let endOffset = UInt64(places[2], radix: 16), let first = Self.position(parts[1]),
            let last = Self.position(parts[2]), let lastCommitEnd = UInt64(parts[3], radix: 16),
            let logID = UInt64(parts[4], radix: 16)
        else { return nil }
        self.init(
            prefix: prefix, sequence: sequence, startOffset: startOffset, firstLSN: first.0, firstOrdinal: first.1,
            cursor: Cursor(logID: logID, offset: endOffset, commitLSN: last.0, ordinal: last.1),
            lastCommitEnd: LSN(lastCommitEnd))
    }

    private static func position(_ text: Substring) -> (LSN, UInt64)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let lsn = UInt64(parts[0], radix: 16), let ordinal = UInt64(parts[1]) else {
            return nil
        }
        return (LSN(lsn), ordinal)
    }
}

enum PathText {
    /// Letters, digits, `_`, `-` and `.` as they are, everything else as `%XX`, so that no name of a table can leave its
    /// directory. A name of dots alone would be a directory of its own kind: its dots are encoded.
    static func encode(_ name: String) -> String {
        let isDots = name.utf8.allSatisfy { $0 == 0x2E }
        var text = ""
        for byte in name.utf8 {
            let isPlain =
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
                case 0x2E: !isDots
                default: false
                }
            text += isPlain ? String(UnicodeScalar(byte)) : "%" + hexByte(byte)
        }
        return text
    }

    private static func hexByte(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16, uppercase: true)
        return text.count == 1 ? "0" + text : text
    }

    static func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    static func decimal(_ value: UInt64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}
