internal import MillraceCore

/// Where finished records go: the log, with somebody who keeps the server content while the log is busy.
protocol LogFeeding: AnyObject {
    func makeBuffer() -> RecordBuffer
    /// Returns when the log has taken the buffer.
    func submit(_ buffer: RecordBuffer) throws(ConnectorError)
    /// False if the log is busy: nothing has been taken.
    func offer(_ buffer: RecordBuffer) throws(ConnectorError) -> Bool
    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool
    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(ConnectorError)
    func rollBackOpenTransaction() throws(ConnectorError)
}

/// Makes records of the log out of pgoutput's messages: whole transactions collect in a buffer, large ones go in parts,
/// those that are streamed before their commit go to spools. Used by one thread.
///
/// A row's bytes are copied once, from the message into the buffer, and nothing is allocated for it.
struct TransactionAssembler: ~Copyable {
    /// A buffer with so many bytes of whole transactions is handed over without waiting for more.
    static let handOverBytes = 1 << 20
    /// A buffer is handed over in the middle of a transaction when it has reached this size.
    static let partBytes = 4 << 20

    let feed: any LogFeeding
    let describe: (PgOutputRelation, CapturedRelation?) throws(ConnectorError) -> CapturedRelation
    let messagePrefixes: NameFilter
    /// Prefix of the heartbeats that go into the log; empty: none do.
    let heartbeatPrefix: [UInt8]
    let skipped: SkippedOperations

    var buffer: RecordBuffer
    var table: RelationTable
    /// Where rows of the relation that the last row had go.
    var route = Route.none
    var counts: SourceCounts

    /// The transaction between Begin and Commit.
    var open: OpenTransaction?
    /// Streamed transactions by their xid, and the one whose block we are in.
    var streams: [UInt32: StreamedTransaction] = [:]
    var stream: StreamedTransaction?
    /// Rows of the current block on their way to the spool.
    let streamBuffer = RecordBuffer()

    /// Transactions up to this commit LSN are in the log, or in `buffer`: those that the server sends again are dropped.
    var lastCommitLSN: LSN
    /// The same of what has been handed over.
    private(set) var submittedCommitLSN: LSN
    /// End of the last transaction that was handed over.
    private(set) var submittedEndLSN = LSN.zero
    /// What was handed over ends inside a transaction.
    private(set) var hasSubmittedPart = false
    /// There is nothing for us in WAL up to here but what is in the log or in `buffer`.
    private(set) var idleLSN = LSN.zero

    struct OpenTransaction {
        var info: TransactionInfo
        /// In the log already, received again after a crash of the server.
        var isRepeat: Bool
        /// Whether its begin record has been written, which waits for the first change: most empty transactions of
        /// other tables are not worth a record.
        var isBegun = false
        /// Its begin record is in the log already.
        var isInParts = false
        var changeCount: UInt64 = 0
    }

    init(
        feed: any LogFeeding, lastCommitLSN: LSN, table: consuming RelationTable = RelationTable(),
        counts: SourceCounts = SourceCounts(), messagePrefixes: NameFilter, heartbeatPrefix: String = "",
        skipped: SkippedOperations = [],
        describe: @escaping (PgOutputRelation, CapturedRelation?) throws(ConnectorError) -> CapturedRelation
    ) {
        self.feed = feed
        self.lastCommitLSN = lastCommitLSN
        submittedCommitLSN = lastCommitLSN
        self.table = table
        self.counts = counts
        self.messagePrefixes = messagePrefixes
        self.heartbeatPrefix = Array(heartbeatPrefix.utf8)
        self.skipped = skipped
        self.describe = describe
        buffer = feed.makeBuffer()
    }

    /// Where the server was told to begin: it streams no changes before, but keeps those of later commits.
    var decodedFrom = LSN.zero

    /// Whether no transaction has been begun that has not ended.
    var isBetweenTransactions: Bool { open == nil && streams.isEmpty }

    // MARK: Messages

