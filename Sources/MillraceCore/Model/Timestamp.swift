/// A point in time as PostgreSQL counts it: microseconds since 2000-01-01 00:00:00 UTC.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var microsecondsSince2000: Int64

    @inlinable
    package init(microsecondsSince2000: Int64) {
        self.microsecondsSince2000 = microsecondsSince2000
    }

    /// Seconds from the Unix epoch to 2000-01-01 (`POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE` days, timestamp.h).
    package static let unixEpochOffsetSeconds: Int64 = 946_684_800

    /// Microseconds since 1970-01-01; saturates instead of trapping on what came from outside.
    package var microsecondsSince1970: Int64 {
        let (sum, overflow) = microsecondsSince2000.addingReportingOverflow(Self.unixEpochOffsetSeconds * 1_000_000)
        return overflow ? .max : sum
    }

    package init(microsecondsSince1970: Int64) {
        self.microsecondsSince2000 = microsecondsSince1970 &- Self.unixEpochOffsetSeconds * 1_000_000
    }

    @inlinable
    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microsecondsSince2000 < right.microsecondsSince2000
    }
}
