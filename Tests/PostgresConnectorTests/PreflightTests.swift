import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// Every finding, each from a server or a role that is wrong in just that way. The tests use up slots and change settings,
/// so they have a server of their own and run one after another.
@Suite(.serialized) struct PreflightTests {
    static let shared = Result {
        try PostgresServer(settings: ["max_replication_slots": "4", "max_wal_senders": "3"])
    }

    static func database(_ sql: String = "CREATE TABLE a (id int PRIMARY KEY)") throws -> TestDatabase {
        try TestDatabase(sql, server: shared.get())
    }

    /// The only finding, or a failure of the test.
    static func only(
        _ database: TestDatabase, _ values: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ConfigFinding {
        let findings = Preflight.findings(database.config(values))
        #expect(findings.count == 1, "\(findings)", sourceLocation: sourceLocation)
        return try #require(findings.first, sourceLocation: sourceLocation)
    }

    @Test func aGoodSourceHasNoFindings() throws {
        #expect(Preflight.findings(try Self.database().config()) == [])
        let filtered = ["publication.autocreate.mode": "filtered", "table.include.list": "public.a"]
        #expect(Preflight.findings(try Self.database().config(filtered)) == [])
    }

    @Test func aWrongPropertyIsNamed() throws {
        let finding = try Self.only(Self.database(), ["table.include.list": "a.b", "table.exclude.list": "c.d"])
        #expect(finding.property == "table.exclude.list")
        #expect(
            finding.message == "The 'table.exclude.list' value is invalid: \"table.include.list\" is already specified")
    }

    @Test func aMaskIsOnlyAboutEvents() throws {
        let finding = try Self.only(Self.database(), ["column.mask.with.5.chars": "public.a.name"])
        #expect(finding.property == "column.mask.with.5.chars")
        #expect(finding.severity == .warning)
    }

    @Test func connectionsThatFail() throws {
        let database = try Self.database()
        let refused = try Self.only(database, ["database.port": "\(freePort())"])
        #expect(refused.property == "database.hostname")
        #expect(refused.message.hasPrefix("Error while validating connector config: "))
        #expect(refused.message.contains("refused"))
        let unknown = try Self.only(database, ["database.dbname": "no_such_db"])
        #expect(unknown.property == "database.hostname")
        #expect(unknown.message.contains("database \"no_such_db\" does not exist"))
        #expect(unknown.message.contains("CREATE DATABASE \"no_such_db\";"))
        let stranger = try Self.only(database, ["database.user": "stranger"])
        #expect(stranger.message.contains("CREATE ROLE \"stranger\" LOGIN REPLICATION"))
    }

    @Test func hostBasedAuthenticationMayRefuseQueriesOrReplication() throws {
        let database = try Self.database()
        try database.execute(
            "CREATE ROLE shut LOGIN SUPERUSER; CREATE ROLE checked LOGIN SUPERUSER PASSWORD 'right-word'")
        try database.server.prependHostBasedAuthentication(
            "host all shut 127.0.0.1/32 reject\nhost all checked 127.0.0.1/32 scram-sha-256")
        let shut = try eventually("the refusal is in force", within: .seconds(10)) {
            Preflight.findings(database.config(["database.user": "shut"])).first { $0.message.contains("pg_hba.conf") }
        }
        #expect(shut.property == "database.hostname")
        #expect(shut.message.contains("host \"\(database.name)\" \"shut\" <our address>/32 scram-sha-256"))
        let wrong = try Self.only(database, ["database.user": "checked", "database.password": "wrong-word"])
        #expect(wrong.message.contains("database.password"))
        #expect(!wrong.message.contains("wrong-word"))
        let right = ["database.user": "checked", "database.password": "right-word"]
        #expect(Preflight.findings(database.config(right)) == [])
    }

    @Test func aRoleWithoutPrivileges() throws {
        let database = try Self.database(
            """
            CREATE SCHEMA s; CREATE TABLE s.b (id int PRIMARY KEY); CREATE TABLE s.c (id int PRIMARY KEY, v text);
            CREATE ROLE plain LOGIN; CREATE PUBLICATION pub FOR ALL TABLES;
            """)
        let findings = Preflight.findings(database.config(["database.user": "plain"]))
        #expect(findings.map(\.property) == ["database.user", "database.user"])
        #expect(findings.first?.message.contains("ALTER ROLE \"plain\" REPLICATION;") == true)
        let grant = "GRANT USAGE ON SCHEMA \"s\" TO \"plain\"; GRANT SELECT ON \"s\".\"b\", \"s\".\"c\" TO \"plain\";"
        #expect(findings.last?.message.contains(grant) == true)
        // What the findings say mends it.
        try database.execute("ALTER ROLE plain REPLICATION; " + grant)
        #expect(Preflight.findings(database.config(["database.user": "plain"])) == [])
        #expect(Preflight.findings(database.config(["database.user": "plain", "snapshot.mode": "no_data"])) == [])
    }

