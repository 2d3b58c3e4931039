package import MillraceCore

/// What every sink must do, whatever it writes to: one list of checks, run against a target that the test provides.
///
///     let findings = try SinkConformance(makeSubject: { … }).run()
///     #expect(findings.isEmpty)
package struct SinkConformance {
    /// One empty target and the sinks that write to it.
    package struct Subject {
        /// A new sink on the target, as after a restart of the server.
        package var makeSink: () throws -> any Sink
        /// The rows of a table (`schema.table`) by now, in any order, columns in the order of the last relation.
        /// Null is `.null`; values are as the source wrote them.
        package var rows: (_ table: String) throws -> [[TestValue]]

        package init(
            makeSink: @escaping () throws -> any Sink, rows: @escaping (_ table: String) throws -> [[TestValue]]
        ) {
            self.makeSink = makeSink
            self.rows = rows
        }
    }

    /// Parts of the contract that a kind of sink may not have.
    package struct Capabilities: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// Keeps its cursor with its data: an older stored cursor repeats nothing.
        package static let ownCursor = Capabilities(rawValue: 1)
        /// Rows can be changed in place (keys, unchanged TOAST).
        package static let upserts = Capabilities(rawValue: 2)
        package static let truncates = Capabilities(rawValue: 4)
        package static let schemaChanges = Capabilities(rawValue: 8)
        /// Nobody sees a part of a transaction.
        package static let wholeTransactions = Capabilities(rawValue: 16)
        package static let all: Capabilities = [.ownCursor, .upserts, .truncates, .schemaChanges, .wholeTransactions]
    }

    let capabilities: Capabilities
    let makeSubject: () throws -> Subject

    /// `makeSubject` is called once per check, and gives an empty target each time.
    package init(capabilities: Capabilities = .all, makeSubject: @escaping () throws -> Subject) {
        self.capabilities = capabilities
        self.makeSubject = makeSubject
    }

    /// Runs every check that applies. What is returned is wrong with the sink, one line each.
    package func run() throws -> [String] {
        var findings: [String] = []
        for check in Self.checks where capabilities.isSuperset(of: check.needs) {
            let bench = ConformanceBench(try makeSubject(), capabilities)
            do {
                try check.body(bench)
            } catch {
                bench.findings.append("threw \(error)")
            }
            bench.stop()
            findings += bench.findings.map { "\(check.name): \($0)" }
        }
        return findings
    }

    struct Check {
        var name: String
        var needs: Capabilities
        var body: (ConformanceBench) throws -> Void
    }

    /// The names of all checks.
    package static var checkNames: [String] { checks.map(\.name) }
}

/// One check at work: a sink, the log that it is fed, and what the target ought to hold.
final class ConformanceBench {
    let subject: SinkConformance.Subject
    let capabilities: SinkConformance.Capabilities
    let builder = BatchBuilder(logID: 77)
    var findings: [String] = []
    /// The last cursor that the sink called durable.
    var durable: Cursor?
    private(set) var sink: (any Sink)?
    private var expected = TestTables()
    private var tables: [String: Relation] = [:]

    init(_ subject: SinkConformance.Subject, _ capabilities: SinkConformance.Capabilities) {
        self.subject = subject
        self.capabilities = capabilities
    }

    /// A sink that starts behind `stored`. Returns where it wants to go on.
    @discardableResult
    func start(after stored: Cursor?) throws -> Cursor? {
        let sink = try subject.makeSink()
        self.sink = sink
        return try sink.start(after: stored, logID: 77)
    }

    func stop() {
        sink?.stop()
        sink = nil
    }

    /// A transaction, for the log and for the model.
    func commit(_ lsn: UInt64, _ changes: [(Relation, TestChange)], defining: [Relation] = []) {
        builder.transaction(lsn: lsn) { transaction in
            for relation in defining { transaction.relation(relation) }
            for (relation, change) in changes { write(change, relation, transaction) }
        }
        for (relation, change) in changes { model(change, relation) }
    }

    func write(_ change: TestChange, _ relation: Relation, _ transaction: TransactionBuilder) {
        switch change {
        case .insert(let values): transaction.insert(relation, values)
        case .update(let values, let key): transaction.update(relation, key: key, new: values)
        case .delete(let key): transaction.delete(relation, key: key)
        case .truncate: transaction.truncate([relation])
        }
    }

    func model(_ change: TestChange, _ relation: Relation) {
        tables[relation.qualifiedName] = relation
        expected.apply(change, to: relation)
    }

    /// Writes what has been built, and flushes. Returns the batch, to be delivered again.
    @discardableResult
    func deliver() throws -> ChangeBatch {
        let batch = builder.build()
        try deliver(batch)
        return batch
    }

    func deliver(_ batch: ChangeBatch) throws {
        guard let sink else { return }
        note(try sink.write(batch), batch)
        try flush()
    }

    func note(_ delivery: Delivery, _ batch: ChangeBatch) {
        if case .durable(let cursor) = delivery { note(cursor, upTo: batch.end) }
    }

    func flush(upTo end: Cursor? = nil) throws {
        if let cursor = try sink?.flush() { note(cursor, upTo: end) }
    }

    private func note(_ cursor: Cursor, upTo end: Cursor?) {
        if cursor.logID != 77 { findings.append("a cursor of another log: \(cursor)") }
        if let end, cursor > end { findings.append("durable through \(cursor), but only \(end) was delivered") }
        if let durable, cursor < durable {
            findings.append("the durable cursor went back from \(durable) to \(cursor)")
        }
        durable = cursor
    }

    /// Compares every table with the model.
    func compare(_ when: String) throws {
        for (name, _) in tables {
            let actual = try subject.rows(name).sorted { "\($0)" < "\($1)" }
            let wanted = expected.sorted(name)
            if actual != wanted { findings.append("\(when), \(name) holds \(actual) instead of \(wanted)") }
        }
    }
}
