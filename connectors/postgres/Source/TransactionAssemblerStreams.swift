internal import MillraceCore

/// A transaction that is received before its commit, as `logical_decoding_work_mem` makes the server send large ones.
final class StreamedTransaction {
    struct Entry {
        var captured: CapturedRelation
        var columnCount: Int
        /// Whether the spool holds the relation before the place reached.
        var isLogged = false
    }

    let xid: UInt32
    let spool: any TransactionSpool
    /// Relations as this transaction sees them: it may have altered them.
    var relations: [UInt32: Entry] = [:]
    var originLSN = LSN.zero
    /// Subtransactions in the order of their first change, and where that lies: what a rollback of one cuts off.
    var subtransactions: [(xid: UInt32, start: SpoolMark)] = []
    var knownSubtransactions: Set<UInt32> = []
    /// Of the last change.
    var lastXID: UInt32
    /// Counted towards the tables when it commits.
    var counts: [Int: TableCounts] = [:]

    init(xid: UInt32, spool: any TransactionSpool) {
        self.xid = xid
        self.spool = spool
        lastXID = xid
    }
}

extension TransactionAssembler {
    /// Bytes that collect before they go to the spool, which may write them to a file.
    private static let spoolBytes = 1 << 20

    mutating func streamStart(_ message: PgOutputStreamStart) throws {
        guard open == nil, stream == nil else { throw MalformedRecord("stream start inside a transaction") }
        route = .none
        if let known = streams[message.xid] {
            stream = known
            return
        }
        // A spool holds the whole transaction or it must not be there.
        guard message.isFirst else {
            throw MalformedRecord("transaction \(message.xid) does not begin at its beginning")
        }
        let new = StreamedTransaction(xid: message.xid, spool: try feed.makeSpool(xid: message.xid))
        streams[message.xid] = new
        stream = new
    }

    mutating func streamStop() throws {
        guard stream != nil else { throw MalformedRecord("stream stop outside a stream") }
        try spoolBuffer()
        stream = nil
        route = .none
    }

    mutating func streamedRow(
        _ kind: UInt8, _ row: PgOutputRow, _ message: UnsafeRawBufferPointer, _ lsn: LSN
    ) throws {
        try enterSubtransaction(message, lsn)
        if route.id != row.relation { try selectStreamed(row.relation) }
        guard try accepts(kind, row) else { return }
        append(kind, row, lsn, to: streamBuffer)
        countChange(kind, row.body.count)
        if streamBuffer.count >= Self.spoolBytes { try spoolBuffer() }
    }

    /// As `select`, in the current stream.
    mutating func selectStreamed(_ id: UInt32) throws(MalformedRecord) {
        guard let stream else { return }
        if stream.relations[id] == nil, let known = table[id] {
            stream.relations[id] = StreamedTransaction.Entry(captured: known.captured, columnCount: known.columnCount)
        }
        guard let entry = stream.relations[id], let index = table.index(of: id) else {
            throw MalformedRecord("relation \(id) was never described")
        }
        route = Route(
            id: id, index: index, columnCount: entry.columnCount, isCaptured: entry.captured.isCaptured,
            isProjected: entry.captured.projection != nil)
        guard entry.captured.isCaptured, !entry.isLogged else { return }
        streamBuffer.relation(entry.captured.relation)
        stream.relations[id]?.isLogged = true
    }

    static let incompleteStream = "stream_incomplete"