    @Test func aRoleThatMayNotPublish() throws {
        let database = try Self.database()
        try database.execute(
            "CREATE ROLE guest LOGIN REPLICATION; GRANT USAGE ON SCHEMA public TO guest; GRANT SELECT ON a TO guest")
        let guest = ["database.user": "guest"]
        let all = try Self.only(database, guest)
        #expect(all.property == "publication.autocreate.mode")
        #expect(all.message.contains("CREATE PUBLICATION \"pub\" FOR ALL TABLES;"))
        let filtered = guest.merging(["publication.autocreate.mode": "filtered"]) { $1 }
        #expect(try Self.only(database, filtered).message.contains("GRANT CREATE ON DATABASE"))
        try database.execute("GRANT CREATE ON DATABASE \(database.name) TO guest")
        #expect(
            try Self.only(database, filtered).message.contains("CREATE PUBLICATION \"pub\" FOR TABLE \"public\".\"a\";")
        )
    }

    @Test func publications() throws {
        let database = try Self.database(
            "CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY)")
        let disabled = ["publication.autocreate.mode": "disabled"]
        let missing = try Self.only(database, disabled)
        #expect(missing.property == "publication.name")
        #expect(missing.message.contains("CREATE PUBLICATION \"pub\" FOR TABLE \"public\".\"a\", \"public\".\"b\";"))
        try database.execute("CREATE PUBLICATION pub FOR TABLE a (id) WITH (publish = 'insert,delete,truncate')")
        let findings = Preflight.findings(database.config(disabled))
        #expect(findings.map(\.severity) == [.warning, .warning, .warning])
        #expect(findings.allSatisfy { $0.property == "publication.name" })
        #expect(findings[0].message.contains("does not publish update"))
        #expect(findings[1].message.contains("ALTER PUBLICATION \"pub\" ADD TABLE \"public\".\"b\";"))
        #expect(findings[2].message.contains("row filters or column lists for public.a"))
        let other = try Self.only(
            database,
            disabled.merging(["table.include.list": "public.b"]) { $1 }.merging(["skipped.operations": "u"]) { $1 })
        #expect(other.severity == .error)
    }

    @Test func aPartitionThatIsShownAsItsRoot() throws {
        let database = try Self.database(
            """
            CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
            CREATE PUBLICATION pub FOR TABLE p WITH (publish_via_partition_root = true);
            """)
        let finding = try Self.only(database, ["table.include.list": "public.p1"])
        #expect(finding.severity == .error)
        #expect(finding.message.contains("SET (publish_via_partition_root = false);"))
        #expect(Preflight.findings(database.config(["table.include.list": "public.p"])) == [])
    }

    @Test func tables() throws {
        let database = try Self.database(
            """
            CREATE TABLE a (id int PRIMARY KEY); CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
            CREATE TABLE keyless (id int); CREATE TABLE nothing (id int PRIMARY KEY);
            ALTER TABLE nothing REPLICA IDENTITY NOTHING; CREATE TABLE whole (id int); ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE TABLE generated (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id) STORED);
            """)
        let none = try Self.only(database, ["table.include.list": "public.nowhere"])
        #expect(none.property == "table.include.list")
        #expect(none.severity == .error)
        let keyless = try Self.only(database, ["table.include.list": "public.(keyless|nothing|whole|a)"])
        #expect(keyless.severity == .warning)
        #expect(keyless.message.contains("public.keyless, public.nothing have no replica identity"))
        #expect(keyless.message.contains("ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;"))
        let unlogged = try Self.only(database, ["table.include.list": "public.(fleeting|a)"])
        #expect(unlogged.message.contains("ALTER TABLE \"public\".\"fleeting\" SET LOGGED;"))
        let generated = try Self.only(database, ["table.include.list": "public.generated"])
        #expect(generated.message.contains("generated columns of public.generated"))
        let many = ["table.include.list": "public.(a|whole)", "guardrail.collections.max": "1"]
        #expect(try Self.only(database, many).severity == .warning)
        #expect(
            try Self.only(database, many.merging(["guardrail.collections.limit.action": "fail"]) { $1 }).severity
                == .error)
    }

    @Test func aLockedTableDoesNotHoldTheChecksUp() throws {
        let database = try Self.database()
        let locker = try database.connect()
        try locker.execute("BEGIN; LOCK TABLE public.a", "lock")
        #expect(Preflight.findings(database.config()) == [])
        try locker.execute("ROLLBACK", "unlock")
    }

    @Test func slots() throws {
        let database = try Self.database()
        let other = try Self.database()
        func slot(_ name: String, _ sql: String, in place: TestDatabase) throws -> ConfigFinding {
            try place.execute("SELECT \(sql)")
            defer { try? place.execute("SELECT pg_drop_replication_slot('\(name)')") }
            return try Self.only(database, ["slot.name": name])
        }
        let plugin = try slot(
            "decoding", "pg_create_logical_replication_slot('decoding', 'test_decoding')", in: database)
        #expect(plugin.property == "slot.name")
        #expect(plugin.message.contains("test_decoding"))
        #expect(plugin.message.contains("SELECT pg_drop_replication_slot('decoding');"))
        let physical = try slot("physical", "pg_create_physical_replication_slot('physical')", in: database)
        #expect(physical.message.contains("physical"))
        let elsewhere = try slot("elsewhere", "pg_create_logical_replication_slot('elsewhere', 'pgoutput')", in: other)
        #expect(elsewhere.message.contains("belongs to the database \(other.name)"))

        try database.execute(
            "SELECT pg_create_logical_replication_slot('used' || i, 'pgoutput') FROM generate_series(1, 4) i")
        let full = try Self.only(database, ["slot.name": "another"])
        #expect(full.message.contains("max_replication_slots = 9"))
        #expect(Preflight.findings(database.config(["slot.name": "used1"])) == [])

        // In use: by this very connector, perhaps.
        let reader = try Self.streaming(database, "used1")
        let active = try Self.only(database, ["slot.name": "used1"])
        #expect(active.severity == .warning)
        #expect(active.message.contains("pg_terminate_backend(\(reader.backendPID))"))
        let more = [try Self.streaming(database, "used2"), try Self.streaming(database, "used3")]
        let senders = try Self.only(database, ["slot.name": "used4"])
        #expect(senders.property == "database.hostname")
        #expect(senders.message.contains("max_wal_senders = 8"))
        for connection in more + [reader] { connection.interrupt() }
        _ = try eventually("the slots are free", within: .seconds(10)) { () -> Bool? in
            try database.scalar("SELECT count(*) FROM pg_replication_slots WHERE active") == "0" ? true : nil
        }
        try database.execute("SELECT pg_drop_replication_slot('used' || i) FROM generate_series(1, 4) i")
    }

    private static func streaming(_ database: TestDatabase, _ slot: String) throws -> PostgresConnection {
        var parameters = try database.options().connection
        parameters["replication"] = "database"
        let connection = try PostgresConnection(parameters)
        try connection.startCopyOut(
            "START_REPLICATION SLOT \(slot) LOGICAL 0/0 (proto_version '1', publication_names 'pub')", "stream")
        return connection
    }

    @Test func anEncodingThatSaysNothing() throws {
        let server = try Self.shared.get()
        try server.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
        try server.execute("CREATE TABLE a (id int PRIMARY KEY)", database: "ascii")
        let finding = try Self.only(Self.database(), ["database.dbname": "ascii"])
        #expect(finding.property == "database.dbname")
        #expect(finding.message.contains("ENCODING 'UTF8'"))
    }

    @Test func aSlotThatLostItsWAL() throws {
        let database = try Self.database("CREATE TABLE a (id int PRIMARY KEY)")
        try database.execute("SELECT pg_create_logical_replication_slot('lost', 'pgoutput')")
        try database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        defer {
            try? database.execute("ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()")
            try? database.execute("SELECT pg_drop_replication_slot('lost')")
        }
        try database.execute("SELECT pg_reload_conf()")
        _ = try eventually("the slot is lost", within: .seconds(30)) { () -> Bool? in
            try database.execute("CREATE TABLE b (); DROP TABLE b; SELECT pg_switch_wal(); CHECKPOINT")
            let status = try database.scalar("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'lost'")
            return status == "lost" ? true : nil
        }
        let finding = try Self.only(database, ["slot.name": "lost"])
        #expect(finding.property == "slot.name")
        #expect(finding.message.contains("lost WAL"))
    }

    @Test func walLevelAndStandby() throws {
        let server = try PostgresServer(settings: ["wal_level": "replica"])
        defer { server.stop(.immediate) }
        let database = try TestDatabase("CREATE TABLE a (id int PRIMARY KEY)", server: server)
        let finding = try Self.only(database)
        #expect(finding.message.contains("ALTER SYSTEM SET wal_level = logical;"))
        try database.execute(
            "ALTER SYSTEM SET wal_level = logical;\nCOPY (SELECT 1) TO PROGRAM 'touch standby.signal'")
        try server.restart(.fast)
        let standby = Preflight.findings(database.config())
        #expect(standby.contains { $0.message.contains("standby") && $0.severity == .error })
    }

    @Test func versions() {
        #expect(Preflight.version(120_022).first?.severity == .error)
        #expect(Preflight.version(130_000) == [])
        #expect(Preflight.version(180_001) == [])
        #expect(Preflight.version(190_000).first?.severity == .warning)
    }
}
