import Logging
import MillraceCore
import MillraceTesting
import PostgresConnector
import Testing

/// Commits do not wait for the target's disk: what is called durable is there after a crash of the target all the same.
@Suite struct SinkDurabilityTests {
    private static let counter = Relation.table(50, "counter", [.int4("n", key: true), .text("v")])
    private static let logID: UInt64 = 7

    private func batches(_ count: Int, rows: Int) -> [ChangeBatch] {
        let builder = BatchBuilder(logID: Self.logID)
        builder.relation(Self.counter)
        return (1...count).map { number in
            builder.transaction(lsn: UInt64(number * 100)) { transaction in
                for row in 0..<rows { transaction.insert(Self.counter, [text(number * 1000 + row), "x"]) }
            }
            return builder.build()
        }
    }

    private func makeSink(_ server: PostgresServer, _ database: String, user: String = "postgres") throws -> any Sink {
        try PostgresSinkPlugin().makeSink(
            ConnectorConfig([
                "connection.url": "postgresql://127.0.0.1:\(server.port)/\(database)",
                "connection.username": user,
            ]),
            source: SourceDescription(connectorName: "source", topicPrefix: "srv", config: ConnectorConfig([:])),
            topics: .all,
            TaskContext(
                connectorName: "target", taskID: 0, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    }

    /// The WAL writer sleeps for ten seconds, so that nothing gets to disk unless somebody asks for it.
    @Test(arguments: [5, 300]) func crashOfTheTargetLeavesWhatWasCalledDurable(rows: Int) throws {
        let server = try PostgresServer(settings: ["wal_writer_delay": "'10s'", "fsync": "on"])
        let database = try server.makeDatabase("crash")
        let batches = batches(12, rows: rows)
        var lost = 0
        var next = 0
        for crash in 1...3 {
            let sink = try makeSink(server, database)
            let begun = try sink.start(after: nil, logID: Self.logID)
            // A cursor that was read back is on disk: the log may be trimmed behind it.
            next = batches.firstIndex { $0.end.offset > begun?.offset ?? 0 } ?? batches.count
            var durable = begun
            let stop = min(crash * 4, batches.count)
            for number in next..<stop {
                if case .durable(let cursor) = try sink.write(batches[number]) { durable = cursor }
                if number == stop - 3 { durable = try sink.flush() }
            }
            server.kill9()
            sink.stop()
            try server.start()
            let found = try makeSink(server, database)
            let cursor = try found.start(after: nil, logID: Self.logID)
            found.stop()
            #expect(cursor?.offset ?? 0 >= durable?.offset ?? 0)
            if cursor != batches[stop - 1].end { lost += 1 }
            // The rows are those of the cursor, not more and not less.
            let kept = batches.filter { $0.end.offset <= cursor?.offset ?? 0 }.count
            #expect(try server.query("select count(*) from counter", database: database) == "\(kept * rows)")
        }
        let last = try makeSink(server, database)
        defer { last.stop() }
        let begun = try last.start(after: nil, logID: Self.logID)
        for batch in batches where batch.end.offset > begun?.offset ?? 0 { _ = try last.write(batch) }
        #expect(try last.flush() == batches.last?.end)
        #expect(try server.query("select count(*) from counter", database: database) == "\(12 * rows)")
        // Otherwise nothing was proved.
        #expect(lost > 0)
    }

    /// What a session before this one has committed without waiting is made sure of before its cursor is believed.
    @Test func cursorThatWasReadBackIsOnDisk() throws {
        let server = try PostgresServer(settings: ["wal_writer_delay": "'10s'", "fsync": "on"])
        let database = try server.makeDatabase("crash")
        let batches = batches(3, rows: 5)
        let sink = try makeSink(server, database)
        _ = try sink.start(after: nil, logID: Self.logID)
        for batch in batches { _ = try sink.write(batch) }
        sink.stop()
        let second = try makeSink(server, database)
        let begun = try second.start(after: nil, logID: Self.logID)
        #expect(begun == batches.last?.end)
        server.kill9()
        second.stop()
        try server.start()
        let third = try makeSink(server, database)
        defer { third.stop() }
        #expect(try third.start(after: nil, logID: Self.logID) == begun)
    }

    /// Changes without a pause: durability follows by itself.
    @Test func durabilityFollowsWithoutAFlush() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        defer { sink.stop() }
        let builder = fixture.builder()
        builder.relation(Self.counter)
        let deadline = ContinuousClock.now + .seconds(60)
        var durable: Cursor?
        var number = 0
        while durable == nil && ContinuousClock.now < deadline {
            number += 1
            builder.transaction(lsn: UInt64(number * 100)) { $0.insert(Self.counter, [text(number), "x"]) }
            if case .durable(let cursor) = try sink.write(builder.build()) { durable = cursor }
        }
        #expect(durable != nil)
    }

    /// With synchronous standbys commits wait, here for the local disk by the connection's own setting.
    @Test func synchronousStandbysAreWaitedFor() throws {
        let server = try PostgresServer(settings: [
            "synchronous_standby_names": "'none'", "synchronous_commit": "local",
        ])
        let database = try server.makeDatabase("standby")
        let sink = try makeSink(server, database)
        defer { sink.stop() }
        _ = try sink.start(after: nil, logID: Self.logID)
        for batch in batches(2, rows: 5) { #expect(try sink.write(batch) == .durable(through: batch.end)) }
    }

    /// Some hosted servers do not say how far their WAL is.
    @Test func commitsWaitWhereThePositionsAreSecret() throws {
        let server = try PostgresServer()
        let database = try server.makeDatabase("secret")
        try server.execute(
            """
            create role weak login; grant create, temporary on database \(database) to weak;
            grant create on schema public to weak; grant set on parameter session_replication_role to weak;
            revoke execute on function pg_current_wal_flush_lsn() from public
            """, database: database)
        let sink = try makeSink(server, database, user: "weak")
        defer { sink.stop() }
        _ = try sink.start(after: nil, logID: Self.logID)
        for batch in batches(2, rows: 5) { #expect(try sink.write(batch) == .durable(through: batch.end)) }
    }
}
