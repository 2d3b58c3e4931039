package import MillraceCore

/// Turns the records of a change log into Debezium events. Fed record by record, so that memory does not grow with a
/// transaction; what comes out is complete up to each boundary.
///
/// Used by one thread.
package final class EnvelopeEncoder {
    let options: EnvelopeOptions
    private let isWanted: (String) -> Bool
    let row: RowWriter
    let keyWriter = ColumnWriter(allowsNesting: false)

    /// Topics of the events so far, in the order in which they were met.
    package private(set) var topics: [String] = []
    private var topicIndexes: [String: Int] = [:]
    /// Things that users should know and that are no errors; whoever logs them empties the list.
    package var warnings: [String] = []

    /// Schemas of events, by `EncodedEvent.schemas`: of messages, transactions and heartbeats, then of relations as they come.
    private(set) var schemas: [(key: ConnectSchema?, value: ConnectSchema?)]
    static let messageSchemas = 0
    static let transactionSchemas = 1
    static let heartbeatSchemas = 2

    private var plans: [RelationID: TablePlan] = [:]
    private var lastPlan: TablePlan?
    /// Whether plans are those of events behind the full load: they differ in the source types that schemas tell of.
    private var plansAreStreamed = false

    var info = TransactionInfo(
        flags: [], xid: 0, commitLSN: .zero, endLSN: .zero, commitTime: Timestamp(microsecondsSince2000: 0))
    var ordinal: UInt64 = 0
    var transactionText = TransactionText()
    var lastCommitEnd: LSN?
    var metadata: TransactionMetadata

    var snapshot: SnapshotProgress
    var held = HeldRow()
    private var deferredBoundary: EncodedBoundary?

    /// `resumedAt`: the cursor behind which records will come; `lastCommitEnd`: what the boundary there said.
    package init(
        _ options: EnvelopeOptions, resumedAt: Cursor? = nil, lastCommitEnd: LSN? = nil,
        isWanted: @escaping (String) -> Bool
    ) {
        self.options = options
        self.isWanted = isWanted
        self.lastCommitEnd = lastCommitEnd
        row = RowWriter(allowsNesting: !options.value.includesSchema)
        snapshot = SnapshotProgress(resumed: resumedAt != nil)
        metadata = TransactionMetadata(isEnabled: options.writesTransactionMetadata)
        schemas = [
            (EventSchemas.messageKey, EventSchemas.message(options.binaryMode)),
            (EventSchemas.transactionKey, EventSchemas.transaction),
            (EventSchemas.heartbeatKey, EventSchemas.heartbeat),
        ]
    }

    /// Writes the events of one record. `offset`: where it ends in the batch.
    package func encode(
        _ record: Record, endingAt offset: Int, of batch: ChangeBatch, into events: EncodedEvents
    ) throws(ConnectorError) {
        switch record {
        case .insert(let id, let lsn, let new):
            let plan = try plan(for: id, batch)
            if plan.isWanted { try insert(plan, lsn, new, events) }
            ordinal &+= 1
        case .update(let id, let lsn, let old, let new):
            let plan = try plan(for: id, batch)
            if plan.isWanted, !options.skippedOperations.contains("u") { try update(plan, lsn, old, new, events) }
            ordinal &+= 1
        case .delete(let id, let lsn, let old):
            let plan = try plan(for: id, batch)
            if plan.isWanted, !options.skippedOperations.contains("d") { try delete(plan, lsn, old, events) }
            ordinal &+= 1
        case .begin(let info): try begin(info, events)
        case .commit(let count): try commit(count, offset, batch, events)
        case .relation(let bytes): try define(bytes)
        case .truncate(let lsn, let view):
            try truncate(lsn, view, batch, events)
            ordinal &+= 1
        case .message(let lsn, let view):
            try message(lsn, view, events)
            ordinal &+= 1
        case .load(let id, let phase): phase == .begin ? snapshot.begin(id) : snapshot.end(id)
        case .sourceState(let state): try note(state, events)
        }
    }

    /// The batch has been passed. Where nothing is open or held back, that is a boundary too.
    package func finish(_ batch: ChangeBatch, into events: EncodedEvents) {
        guard !batch.endsInTransaction, snapshot.heldTable == nil else { return }
        events.append(EncodedBoundary(cursor: batch.end, lastCommitEnd: lastCommitEnd))
    }

    // MARK: Transactions

    private func begin(_ info: TransactionInfo, _ events: EncodedEvents) throws(ConnectorError) {
        if !info.flags.contains(.snapshot) {
            try releaseHeldRow(isEndOfLoad: true, events)
            if !plansAreStreamed, options.columnRules.propagatesAny { try makeStreamedPlans() }
        }
        self.info = info
        ordinal = info.firstOrdinal
        transactionText.write(info, lastCommitEnd: lastCommitEnd, options)
        if !info.flags.contains(.continued) { metadata.reset() }
    }

    private func commit(
        _ changeCount: UInt64, _ offset: Int, _ batch: ChangeBatch, _ events: EncodedEvents
    ) throws(ConnectorError) {
        endTransaction(events)
        if !info.flags.contains(.nonTransactional) { lastCommitEnd = info.endLSN }
        let cursor = batch.cursor(behind: offset, commitLSN: info.commitLSN, ordinal: ordinal)
        let boundary = EncodedBoundary(cursor: cursor, lastCommitEnd: lastCommitEnd)
        if snapshot.heldTable == nil {
            events.append(boundary)
        } else {
            // The row held back belongs before this place.
            deferredBoundary = boundary
        }
    }

    /// The source's state says whether the full load is over (`phase` in its JSON); nothing else in it concerns sinks.
    private func note(_ state: UnsafeRawBufferPointer, _ events: EncodedEvents) throws(ConnectorError) {
        guard snapshot.heldTable != nil else { return }
        let text = String(decoding: state, as: UTF8.self)
        if text.contains("\"phase\":\"snapshot\"") { return }
        try releaseHeldRow(isEndOfLoad: true, events)
    }

    // MARK: Relations and topics

    private func define(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        var reader = ByteReader(bytes)
        let relation: Relation
        do {
            relation = try Relation.decode(&reader)
        } catch {
            throw ConnectorError(.protocolViolation, code: "malformed_relation", error.description)
        }
        if plans[relation.id]?.relation.version == relation.version { return }
        try addPlan(for: relation)
    }

    private func makeStreamedPlans() throws(ConnectorError) {
        plansAreStreamed = true
        let said = warnings
        for plan in Array(plans.values) { try addPlan(for: plan.relation) }
        warnings = said
        lastPlan = nil
    }

    @discardableResult
    private func addPlan(for relation: Relation) throws(ConnectorError) -> TablePlan {
        let plan = try TablePlan(
            relation, options, topic: topicIndex(relation.topic),
            collection: metadata.collection(relation.qualifiedName), isWanted: isWanted(relation.topic),
            isStreamed: plansAreStreamed)
        if !plan.omitted.isEmpty {
            warnings.append(
                "columns \(plan.omitted.joined(separator: ", ")) of \(relation.qualifiedName) are left out of events: "
                    + "their types have no mapping (include.unknown.datatypes=true adds most of them as bytes)")
        }
        if plan.isWanted, plan.oldRowsLackKey {
            warnings.append(
                "deletes in \(relation.qualifiedName) have zeros in their keys, as in Debezium: its replica identity is an index "
                    + "without the primary key (ALTER TABLE \(relation.qualifiedName) REPLICA IDENTITY DEFAULT mends it)"
            )
        }
        if !plan.shown.isEmpty {
            warnings.append(
                "columns \(plan.shown.joined(separator: ", ")) of \(relation.qualifiedName) are shown as they are, although "
                    + "column.mask or column.truncate names them: as in Debezium, only columns of character types and "
                    + "enumerations are masked (column.exclude.list leaves any column out)")
        }
        if options.keepsSchemas {
            plan.schemas = schemas.count
            schemas.append((plan.keySchema, plan.valueSchema))
        }
        plans[relation.id] = plan
        lastPlan = plan
        return plan
    }

    func plan(for id: RelationID, _ batch: ChangeBatch) throws(ConnectorError) -> TablePlan {
        if let lastPlan, lastPlan.relation.id == id { return lastPlan }
        if let plan = plans[id] {
            lastPlan = plan
            return plan
        }
        if let relation = batch.relations[id] { return try addPlan(for: relation) }
        throw ConnectorError(
            .protocolViolation, code: "unknown_relation",
            "the log has a row of relation \(id.value) and no definition of it")
    }

    func topicIndex(_ topic: String) -> Int {
        if let index = topicIndexes[topic] { return index }
        topics.append(topic)
        topicIndexes[topic] = topics.count - 1
        return topics.count - 1
    }

    func isWantedTopic(_ topic: String) -> Bool { isWanted(topic) }

    // MARK: Full load

    /// Writes the row that was held back, now that its marker is known, and the boundary that waited for it.
    func releaseHeldRow(isEndOfLoad: Bool, _ events: EncodedEvents) throws(ConnectorError) {
        guard snapshot.heldTable != nil, let plan = held.plan else { return }
        let marker = snapshot.release(isEndOfLoad: isEndOfLoad)
        let current = (info, ordinal)
        if held.info != info {
            info = held.info
            transactionText.write(info, lastCommitEnd: lastCommitEnd, options)
        }
        ordinal = held.ordinal
        try write(.read, plan, held.lsn, old: nil, new: held.tuple, marker, events)
        if current.0 != info {
            info = current.0
            transactionText.write(info, lastCommitEnd: lastCommitEnd, options)
        }
        ordinal = current.1
        held.plan = nil
        if let boundary = deferredBoundary {
            events.append(boundary)
            deferredBoundary = nil
        }
    }

    private func insert(
        _ plan: TablePlan, _ lsn: LSN, _ new: TupleView, _ events: EncodedEvents
    ) throws(ConnectorError) {
        guard info.flags.contains(.snapshot) else {
            if options.skippedOperations.contains("c") { return }
            return try write(.create, plan, lsn, old: nil, new: new, .none, events)
        }
        try releaseHeldRow(isEndOfLoad: false, events)
        snapshot.hold(plan.relation.id)
        held.set(plan, info, ordinal, lsn, new)
    }
}

/// A row of a full load that waits for what follows it.
struct HeldRow {
    var plan: TablePlan?
    var info = TransactionInfo(
        flags: [], xid: 0, commitLSN: .zero, endLSN: .zero, commitTime: Timestamp(microsecondsSince2000: 0))
    var ordinal: UInt64 = 0
    var lsn = LSN.zero
    private let bytes = JSONBuffer()
    private var count = 0

    var tuple: TupleView { TupleView(count: count, bytes: bytes.bytes) }

    mutating func set(_ plan: TablePlan, _ info: TransactionInfo, _ ordinal: UInt64, _ lsn: LSN, _ tuple: TupleView) {
        self.plan = plan
        self.info = info
        self.ordinal = ordinal
        self.lsn = lsn
        bytes.removeAll()
        bytes.append(tuple.bytes)
        count = tuple.count
    }
}