    /// Takes one message. `lsn`: of the change that it is about.
    @inline(__always)
    mutating func take(_ message: UnsafeRawBufferPointer, lsn: LSN) throws(ConnectorError) {
        do {
            try dispatch(message, lsn)
        } catch let error as ConnectorError {
            throw error
        } catch {
            throw ConnectorError(
                .protocolViolation, code: "malformed_message",
                "the server sent what is not pgoutput at \(lsn): \(error)")
        }
    }

    private mutating func dispatch(_ message: UnsafeRawBufferPointer, _ lsn: LSN) throws {
        guard let kind = message.first else { throw MalformedRecord("empty message") }
        let inStream = stream != nil
        switch kind {
        case PgOutputKind.insert:
            try row(kind, try PgOutputDecoder.insert(message, inStream: inStream), message, lsn)
        case PgOutputKind.update:
            try row(kind, try PgOutputDecoder.update(message, inStream: inStream), message, lsn)
        case PgOutputKind.delete:
            try row(kind, try PgOutputDecoder.delete(message, inStream: inStream), message, lsn)
        case PgOutputKind.begin: try begin(try PgOutputDecoder.begin(message))
        case PgOutputKind.commit: try commit(try PgOutputDecoder.commit(message))
        case PgOutputKind.relation: try relation(try PgOutputDecoder.relation(message, inStream: inStream))
        case PgOutputKind.type: return
        case PgOutputKind.origin: origin(try PgOutputDecoder.origin(message))
        case PgOutputKind.truncate:
            try truncate(try PgOutputDecoder.truncate(message, inStream: inStream), message, lsn)
        case PgOutputKind.message:
            try logicalMessage(try PgOutputDecoder.message(message, inStream: inStream), message)
        case PgOutputKind.streamStart: try streamStart(try PgOutputDecoder.streamStart(message))
        case PgOutputKind.streamStop: try streamStop()
        case PgOutputKind.streamCommit:
            let (xid, commit) = try PgOutputDecoder.streamCommit(message)
            try streamCommit(xid, commit)
        case PgOutputKind.streamAbort: try streamAbort(try PgOutputDecoder.streamAbort(message))
        default: throw MalformedRecord("unknown kind \(kind)")
        }
    }

    // MARK: Transactions

    private mutating func begin(_ message: PgOutputBegin) throws(MalformedRecord) {
        guard open == nil, stream == nil else { throw MalformedRecord("begin inside a transaction") }
        open = OpenTransaction(
            // The end of the commit record is told with the commit; until then its start is the safe stand-in.
            info: TransactionInfo(
                flags: [], xid: message.xid, commitLSN: message.commitLSN, endLSN: message.commitLSN,
                commitTime: message.commitTime),
            isRepeat: message.commitLSN <= lastCommitLSN)
    }

    private mutating func origin(_ message: PgOutputOrigin) {
        if let stream {
            stream.originLSN = message.commitLSN
        } else {
            open?.info.originLSN = message.commitLSN
        }
    }

    private mutating func commit(_ message: PgOutputCommit) throws {
        guard let transaction = open else { throw MalformedRecord("commit outside a transaction") }
        guard transaction.info.commitLSN == message.commitLSN else {
            throw MalformedRecord("commit at \(message.commitLSN) of the transaction \(transaction.info.commitLSN)")
        }
        open = nil
        guard transaction.isBegun else {
            // Nothing of ours in it, or it is in the log already.
            noteIdle(message.endLSN)
            return
        }
        // A begin record that is in the log already has the start of the commit record for its end. Then that is what may
        // be acknowledged: the log must not know less after a restart. The few bytes to the real end come with `idleLSN`.
        buffer.commit(
            changeCount: transaction.changeCount,
            endLSN: transaction.isInParts ? transaction.info.endLSN : message.endLSN)
        if transaction.isInParts { noteIdle(message.endLSN) }
        committed(transaction.info)
        if buffer.count >= Self.partBytes {
            try handOver()
        } else if wantsHandOver || buffer.count >= Self.handOverBytes {
            // A busy log gets more at once a little later.
            _ = try handOverIfReady()
        }
    }

