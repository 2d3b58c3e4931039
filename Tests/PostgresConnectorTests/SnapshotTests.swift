import Logging
import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// A full load of everything that is captured in a database, at a snapshot taken when it is made.
struct SnapshotRun {
    let output = SnapshotTestOutput()
    let progress = SnapshotProgress()
    let exporter: PostgresConnection
    let tables: [CapturedTable]
    let snapshot: InitialSnapshot
    static let lsn = LSN(0x1_0000_0028)

    /// `beforeLoad`: SQL that runs behind the snapshot.
    init(_ database: TestDatabase, _ values: [String: String] = [:], beforeLoad: String = "") throws {
        let options = try database.options(values)
        let connection = try options.connect()
        _ = try Publication.ensure(options, connection)
        exporter = try options.connect()
        try exporter.execute("BEGIN ISOLATION LEVEL REPEATABLE READ", "export")
        let name = try exporter.execute("SELECT pg_export_snapshot()", "export").scalar ?? ""
        tables = try capturedTables(options, connection)
        snapshot = InitialSnapshot(
            options: options, tables: tables, snapshotName: name, consistentLSN: Self.lsn, output: output,
            progress: progress, logger: Logger(label: "test"))
        if !beforeLoad.isEmpty { try database.execute(beforeLoad) }
    }

    func load() throws -> LoadedTables {
        try snapshot.run()
        return try LoadedTables(output, consistentLSN: Self.lsn)
    }

    /// The rows at the snapshot.
    func expected(_ sql: String) throws -> Set<[String?]> {
        Set(try exporter.execute(sql, "select").rows)
    }
}

