import MillraceCore

/// A spool of the log that leaves the disk's reserve alone and says when it cannot grow: the transaction comes again with
/// the next connection, but somebody must hear why it does not get through.
final class WatchedSpool: TransactionSpool {
    let spool: any TransactionSpool
    private let writer: LogWriter

    init(_ spool: any TransactionSpool, _ writer: LogWriter) {
        self.spool = spool
        self.writer = writer
    }

    var byteCount: UInt64 { spool.byteCount }
    var changeCount: UInt64 { spool.changeCount }

    func append(_ buffer: RecordBuffer) throws(ConnectorError) {
        try writer.requireRoom(for: buffer.count)
        do {
            try spool.append(buffer)
        } catch {
            throw writer.noteSpoolFailure(error)
        }
    }

    func mark() throws(ConnectorError) -> SpoolMark { try spool.mark() }

    func truncate(to mark: SpoolMark) throws(ConnectorError) { try spool.truncate(to: mark) }

    func discard() { spool.discard() }
}

extension LogWriter {
    /// Throws where so many bytes more would touch what the catalog needs of the disk.
    fileprivate func requireRoom(for byteCount: Int) throws(ConnectorError) {
        guard log.lacksRoom(for: byteCount) else { return }
        onPressure()
        guard log.lacksRoom(for: byteCount) else { return }
        throw noteSpoolFailure(LogTrouble.noSpace("a transaction's spool", byteCount: log.byteCount))
    }

    /// The stall ends with the next thing that is written.
    fileprivate func noteSpoolFailure(_ error: ConnectorError) -> ConnectorError {
        if error.code == "log_disk_full" { beginStall(error) }
        return error
    }
}
