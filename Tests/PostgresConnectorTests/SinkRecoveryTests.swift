import MillraceCore
import MillraceTesting
import PostgresConnector
import Testing

/// Lost connections, second writers, and stops: what is applied is applied once.
@Suite struct SinkRecoveryTests {
    private static let counter = Relation.table(50, "counter", replicaIdentity: .full, [.int4("n"), .text("v")])

    private func batches(_ fixture: SinkFixture, _ count: Int) -> [ChangeBatch] {
        let builder = fixture.builder()
        builder.relation(Self.counter)
        return (1...count).map { number in
            builder.transaction(lsn: UInt64(number * 100)) { transaction in
                for row in 0..<150 { transaction.insert(Self.counter, [text(number), text(row)]) }
            }
            return builder.build()
        }
    }

    @Test func deathBetweenCommitAndReportRepeatsNothing() throws {
        let fixture = try SinkFixture()
        let batches = batches(fixture, 3)
        let first = try fixture.start()
        _ = try first.write(batches[0])
        _ = try first.write(batches[1])
        // The runtime never learns of the second batch.
        first.stop()
        let second = try fixture.makeSink()
        let cursor = try second.start(after: batches[0].end, logID: fixture.logID)
        #expect(cursor == batches[1].end)
        _ = try second.write(batches[2])
        second.stop()
        #expect(
            try fixture.lines("select n, count(*) from counter group by n order by n") == ["1|150", "2|150", "3|150"])
    }

    @Test func lostConnectionIsTransientAndTheCursorTellsTheTruth() throws {
        let fixture = try SinkFixture()
        let batches = batches(fixture, 2)
        let sink = try fixture.start()
        defer { sink.stop() }
        _ = try sink.write(batches[0])
        try fixture.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'millrace target'"
                + " and datname = current_database()")
        do throws(ConnectorError) {
            _ = try sink.write(batches[1])
            Issue.record("no error")
        } catch {
            #expect(error.kind == .transient)
        }
        #expect(try sink.start(after: nil, logID: fixture.logID) == batches[0].end)
        _ = try sink.write(batches[1])
        #expect(try fixture.query("select count(*) from counter") == "300")
    }

    @Test func secondWriterIsKeptOut() throws {
        let fixture = try SinkFixture()
        let sink = try fixture.start()
        let other = try fixture.makeSink()
        do throws(ConnectorError) {
            _ = try other.start(after: nil, logID: fixture.logID)
            Issue.record("no error")
        } catch {
            #expect(error.kind == .transient && error.message.contains("lock"))
        }
        sink.stop()
        _ = try other.start(after: nil, logID: fixture.logID)
        other.stop()
    }

    @Test func interruptEndsAWriteThatWaits() throws {
        let fixture = try SinkFixture()
        let batches = batches(fixture, 2)
        let sink = try fixture.start()
        defer { sink.stop() }
        _ = try sink.write(batches[0])
        let lock = try fixture.server.spawn(
            "begin; lock table counter in access exclusive mode; select pg_sleep(60);", database: fixture.database)
        defer { lock.send(9) }
        let locked =
            "select exists (select from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'counter'::regclass)"
        while try fixture.query(locked) != "t" {}
        let failure = Monitor<ConnectorError?>(nil)
        let batch = batches[1]
        let writer = WorkerThread("writer") {
            do throws(ConnectorError) { _ = try sink.write(batch) } catch { failure.update { $0 = error } }
        }
        let waits = "select exists (select from pg_locks where not granted and relation = 'counter'::regclass)"
        while try fixture.query(waits) != "t" {}
        sink.interrupt()
        #expect(writer.join(for: .seconds(20)))
        #expect(failure.read { $0?.kind } == .stopped)
    }

    @Test func unreachableTargetIsTransientAndWrongPasswordIsNot() throws {
        let fixture = try SinkFixture()
        let nowhere = try fixture.makeSink(["connection.url": "postgresql://127.0.0.1:1/x?connect_timeout=2"])
        do throws(ConnectorError) {
            _ = try nowhere.start(after: nil, logID: 1)
        } catch {
            #expect(error.kind == .transient)
        }
        let noDatabase = try fixture.makeSink([
            "connection.url": "postgresql://127.0.0.1:\(fixture.server.port)/missing"
        ])
        do throws(ConnectorError) {
            _ = try noDatabase.start(after: nil, logID: 1)
            Issue.record("no error")
        } catch {
            #expect(error.kind == .configuration && error.code == "unknown_database")
        }
    }

    @Test func otherLogBeginsAtItsBeginning() throws {
        let fixture = try SinkFixture()
        let batches = batches(fixture, 1)
        let sink = try fixture.start()
        _ = try sink.write(batches[0])
        sink.stop()
        let again = try fixture.makeSink()
        #expect(try again.start(after: batches[0].end, logID: fixture.logID + 1) == nil)
        again.stop()
    }

    @Test func preflightNamesWhatIsMissing() throws {
        let fixture = try SinkFixture()
        #expect(PostgresSinkPlugin().preflight(fixture.config()).isEmpty)
        let role = "weak_\(fixture.database)"
        try fixture.execute("create role \(role) login; revoke temporary on database \(fixture.database) from public")
        let findings = PostgresSinkPlugin().preflight(fixture.config(["connection.username": role])).map(\.message)
        for statement in [
            "GRANT CREATE ON DATABASE \"\(fixture.database)\" TO \"\(role)\";",
            "GRANT TEMPORARY ON DATABASE \"\(fixture.database)\" TO \"\(role)\";",
            "GRANT SET ON PARAMETER session_replication_role TO \"\(role)\";",
        ] {
            #expect(findings.contains { $0.contains(statement) }, "\(statement)")
            try fixture.execute(statement)
        }
        #expect(PostgresSinkPlugin().preflight(fixture.config(["connection.username": role])).isEmpty)
        // And with that it works, once the role may write where the tables are.
        try fixture.execute("grant create on schema public to \(role)")
        let sink = try fixture.start(["connection.username": role])
        _ = try sink.write(batches(fixture, 1)[0])
        sink.stop()
        #expect(try fixture.query("select count(*) from counter") == "150")
    }
}