    /// Remembers where a subtransaction's changes begin. Its own end is not told, only a rollback is.
    ///
    /// And not even that where all its changes were on the server's disk when they were streamed: only subtransactions with
    /// changes in memory are marked as streamed (reorderbuffer.c, ReorderBufferTruncateTXN), and only those marked are said
    /// to be aborted (ReorderBufferAbort). Changes before `decodedFrom` may lie on disk, as they could not be streamed at
    /// once. Such a transaction has to be sent as a whole, at its commit.
    mutating func enterSubtransaction(_ message: UnsafeRawBufferPointer, _ lsn: LSN) throws {
        guard let stream else { return }
        let xid = try PgOutputDecoder.streamedXID(message)
        if xid != stream.xid, lsn < decodedFrom {
            throw ConnectorError(
                .transient, code: Self.incompleteStream,
                "the server does not tell all rollbacks of savepoints in the transaction \(stream.xid), which began before "
                    + "\(decodedFrom); it is read again at its commit")
        }
        guard xid != stream.lastXID else { return }
        stream.lastXID = xid
        guard xid != stream.xid, stream.knownSubtransactions.insert(xid).inserted else { return }
        try spoolBuffer()
        stream.subtransactions.append((xid, try stream.spool.mark()))
    }

    private mutating func spoolBuffer() throws(ConnectorError) {
        guard let stream, !streamBuffer.isEmpty else { return }
        try stream.spool.append(streamBuffer)
        streamBuffer.removeAll()
    }

    mutating func streamAbort(_ message: PgOutputStreamAbort) throws {
        guard stream == nil else { throw MalformedRecord("stream abort inside a stream") }
        guard let aborted = streams[message.xid] else { return }
        if message.subxid == message.xid {
            aborted.spool.discard()
            streams[message.xid] = nil
            return
        }
        // Everything behind its first change is its own or of subtransactions inside it, which are rolled back with it:
        // the server's worker.c cuts its files in the same way.
        guard let index = aborted.subtransactions.lastIndex(where: { $0.xid == message.subxid }) else { return }
        try aborted.spool.truncate(to: aborted.subtransactions[index].start)
        for subtransaction in aborted.subtransactions[index...] {
            aborted.knownSubtransactions.remove(subtransaction.xid)
        }
        aborted.subtransactions.removeSubrange(index...)
        aborted.lastXID = aborted.xid
        for id in aborted.relations.keys { aborted.relations[id]?.isLogged = false }
    }

    /// The messages end here, and those of transactions that have not ended come again. Returns how many bytes they had.
    mutating func discardStreams() -> UInt64 {
        var bytes: UInt64 = 0
        for stream in streams.values {
            bytes &+= stream.spool.byteCount
            stream.spool.discard()
        }
        streams.removeAll()
        stream = nil
        streamBuffer.removeAll()
        route = .none
        return bytes
    }

    mutating func streamCommit(_ xid: UInt32, _ message: PgOutputCommit) throws {
        guard stream == nil, open == nil else { throw MalformedRecord("stream commit inside a transaction") }
        guard let committing = streams.removeValue(forKey: xid) else {
            throw MalformedRecord("commit of the transaction \(xid), which was not streamed")
        }
        route = .none
        let isWanted = message.commitLSN > lastCommitLSN && committing.spool.changeCount > 0
        // From here on the server goes by the relations as this transaction left them.
        for (id, entry) in committing.relations {
            let index = table.set(id, entry.captured, columnCount: entry.columnCount)
            counts.name(index, entry.captured)
            if isWanted && entry.isLogged { table.setLogged(index, version: entry.captured.relation.version) }
        }
        guard isWanted else {
            committing.spool.discard()
            noteIdle(message.endLSN)
            return
        }
        let info = TransactionInfo(
            flags: [], xid: xid, commitLSN: message.commitLSN, endLSN: message.endLSN, commitTime: message.commitTime,
            originLSN: committing.originLSN)
        // A spool holds no state: it goes before the spool.
        if let state = staleState() { state.withUnsafeBytes { buffer.sourceState($0) } }
        try handOver()
        try feed.submit(committing.spool, info)
        for (index, tableCounts) in committing.counts { counts.add(tableCounts, index) }
        committed(info)
        didSubmitSpool(info)
    }

    /// Counts a change of the route's relation where it will count: at once, or when the stream commits.
    mutating func countChange(_ kind: UInt8, _ byteCount: Int) {
        if let stream {
            stream.counts[route.index, default: TableCounts()].count(kind, byteCount)
        } else {
            counts.count(kind, route.index, byteCount)
        }
    }
}
