/// A position in the write-ahead log of the source, as PostgreSQL numbers it (`pg_lsn`).
///
/// Written `16/B374D848`: the high and the low 32 bits in hexadecimal.
package struct LSN: Hashable, Comparable, Sendable {
    package var value: UInt64

    @inlinable
    package init(_ value: UInt64) {
        self.value = value
    }

    /// PostgreSQL's `InvalidXLogRecPtr`: before everything.
    package static let zero = LSN(0)

    @inlinable
    package static func < (left: LSN, right: LSN) -> Bool {
        left.value < right.value
    }

    /// Reads `16/B374D848`; nil where the text is anything else.
    package init?(_ text: some StringProtocol) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2,
            (1...8).contains(halves[0].utf8.count), (1...8).contains(halves[1].utf8.count),
            let high = UInt32(halves[0], radix: 16), let low = UInt32(halves[1], radix: 16)
        else { return nil }
        self.value = UInt64(high) << 32 | UInt64(low)
    }
}

extension LSN: CustomStringConvertible {
    package var description: String {
        String(value >> 32, radix: 16, uppercase: true) + "/" + String(value & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }
}
