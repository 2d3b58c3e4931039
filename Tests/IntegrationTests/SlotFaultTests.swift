import MillraceCore
import MillraceTesting
import Testing

/// Slot, publication and tables of the source, changed behind our back: each named state, and its way out.
@Suite(.serialized)
struct SlotFaultTests {
    private static let table =
        "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 100) i"

    /// Keeps little WAL for slots; not shared with tests that need theirs.
    private static let forgetful = Result {
        try PostgresServer(settings: ["max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB"])
    }

    private func begin(_ sql: String = table, source: PostgresServer? = nil, config: [String: String] = [:]) throws
        -> Replication
    {
        let shop = try Replication(sql, source: source, sourceConfig: config)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        return shop
    }

    private func finish(_ shop: Replication, _ tables: String...) throws {
        try shop.execute("insert into t values (9000, 1)")
        try shop.requireEqual("t", within: .seconds(90))
        for table in tables { try shop.comparison.requireEqual(table) }
    }

    @Test
    func droppedSlotIsANamedStateAndLoadsAnew() throws {
        let shop = try begin()
        try shop.stop("source")
        try shop.waitUntilSlotIsFree()
        try shop.source.execute("select pg_drop_replication_slot('\(shop.slot)')")
        try shop.execute("insert into t values (5000, 1)")
        try shop.resume("source")
        let trace = try shop.waitForSourceFailure("slot_missing", within: .seconds(90))
        // A new one would begin behind a gap.
        #expect(try shop.confirmedFlushLSN() == nil)
        try shop.loadAnew(trace)
        try finish(shop)
    }

    @Test
    func slotMadeAnewIsANamedStateAndLoadsAnew() throws {
        let shop = try begin()
        try shop.stop("source")
        try shop.waitUntilSlotIsFree()
        try shop.source.execute("select pg_drop_replication_slot('\(shop.slot)')")
        try shop.execute("insert into t values (5000, 1); delete from t where id = 3")
        try shop.execute("select pg_create_logical_replication_slot('\(shop.slot)', 'pgoutput')")
        try shop.resume("source")
        let trace = try shop.waitForSourceFailure("slot_ahead", within: .seconds(90))
        #expect(try shop.targetValue("select count(*) from t where id = 5000") == "0")
        try shop.loadAnew(trace)
        try finish(shop)
    }

    @Test
    func slotThatIsDroppedInUseIsANamedStateAndLoadsAnew() throws {
        let shop = try begin()
        try shop.source.execute(
            """
            do $$ begin
                perform pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '\(shop.slot)';
                loop
                    begin
                        perform pg_drop_replication_slot('\(shop.slot)');
                        exit;
                    exception when object_in_use then null;
                    end;
                end loop;
            end $$;
            """)
        let trace = try shop.waitForSourceFailure("slot_missing", within: .seconds(90))
        try shop.loadAnew(trace)
        try finish(shop)
    }

    @Test
    func slotInvalidatedByItsSizeIsANamedStateWhoseStatementAndNewLoadMend() throws {
        let source = try SlotFaultTests.forgetful.get()
        let shop = try begin(source: source)
        try shop.stop("source")
        try shop.execute("create table filler (i int, pad text)")
        try eventually("the slot is lost", within: .seconds(90)) {
            try shop.execute(
                "insert into filler select i, repeat('x', 1000) from generate_series(1, 3000) i; select pg_switch_wal();"
                    + " checkpoint")
            return try source.query(
                "select wal_status from pg_replication_slots where slot_name = '\(shop.slot)'") == "lost"
        }
        try shop.resume("source")
        let trace = try shop.waitForSourceFailure("slot_lost", within: .seconds(90))
        try source.execute(try shop.statement("SELECT pg_drop_replication_slot", in: trace))
        try shop.loadAnew(trace)
        try finish(shop, "filler")
    }

    @Test
    func publicationThatWasGoneForAWhileIsANamedStateWithTwoWaysOut() throws {
        let shop = try begin()
        for way in ["load", "advance"] {
            try shop.execute("drop publication \(shop.publication)")
            try shop.execute("insert into t select max(id) + 1, 0 from t")
            let trace = try shop.waitForSourceFailure("publication_gap", within: .seconds(90))
            try shop.execute("create publication \(shop.publication) for all tables")
            if way == "advance" {
                // The statement leaves out the place, which is now; what is given up is missing until the tables are loaded.
                let end = try shop.currentWALLSN()
                try shop.waitUntilSlotIsFree()
                let statement = try shop.statement("SELECT pg_replication_slot_advance", in: trace)
                let parts = statement.split(separator: "'", omittingEmptySubsequences: false)
                guard parts.count == 5, parts[3].hasPrefix("<") else {
                    throw TestFailure("no place to fill in: \(statement)")
                }
                try shop.execute("\(parts[0])'\(parts[1])'\(parts[2])'\(end)'\(parts[4])")
            }
            try shop.loadAnew(trace)
            try finish(shop)
            try shop.execute("delete from t where id = 9000")
        }
    }

    @Test
    func missingPublicationIsANamedStateWhoseStatementMends() throws {
        let shop = try begin()
        shop.sourceConfig["publication.autocreate.mode"] = "disabled"
        // Refused if it came while the publication is gone.
        try shop.millrace.putConnector("source", shop.sourceConfig)
        try shop.stop("source")
        try shop.execute("drop publication \(shop.publication)")
        try shop.resume("source")
        let trace = try shop.waitForSourceFailure("publication_missing", within: .seconds(90))
        try shop.execute(try shop.statement("CREATE PUBLICATION", in: trace))
        #expect(try shop.millrace.request("POST", "/connectors/source/tasks/0/restart").status == 204)
        try shop.waitForStreaming(within: .seconds(90))
        try finish(shop)
    }

    @Test
    func tableDroppedAndMadeAgainIsCopiedAndTheOldCopySetAside() throws {
        let shop = try begin(
            "create table again (id int primary key, v int); insert into again values (1, 1), (2, 2);"
                + SlotFaultTests.table)
        try shop.execute(
            "drop table again; create table again (id int primary key, w text); insert into again values (1, 'new')")
        try shop.requireEqual("t", within: .seconds(90))
        try shop.comparison.requireEqual("again")
        // And while nobody looks.
        shop.millrace.kill9()
        try shop.execute("drop table again; create table again (id int primary key, w text, x int)")
        try shop.execute("insert into again values (1, 'newer', 1), (2, 'row', 2)")
        try shop.millrace.start()
        try shop.requireEqual("t", within: .seconds(90))
        try shop.comparison.requireEqual("again")
    }
}