    /// Bookkeeping of a transaction that is complete.
    mutating func committed(_ info: TransactionInfo) {
        lastCommitLSN = info.commitLSN
        counts.transactions &+= 1
        counts.lastCommitTime = info.commitTime
        counts.lastXID = info.xid
    }

    /// The socket was dry in the middle of a transaction: hand over at its end.
    private var wantsHandOver = false

    /// Writes the begin record, if it is still to be written.
    mutating func beginRecord() {
        guard open?.isBegun == false, let info = open?.info else { return }
        buffer.begin(info)
        open?.isBegun = true
    }

    // MARK: Changes

    @inline(__always)
    private mutating func row(
        _ kind: UInt8, _ row: PgOutputRow, _ message: UnsafeRawBufferPointer, _ lsn: LSN
    ) throws {
        if stream != nil { return try streamedRow(kind, row, message, lsn) }
        guard let transaction = open else { throw MalformedRecord("change outside a transaction") }
        if transaction.isRepeat { return }
        if route.id != row.relation { try select(row.relation) }
        guard try accepts(kind, row) else { return }
        beginRecord()
        append(kind, row, lsn, to: buffer)
        open?.changeCount &+= 1
        counts.count(kind, route.index, row.body.count)
        if buffer.count >= Self.partBytes { try handOverPart() }
    }

    /// Whether rows of the route are wanted, and this one fits it.
    @inline(__always)
    func accepts(_ kind: UInt8, _ row: PgOutputRow) throws(MalformedRecord) -> Bool {
        guard route.columnCount == row.columnCount else {
            throw MalformedRecord(
                "a row of \(row.columnCount) columns for relation \(row.relation), which has \(route.columnCount)")
        }
        return route.isCaptured && (skipped.isEmpty || !skipped.skips(kind))
    }

    @inline(__always)
    func append(_ kind: UInt8, _ row: PgOutputRow, _ lsn: LSN, to buffer: RecordBuffer) {
        if route.isProjected {
            appendProjected(kind, row, lsn, to: buffer)
        } else {
            buffer.row(kind, relation: RelationID(row.relation), lsn: lsn, body: row.body)
        }
    }

    private mutating func truncate(
        _ truncate: PgOutputTruncate, _ message: UnsafeRawBufferPointer, _ lsn: LSN
    ) throws {
        if stream == nil {
            guard let transaction = open else { throw MalformedRecord("truncate outside a transaction") }
            if transaction.isRepeat { return }
        } else {
            try enterSubtransaction(message, lsn)
        }
        if skipped.contains(.truncate) { return }
        var captured: [RelationID] = []
        for id in truncate.relations {
            try selectAnywhere(id)
            guard route.isCaptured else { continue }
            captured.append(RelationID(id))
            countChange(PgOutputKind.truncate, 0)
        }
        guard !captured.isEmpty else { return }
        if stream == nil {
            beginRecord()
            open?.changeCount &+= 1
        }
        (stream == nil ? buffer : streamBuffer).truncate(lsn: lsn, options: truncate.options, relations: captured)
    }

    private mutating func logicalMessage(
        _ logical: PgOutputLogicalMessage, _ message: UnsafeRawBufferPointer
    ) throws {
        guard isWanted(logical.prefix) else { return }
        if stream != nil {
            try enterSubtransaction(message, logical.lsn)
            streamBuffer.message(
                lsn: logical.lsn, isTransactional: logical.isTransactional, prefix: logical.prefix,
                content: logical.content)
        } else if let transaction = open {
            if transaction.isRepeat { return }
            beginRecord()
            buffer.message(
                lsn: logical.lsn, isTransactional: logical.isTransactional, prefix: logical.prefix,
                content: logical.content)
            open?.changeCount &+= 1
        } else {
            try messageOfItsOwn(logical)
        }
    }

    /// No list of prefixes is about heartbeats; those of other slots are no messages of anybody's.
    private func isWanted(_ prefix: UnsafeRawBufferPointer) -> Bool {
        if HeartbeatMessage.matches(prefix) { return prefix.elementsEqual(heartbeatPrefix) }
        return messagePrefixes.isUnrestricted || messagePrefixes.passes(String(decoding: prefix, as: UTF8.self))
    }

