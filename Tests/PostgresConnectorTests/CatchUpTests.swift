import Foundation
import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// Catching up against a real server. The oracle is the stream: what the walsender sends for the same WAL.
@Suite struct CatchUpTests {
    /// Little is enough for catching up to begin, and calls are small.
    private static let eager = [
        "snapshot.mode": "no_data", "catchup.threshold.bytes": "4096", "catchup.temp.bytes": "4194304",
    ]
    /// With room in memory, so that transactions are not streamed before their commit.
    private static let roomy = Result { try PostgresServer(settings: ["logical_decoding_work_mem": "'64MB'"]) }

    /// A database with a publication, and a slot that stands before everything that follows.
    private func parked(_ server: PostgresServer? = nil) throws -> StreamingDatabase {
        let database = try StreamingDatabase(server)
        let publication = database.config()["publication.name"] ?? ""
        try database.sql(
            """
            create table t (id int primary key, v text, big text);
            create table other (a int, b numeric(12, 3), c timestamptz, primary key (a));
            create table marker (id int primary key);
            create publication "\(publication)" for all tables;
            select pg_create_logical_replication_slot('park_\(database.name)', 'pgoutput');
            """)
        return database
    }

    private func copySlot(_ database: StreamingDatabase, _ name: String) throws {
        try database.sql("select pg_copy_logical_replication_slot('park_\(database.name)', '\(name)')")
    }

    /// Reads everything up to the marker from a copy of the parked slot. Ends with the slot standing where the log ends.
    private func read(
        _ database: StreamingDatabase, _ name: String, _ changes: [String: String], heard: Monitor<[String]>? = nil
    ) throws -> MemoryLog {
        let slot = "\(name)_\(database.name)"
        try copySlot(database, slot)
        var values = changes
        values["slot.name"] = slot
        let running = try RunningSource(database.config(values), into: MemoryLog(), heard: heard)
        try eventually("the marker arrives", state: { "\(running.source.status())" }) {
            try running.check()
            return try running.log.contents().rows["public.marker"]?.isEmpty == false
        }
        try running.stop()
        try database.sql("select pg_drop_replication_slot('\(slot)')")
        return running.log
    }

    private func seed() -> UInt64 {
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
    }

    /// Transactions of all kinds: small and large, with subtransactions that are rolled back, aborted, with messages, with
    /// values out of line, with DDL between and inside.
    private func work(_ database: StreamingDatabase, rounds: Int, seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var next = 1
        for round in 0..<rounds {
            let first = next
            next += Int.random(in: 1...400, using: &random)
            let insert =
                "insert into t(id, v, big) select i, 'v' || i, "
                + "case when i % 17 = 0 then (select string_agg(md5((i * k)::text), '') from generate_series(1, 200) k) end "
                + "from generate_series(\(first), \(next - 1)) i;"
            let some = Int.random(in: 1...max(first, 1), using: &random)
            switch Int.random(in: 0..<9, using: &random) {
            case 0: try database.sql("begin; \(insert) update t set v = v || '!' where id % 7 = \(round % 7); commit;")
            case 1: try database.sql("begin; \(insert) rollback;")
            case 2:
                try database.sql(
                    """
                    begin; \(insert) savepoint a; update t set v = 'gone' where id > \(some);
                    insert into other select i, 1 from generate_series(1000000, 1000300) i; rollback to a;
                    delete from t where id = \(some); commit;
                    """)
            case 3:
                try database.sql(
                    """
                    \(insert) select pg_logical_emit_message(false, 'm', 'outside \(round)');
                    begin; select pg_logical_emit_message(true, 'm', 'inside \(round)'); commit;
                    """)
            case 4: try database.sql("alter table t add column c\(round) int default \(round); \(insert)")
            case 5: try database.sql("begin; \(insert) alter table other alter column a set default \(round); commit;")
            case 6:
                try database.sql(
                    "truncate other; insert into other select i, i / 8.0, now() from generate_series(1, 50) i;")
            case 7:
                try database.sql(
                    "create table made\(round) (id int primary key); insert into made\(round) values (1), (2); \(insert)"
                )
            default: try database.sql(insert)
            }
        }
        try database.sql("insert into marker values (1)")
    }

