package import MillraceCore

/// The changes of one transaction whose end is not known yet: in memory while it is small, then in a file that becomes
/// a segment of the log when the transaction commits.
// SAFETY: placeholder.
package final class LogSpool<Storage: LogStorage>: TransactionSpool, @unchecked Sendable {
    package private(set) var byteCount: UInt64 = 0
    package private(set) var changeCount: UInt64 = 0

    init() {}

    package func append(_ buffer: RecordBuffer) throws(ConnectorError) {}
    package func mark() throws(ConnectorError) -> SpoolMark {
        SpoolMark(byteCount: byteCount, changeCount: changeCount)
    }
    package func truncate(to mark: SpoolMark) throws(ConnectorError) {}
    package func discard() {}
}