    /// A message outside any transaction is sent when it is read, between the commits before and behind it: in the log,
    /// it is a transaction of one change. The LSN that it comes with is the end of its record, where the next commit record
    /// may begin; one byte before that is a place that no other transaction has.
    private mutating func messageOfItsOwn(_ logical: PgOutputLogicalMessage) throws(ConnectorError) {
        guard logical.lsn > LSN.zero else { return }
        let commitLSN = LSN(logical.lsn.value - 1)
        guard commitLSN > lastCommitLSN else { return }
        let info = TransactionInfo(
            flags: .nonTransactional, xid: 0, commitLSN: commitLSN, endLSN: logical.lsn,
            commitTime: counts.lastCommitTime ?? Timestamp(microsecondsSince2000: 0))
        buffer.begin(info)
        buffer.message(lsn: logical.lsn, isTransactional: false, prefix: logical.prefix, content: logical.content)
        buffer.commit(changeCount: 1)
        lastCommitLSN = info.commitLSN
        if buffer.count >= Self.handOverBytes { try handOver() }
    }

    // MARK: Handing over

    /// There is nothing for us up to `lsn`. Means something only between transactions.
    mutating func noteIdle(_ lsn: LSN) {
        if isBetweenTransactions && lsn > idleLSN { idleLSN = lsn }
    }

    /// Writes the source's state behind what is there. Only between transactions.
    mutating func append(state: [UInt8]) {
        precondition(open == nil && stream == nil, "the source's state does not go into a transaction")
        var state = state
        if !counts.stale.isEmpty, var marked = try? SourceState.decode(state) {
            marked.stale = counts.stale
            table.state = marked
            state = marked.encoded()
        }
        state.withUnsafeBytes { buffer.sourceState($0) }
    }

    /// Nothing more has come for now: hands over what is complete, if the log has time for it. True if there is nothing
    /// left that should be handed over soon.
    mutating func handOverIfReady() throws(ConnectorError) -> Bool {
        guard !buffer.isEmpty else { return true }
        if open?.isBegun == true {
            // The end of the transaction is near, as a rule: a frame that ends with it is better than two.
            wantsHandOver = true
            return false
        }
        guard try feed.offer(buffer) else { return false }
        didHandOver()
        return true
    }

    /// Hands over what is there, in the middle of a transaction if need be, however long it takes.
    mutating func handOver() throws(ConnectorError) {
        wantsHandOver = false
        guard !buffer.isEmpty else { return }
        if open?.isBegun == true { return try handOverPart() }
        try feed.submit(buffer)
        didHandOver()
    }

    /// Hands over the beginning of a transaction.
    private mutating func handOverPart() throws(ConnectorError) {
        try feed.submit(buffer)
        if buffer.commitCount > 0 { submittedEndLSN = buffer.lastEndLSN ?? submittedEndLSN }
        submittedCommitLSN = lastCommitLSN
        hasSubmittedPart = true
        open?.isInParts = true
        buffer = feed.makeBuffer()
        buffer.continueTransaction()
    }

    private mutating func didHandOver() {
        wantsHandOver = false
        if let end = buffer.lastEndLSN { submittedEndLSN = end }
        submittedCommitLSN = lastCommitLSN
        hasSubmittedPart = false
        buffer = feed.makeBuffer()
    }

    mutating func didSubmitSpool(_ info: TransactionInfo) {
        submittedCommitLSN = info.commitLSN
        submittedEndLSN = info.endLSN
    }

    /// The connection is lost: forgets everything that the server will send again.
    mutating func rollBack() throws(ConnectorError) {
        _ = discardStreams()
        if hasSubmittedPart { try feed.rollBackOpenTransaction() }
        hasSubmittedPart = false
        open = nil
        wantsHandOver = false
        buffer.removeAll()
        lastCommitLSN = submittedCommitLSN
        idleLSN = .zero
        route = .none
        table.forgetLogged()
    }
}