    @Test(arguments: [false, true])
    func readsTheSameRecordsAsTheStream(isRoomy: Bool) throws {
        let seed = seed()
        let database = try parked(isRoomy ? try Self.roomy.get() : nil)
        try work(database, rounds: 60, seed: seed)
        let streamed = try read(database, "s", ["snapshot.mode": "no_data", "catchup.max.threads": "0"])
        for sessions in [1, 2] {
            let heard = Monitor<[String]>([])
            var config = Self.eager
            config["catchup.max.threads"] = "\(sessions)"
            let caughtUp = try read(database, "c\(sessions)", config, heard: heard)
            #expect(heard.read { $0.contains { $0.hasPrefix("catching up ") } }, "seed \(seed)")
            let expected = try records(streamed)
            let actual = try records(caughtUp)
            let difference = expected.indices.first { $0 >= actual.count || actual[$0] != expected[$0] }
            let place = difference.map { place in
                "record \(place): \(String(decoding: expected[place], as: UTF8.self).debugDescription), not "
                    + (place < actual.count
                        ? String(decoding: actual[place], as: UTF8.self).debugDescription : "the end")
            }
            #expect(
                difference == nil && actual.count == expected.count,
                "seed \(seed), \(sessions) sessions, \(actual.count) of \(expected.count), \(place ?? "")")
        }
    }

    /// Where a begin record has its end LSN (docs/LOG_FORMAT.md).
    private static let endLSN = RecordReader.headerSize + 13..<RecordReader.headerSize + 21

    /// All records but states of the source, and relations that say what the log has said before.
    private func records(_ log: MemoryLog) throws -> [[UInt8]] {
        let bytes = log.state.read { Array($0.bytes[..<$0.boundary]) }
        return bytes.withUnsafeBytes { raw in
            var result: [[UInt8]] = []
            var relations: [[UInt8]: [UInt8]] = [:]
            var offset = 0
            while let (kind, body) = RecordReader.peek(raw, at: offset) {
                var record = Array(raw[offset..<offset + RecordReader.headerSize + body.count])
                offset += record.count
                // The end of a transaction that began to be written before its commit was received is not known there.
                if kind == RecordKind.begin { record.removeSubrange(Self.endLSN) }
                if kind == RecordKind.sourceState { continue }
                if kind == RecordKind.relation {
                    let id = Array(body.prefix(4))
                    if relations.updateValue(record, forKey: id) == record { continue }
                }
                result.append(record)
            }
            return result
        }
    }

    @Test func changesOverToTheStreamWhileAWriterGoesOn() throws {
        let database = try parked()
        try database.sql("insert into t select i, 'waiting' from generate_series(1, 30000) i")
        try copySlot(database, "slot_\(database.name)")
        let isDone = Monitor(false)
        let writer = WorkerThread("writer") {
            var id = 100_000
            while !isDone.read({ $0 }) {
                id += 1
                try? database.sql(
                    "insert into t values (\(id), 'live'); update t set v = 'live too' where id = \(id - 99_999)")
            }
        }
        defer {
            isDone.update { $0 = true }
            writer.join(for: .seconds(20))
        }
        let heard = Monitor<[String]>([])
        let log = MemoryLog()
        for _ in 0..<3 {
            let running = try RunningSource(database.config(Self.eager), into: log, heard: heard)
            try running.awaitStreaming()
            try running.stop()
        }
        let running = try RunningSource(database.config(Self.eager), into: log, heard: heard)
        try running.awaitStreaming()
        isDone.update { $0 = true }
        writer.join(for: .seconds(20))
        // The log in memory refuses a transaction that comes twice, the comparison sees one that is missing.
        try database.awaitEquality(["public.t"], running)
        try running.stop()
        #expect(heard.read { $0.contains { $0.hasPrefix("caught up ") } })
        // The slot stands where the log ends, and nothing of ours is left.
        #expect(
            try database.server.query(
                "select count(*) from pg_replication_slots where slot_name like 'millrace_catchup%' "
                    + "and database = '\(database.name)'") == "0")
    }

    /// The slot stands inside the transaction, behind the changes of a savepoint that is rolled back later. They were on the
    /// server's disk when they were streamed, so that it does not tell of their rollback.
    @Test(arguments: ["0", "2"])
    func rowsOfASavepointThatWasRolledBackBehindTheStartOfDecodingDoNotArrive(sessions: String) throws {
        let database = try parked()
        try database.sql(
            """
            begin;
            insert into t select i, 'first' from generate_series(1, 10) i;
            savepoint a;
            insert into t select i, md5(i::text) from generate_series(100000, 105000) i;
            select pg_switch_wal();
            select pg_replication_slot_advance('park_\(database.name)', pg_current_wal_flush_lsn());
            savepoint b;
            insert into t select i, md5(i::text) from generate_series(200000, 205000) i;
            rollback to a;
            insert into t select i, 'last' from generate_series(11, 20) i;
            commit;
            insert into marker values (1);
            """)
        var config = Self.eager
        config["catchup.max.threads"] = sessions
        let heard = Monitor<[String]>([])
        let log = try read(database, "c", config, heard: heard)
        #expect(try log.contents().rows["public.t"]?.count == 20)
        #expect(heard.read { $0.contains { $0.contains("stream_incomplete") } }, "\(heard.read { $0 })")
    }

    @Test func leavesTransactionsThatAreTooLargeToTheWalsender() throws {
        let database = try parked()
        try database.sql("insert into t select i, md5(i::text) from generate_series(1, 60000) i")
        for k in 0..<20 {
            try database.sql("insert into other select i, 1 from generate_series(\(k * 1000), \(k * 1000 + 999)) i")
        }
        try database.sql("insert into marker values (1)")
        let heard = Monitor<[String]>([])
        var config = Self.eager
        config["catchup.temp.bytes"] = "2097152"
        let log = try read(database, "c", config, heard: heard)
        #expect(try log.contents().rows["public.t"]?.count == 60_000)
        #expect(try log.contents().rows["public.other"]?.count == 20_000)
        let messages = heard.read { $0 }
        #expect(messages.contains { $0.contains("largeTransaction") }, "\(messages)")
    }

    @Test func leavesToTheWalsenderWhatTheServersTemporaryFilesCannotHold() throws {
        let database = try parked(try Self.roomy.get())
        try database.sql(
            "insert into t select i, md5(i::text) from generate_series(1, 100000) i; insert into marker values (1)")
        try database.sql("alter database \(database.name) set temp_file_limit = '1MB'")
        let heard = Monitor<[String]>([])
        var config = Self.eager
        config["catchup.temp.bytes"] = "1073741824"
        let log = try read(database, "c", config, heard: heard)
        #expect(try log.contents().rows["public.t"]?.count == 100_000)
        #expect(heard.read { $0.contains { $0.contains("temp_file_limit") } })
    }

    @Test func streamsWhereThereIsNoFreeSlot() throws {
        let server = try PostgresServer(settings: ["max_replication_slots": "2"])
        let database = try parked(server)
        try database.sql("insert into t select i, 'x' from generate_series(1, 5000) i; insert into marker values (1)")
        let heard = Monitor<[String]>([])
        let log = try read(database, "c", Self.eager, heard: heard)
        #expect(try log.contents().rows["public.t"]?.count == 5_000)
        #expect(heard.read { $0.contains { $0.contains("cannot be read by calls") } })
    }

    @Test func noticesThatSomebodyElseMovesTheSlot() throws {
        let database = try parked(try Self.roomy.get())
        let slot = "slot_\(database.name)"
        for k in 0..<40 {
            try database.sql("insert into t select i, 'x' from generate_series(\(k * 1000), \(k * 1000 + 999)) i")
        }
        try copySlot(database, slot)
        let log = MemoryLog()
        log.state.update { $0.busyBehindCommits = 5 }
        var config = Self.eager
        config["catchup.temp.bytes"] = "2097152"
        let running = try RunningSource(database.config(config), into: log)
        try eventually("catching up is underway") {
            try running.check()
            return log.state.read { $0.isBusy }
        }
        try eventually("the slot is free") {
            (try? database.sql("select pg_replication_slot_advance('\(slot)', pg_current_wal_lsn())")) != nil
        }
        log.state.update { $0.isBusy = false }
        #expect(try running.failure().code == "slot_ahead")
    }

    @Test func stopsInTheMiddleAndGoesOn() throws {
        let database = try parked()
        for k in 0..<60 {
            try database.sql("insert into t select i, 'x' from generate_series(\(k * 1000), \(k * 1000 + 999)) i")
        }
        try copySlot(database, "slot_\(database.name)")
        let log = MemoryLog()
        var config = Self.eager
        config["catchup.temp.bytes"] = "2097152"
        for stop in [1, 10, 30] {
            let running = try RunningSource(database.config(config), into: log)
            try eventually("it has got further", state: { "\(running.source.status())" }) {
                try running.check()
                return log.state.read { $0.commits.count } > stop
            }
            try running.stop()
        }
        let running = try RunningSource(database.config(config), into: log)
        try database.awaitEquality(["public.t"], running)
        try running.stop()
    }
}