@Suite struct SnapshotTests {
    @Test func allKindsOfTables() throws {
        let database = try TestDatabase(
            #"""
            CREATE TABLE a (id int PRIMARY KEY, v text, g int GENERATED ALWAYS AS (id * 2) STORED, n numeric);
            INSERT INTO a VALUES (1, E'tab\t nl\n back\\slash \\N', DEFAULT, 'NaN'), (2, NULL, DEFAULT, NULL), (3, '', DEFAULT, 1e30);
            CREATE TABLE keyless (x int, y bytea); INSERT INTO keyless SELECT 1, '\x00ff5c' FROM generate_series(1, 3);
            CREATE TABLE empty (id int PRIMARY KEY);
            CREATE TABLE "no columns" (); INSERT INTO "no columns" DEFAULT VALUES;
            CREATE SCHEMA "S p"; CREATE TABLE "S p"."Mixed ""T""" ("C 1" int, gone int, "ü" text);
            INSERT INTO "S p"."Mixed ""T""" VALUES (1, 2, 'é😀'); ALTER TABLE "S p"."Mixed ""T""" DROP COLUMN gone;
            CREATE TABLE parent (id int); CREATE TABLE child (more int) INHERITS (parent);
            INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
            CREATE UNLOGGED TABLE fleeting (id int); INSERT INTO fleeting VALUES (1);
            CREATE VIEW v AS SELECT 1;
            """#)
        let run = try SnapshotRun(database)
        let loaded = try run.load()
        let names: Set = [
            "public.a", "public.keyless", "public.empty", "public.no columns", "S p.Mixed \"T\"", "public.parent",
            "public.child",
        ]
        #expect(Set(loaded.rows.keys) == names)
        #expect(loaded.columns["public.a"] == ["id", "v", "n"])
        #expect(loaded.set("public.a") == (try run.expected("SELECT id, v, n FROM public.a")))
        #expect(loaded.rows["public.keyless"] == Array(repeating: ["1", "\\x00ff5c"], count: 3))
        #expect(loaded.rows["public.empty"] == [])
        #expect(loaded.rows["public.no columns"] == [[]])
        #expect(loaded.rows["S p.Mixed \"T\""] == [["1", "é😀"]])
        #expect(loaded.rows["public.parent"] == [["1"]])
        #expect(loaded.rows["public.child"] == [["2", "3"]])
        let progress = try #require(run.progress[database.oid("a")])
        #expect(progress.rowsLoaded == 3)
        #expect(progress.state == .streaming)
        #expect(run.tables.map(\.name) == run.tables.map(\.name).sorted())
    }

    /// Split by ctid, while rows are inserted, moved by updates, and deleted.
    @Test func aParallelLoadEqualsTheTableAtItsSnapshot() throws {
        let database = try TestDatabase(
            """
            CREATE TABLE big (id int PRIMARY KEY, v text) WITH (fillfactor = 10);
            INSERT INTO big SELECT i, repeat('x', 90) || i FROM generate_series(1, 60000) i;
            CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 1000);
            """)
        let run = try SnapshotRun(database, ["snapshot.max.threads": "4"])
        let writer = try database.server.spawn(
            """
            DO $$ BEGIN FOR i IN 1..40 LOOP
                UPDATE big SET v = 'changed' WHERE id BETWEEN i * 1000 AND i * 1000 + 300; DELETE FROM big WHERE id % 1000 = 0 AND id < i * 500;
                INSERT INTO big VALUES (100000 + i, 'new'); INSERT INTO small VALUES (2000 + i); COMMIT;
            END LOOP; END $$
            """, database: database.name)
        let loaded = try run.load()
        #expect(writer.waitForExit(within: .seconds(60)) == 0)
        #expect(loaded.set("public.big") == (try run.expected("SELECT id, v FROM public.big")))
        #expect(loaded.rows["public.big"]?.count == 60_000)
        #expect(loaded.rows["public.small"]?.count == 1000)
        #expect(loaded.largestTransaction < 4 << 20)
        #expect(loaded.transactions > 4)
    }

    @Test(arguments: [false, true]) func partitionedTables(viaRoot: Bool) throws {
        let database = try TestDatabase(
            """
            CREATE TABLE p (id int, t text) PARTITION BY RANGE (id);
            CREATE TABLE p1 (t text, id int); ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
            CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
            CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (10) TO (20);
            CREATE TABLE p2b PARTITION OF p2 FOR VALUES FROM (20) TO (30);
            CREATE TABLE bare (id int) PARTITION BY LIST (id);
            INSERT INTO p SELECT i, 'r' || i FROM generate_series(1, 29) i;
            """)
        let values = [
            "publication.autocreate.mode": "filtered", "table.include.list": "public.p,public.bare",
            "publish.via.partition.root": "\(viaRoot)",
        ]
        let loaded = try SnapshotRun(database, values).load()
        if viaRoot {
            #expect(loaded.rows.mapValues(\.count) == ["public.p": 29, "public.bare": 0])
            #expect(loaded.rows["public.p"]?.contains(["5", "r5"]) == true)
        } else {
            #expect(loaded.rows.mapValues(\.count) == ["public.p1": 9, "public.p2a": 10, "public.p2b": 10])
            #expect(loaded.rows["public.p1"]?.contains(["r5", "5"]) == true)
        }
    }

    @Test func overridesFiltersAndListsAreHonoured() throws {
        let database = try TestDatabase(
            """
            CREATE TABLE a (id int PRIMARY KEY, v text, secret text); INSERT INTO a SELECT i, 'v', 's' FROM generate_series(1, 9) i;
            CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'b' FROM generate_series(1, 9) i;
            CREATE TABLE c (id int PRIMARY KEY, v text, w text); INSERT INTO c SELECT i, 'c', 'w' FROM generate_series(1, 9) i;
            CREATE TABLE d (id int);
            CREATE PUBLICATION pub FOR TABLE a, b, c (id, w) WHERE (id > 6);
            """)
        let override = "snapshot.select.statement.overrides"
        let loaded = try SnapshotRun(
            database,
            [
                override: "public.a", "\(override).public.a": "SELECT * FROM public.a WHERE id < 3 ;",
                "column.exclude.list": "public.a.secret", "publication.autocreate.mode": "disabled",
                "snapshot.include.collection.list": "public.(a|c|d)",
            ]
        ).load()
        #expect(loaded.set("public.a") == [["1", "v"], ["2", "v"]])
        #expect(loaded.columns["public.c"] == ["id", "w"])
        #expect(loaded.set("public.c") == [["7", "w"], ["8", "w"], ["9", "w"]])
        #expect(Set(loaded.rows.keys) == ["public.a", "public.c"])
    }

    @Test func whatIsMadeBehindTheSnapshotComesWithTheStream() throws {
        let database = try TestDatabase("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        let run = try SnapshotRun(
            database, beforeLoad: "ALTER TABLE a ADD b int DEFAULT 5; INSERT INTO a VALUES (2); VACUUM FULL a")
        #expect(try run.load().rows["public.a"] == [["1"]])
    }

    @Test func aRewriteBehindTheSnapshotIsNoticed() throws {
        for change in ["ALTER TABLE a ALTER id TYPE bigint", "TRUNCATE a"] {
            let database = try TestDatabase("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
            let run = try SnapshotRun(database, beforeLoad: change)
            let error = #expect(throws: ConnectorError.self) { try run.snapshot.run() }
            #expect(error?.code == "table_changed_during_load")
            #expect(error?.kind == .transient)
            #expect(error?.message.contains("public.a") == true)
        }
    }

    @Test func aTableThatCannotBeReadIsNamed() throws {
        let database = try TestDatabase(
            """
            CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000);
            CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY);
            """)
        for (change, code) in [
            ("DROP TABLE b", "table_changed_during_load"),
            ("ALTER TABLE c RENAME id TO x", "table_changed_during_load"),
        ] {
            let run = try SnapshotRun(database, ["snapshot.max.threads": "2"], beforeLoad: change)
            let error = #expect(throws: ConnectorError.self) { try run.snapshot.run() }
            #expect(error?.code == code)
            #expect(error?.message.contains(change.contains("b") ? "public.b" : "public.c") == true)
        }
        try database.execute(
            """
            DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA public TO reader;
            """)
        let run = try SnapshotRun(database, ["table.include.list": "public.a"])
        let options = try database.options(["database.user": "reader"])
        let denied = InitialSnapshot(
            options: options, tables: run.tables, snapshotName: try exported(run), consistentLSN: SnapshotRun.lsn,
            output: run.output, progress: run.progress, logger: Logger(label: "test"))
        let error = #expect(throws: ConnectorError.self) { try denied.run() }
        #expect(error?.code == "permission_denied")
        #expect(error?.message.contains("public.a") == true)
        #expect(error?.hint?.contains("GRANT SELECT") == true)
    }

    private func exported(_ run: SnapshotRun) throws -> String {
        try run.exporter.execute("SELECT pg_export_snapshot()", "export").scalar ?? ""
    }

    @Test func aLostSnapshotAndALostConnectionAreTriedAgain() throws {
        let database = try TestDatabase(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10)")
        let lost = try SnapshotRun(database)
        try lost.exporter.execute("COMMIT", "export")
        let error = #expect(throws: ConnectorError.self) { try lost.snapshot.run() }
        #expect(error?.code == "snapshot_lost")
        #expect(error?.kind == .transient)

        // The reader waits for a lock when its process is ended.
        let cut = try SnapshotRun(database)
        let locker = try database.connect()
        try locker.execute("BEGIN; LOCK TABLE public.a", "lock")
        let result = Monitor<ConnectorError?>(nil)
        let snapshot = cut.snapshot
        let thread = WorkerThread("load") {
            do throws(ConnectorError) { try snapshot.run() } catch { result.update { $0 = error } }
        }
        _ = try eventually("the reader waits", within: .seconds(20)) { () -> Bool? in
            try database.scalar(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
                    + " AND wait_event_type = 'Lock'") == "1" ? true : nil
        }
        #expect(thread.join(for: .seconds(20)))
        #expect(result.read { $0?.kind } == .transient)
        try locker.execute("ROLLBACK", "unlock")
    }

    @Test func aBusyLogIsAskedAgain() throws {
        let database = try TestDatabase(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10)")
        let run = try SnapshotRun(database)
        run.output.state.update { $0.refusals = 5 }
        #expect(try run.load().rows["public.a"]?.count == 10)
    }

    @Test func stopEndsALoadThatWaitsForTheLogOrForTheServer() throws {
        let database = try TestDatabase(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10)")
        let busy = try SnapshotRun(database)
        busy.output.state.update { $0.isBusyForEver = true }
        try expectStop(busy) { _ = busy.output.state.wait { $0.attempts > 1 ? true : nil } }

        let locked = try SnapshotRun(database)
        let locker = try database.connect()
        try locker.execute("BEGIN; LOCK TABLE public.a", "lock")
        try expectStop(locked) {
            _ = locked.output.state.wait { $0.attempts > 0 ? true : nil }
        }
        try locker.execute("ROLLBACK", "unlock")
        let early = try SnapshotRun(database)
        early.snapshot.stop()
        #expect(throws: ConnectorError.stopped) { try early.snapshot.run() }
    }

    private func expectStop(_ run: SnapshotRun, when isReached: () -> Void) throws {
        let result = Monitor<ConnectorError?>(nil)
        let snapshot = run.snapshot
        let thread = WorkerThread("load") {
            do throws(ConnectorError) { try snapshot.run() } catch { result.update { $0 = error } }
        }
        isReached()
        snapshot.stop()
        #expect(thread.join(for: .seconds(20)))
        #expect(result.read { $0 } == .stopped)
    }

    @Test func largeTablesAreSplitWhereTheServerCanReadRanges() throws {
        let leaf = CapturedTable.Leaf(oid: 1, name: TableName(schema: "s", table: "t"), blocks: 100, hasTupleIDs: true)
        let relation = CapturedRelation(
            relation: Relation.table(1, "t", schema: "s", [.int4("id", key: true)]), isCaptured: true)
        let table = CapturedTable(oid: 1, name: leaf.name, kind: 0x72, relation: relation, leaves: [leaf])
        func statements(_ threads: Int, version: Int = 150_000, _ values: [String: String] = [:]) throws -> [String] {
            var values = values
            values["snapshot.max.threads"] = "\(threads)"
            let options = try FilterTests.options(values)
            return SnapshotPlan([table], options: options, serverVersion: version, splitBlocks: 40).pieces.map(\.sql)
        }
        let whole = ["COPY \"s\".\"t\" (\"id\") TO STDOUT"]
        #expect(try statements(1) == whole)
        #expect(try statements(2, version: 130_000) == whole)
        #expect(try statements(2, ["legacy.snapshot.max.threads": "true"]) == whole)
        let select = "COPY (SELECT \"id\" FROM ONLY \"s\".\"t\" WHERE ctid >= "
        let expected = [
            select + "'(0,0)'::pg_catalog.tid AND ctid < '(40,0)'::pg_catalog.tid) TO STDOUT",
            select + "'(40,0)'::pg_catalog.tid AND ctid < '(80,0)'::pg_catalog.tid) TO STDOUT",
            select + "'(80,0)'::pg_catalog.tid) TO STDOUT",
        ]
        #expect(try statements(2) == expected)
    }

    @Test func aThousandTablesAreFoundAndLoadedInSeconds() throws {
        let database = try TestDatabase(
            "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i);"
                + " EXECUTE format('INSERT INTO t%s VALUES (1, ''x'')', i); END LOOP; END $$")
        let clock = ContinuousClock()
        let started = clock.now
        let run = try SnapshotRun(database, ["snapshot.max.threads": "2"])
        #expect(run.tables.count == 1000)
        #expect(clock.now - started < .seconds(10))
        let loaded = try run.load()
        #expect(loaded.rows.count == 1000)
        #expect(loaded.rows.values.allSatisfy { $0 == [["1", "x"]] })
    }
}
