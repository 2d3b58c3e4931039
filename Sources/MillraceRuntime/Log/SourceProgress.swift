import MillraceCore

/// Follows what a log holds of its source while it is written, so that the next run of the source can be told without
/// opening the log again: the log's own answer is as old as its opening.
struct SourceProgress: Sendable {
    /// What is durable.
    private(set) var durable: RecoveredLog
    private var appendedEndLSN: LSN?
    private var appendedState: [UInt8]?
    /// A state inside a transaction whose end has not come yet.
    private var openState: [UInt8]?
    /// The same of relations.
    private var appendedRelations: [RelationID: Relation] = [:]
    private var openRelations: [RelationID: Relation] = [:]
    private var isInTransaction = false

    init(_ recovered: RecoveredLog) {
        durable = recovered
    }

    /// Whether the log ends inside a transaction.
    var hasOpenTransaction: Bool { isInTransaction }

    mutating func noteAppended(_ buffer: RecordBuffer) {
        if let lsn = buffer.lastEndLSN { appendedEndLSN = lsn }
        if buffer.lastSourceState != nil || buffer.hasRelations {
            walk(buffer)
        } else if buffer.commitCount > 0 {
            noteCommit()
        }
        isInTransaction = buffer.isEmpty ? isInTransaction : buffer.endsInTransaction
    }

    mutating func noteAppended(_ info: TransactionInfo) {
        appendedEndLSN = info.endLSN
    }

    /// A state counts when the transaction around it does.
    private mutating func walk(_ buffer: RecordBuffer) {
        var isInside = isInTransaction
        var offset = 0
        while let (kind, body) = RecordReader.peek(buffer.bytes, at: offset) {
            switch kind {
            case RecordKind.begin:
                isInside = true
            case RecordKind.commit:
                isInside = false
                noteCommit()
            case RecordKind.relation:
                var reader = ByteReader(body)
                if let relation = try? Relation.decode(&reader) { openRelations[relation.id] = relation }
            case RecordKind.sourceState:
                if isInside { openState = Array(body) } else { appendedState = Array(body) }
            default: break
            }
            offset += RecordReader.headerSize + body.count
        }
    }

    private mutating func noteCommit() {
        if let state = openState { appendedState = state }
        openState = nil
        guard !openRelations.isEmpty else { return }
        appendedRelations.merge(openRelations) { $1 }
        openRelations.removeAll()
    }

    /// Everything appended so far is fsynced; `end` is where the log's last complete transaction ends.
    mutating func noteFlushed(_ end: Cursor) {
        if let lsn = appendedEndLSN {
            durable.lastEndLSN = lsn
            durable.lastCommitLSN = end.commitLSN
            durable.lastOrdinal = end.ordinal
        }
        if let state = appendedState { durable.sourceState = state }
        if !appendedRelations.isEmpty {
            durable.relations.merge(appendedRelations) { $1 }
            appendedRelations.removeAll()
        }
        appendedEndLSN = nil
        appendedState = nil
    }

    mutating func noteRolledBack() {
        openState = nil
        openRelations.removeAll()
        isInTransaction = false
    }

    mutating func noteReset(_ recovered: RecoveredLog) {
        self = SourceProgress(recovered)
    }
}
