import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct SourceOptionsTests {
    @Test func defaultsAreDebeziums() throws {
        let options = try FilterTests.options([:])
        #expect(options.slotName == "debezium")
        #expect(options.publicationName == "dbz_publication")
        #expect(options.publicationAutocreateMode == .allTables)
        #expect(options.snapshotMode == .initial)
        #expect(options.snapshotThreads == 1)
        #expect(options.snapshotSplitsTables)
        #expect(options.statusUpdateInterval == .seconds(10))
        #expect(options.slotMaxRetries == 6)
        #expect(options.slotRetryDelay == .seconds(10))
        #expect(options.heartbeatInterval == .zero)
        #expect(options.heartbeatActionQuery == nil)
        #expect(!options.slotDropOnStop)
        #expect(options.connection["port"] == "5432")
        #expect(options.connection["sslmode"] == "prefer")
        #expect(options.tables.isUnrestricted)
        #expect(options.columns.isUnrestricted)
        #expect(options.messagePrefixes.isUnrestricted)
    }

    @Test func truncatesAreSkippedOnlyIfAskedFor() throws {
        #expect(try FilterTests.options([:]).skippedOperations == [])
        #expect(try FilterTests.options(["skipped.operations": "none"]).skippedOperations == [])
        #expect(try FilterTests.options(["skipped.operations": "t, D"]).skippedOperations == [.truncate, .delete])
        #expect(throws: ConnectorError.self) { try FilterTests.options(["skipped.operations": "q"]) }
    }

    @Test func connectionParametersAreLibpqs() throws {
        let options = try FilterTests.options([
            "database.hostname": "db", "database.port": "6000", "database.user": "u", "database.password": " p ",
            "database.sslmode": "verify-full", "database.sslrootcert": "/ca", "database.sslcert": "/c",
            "database.sslkey": "/k", "database.sslpassword": "kp", "database.tcpKeepAlive": "false",
            "tcp.timeout.ms": "12000",
        ])
        let expected = [
            "host": "db", "port": "6000", "user": "u", "password": " p ", "dbname": "app", "sslmode": "verify-full",
            "sslrootcert": "/ca", "sslcert": "/c", "sslkey": "/k", "sslpassword": "kp", "keepalives": "0",
            "keepalives_idle": "4", "keepalives_interval": "2", "keepalives_count": "4", "tcp_user_timeout": "12000",
        ]
        #expect(options.connection.values == expected)
        // The server's end gives up after the same times.
        let sent = options.connection.pinned()["options"] ?? ""
        #expect(sent.contains("-c tcp_keepalives_idle=4 ") && sent.contains("-c tcp_user_timeout=12000"), "\(sent)")
    }

    @Test func oldNameOfNoDataIsNever() throws {
        #expect(try FilterTests.options(["snapshot.mode": "never"]).snapshotMode == .noData)
        #expect(try FilterTests.options(["snapshot.mode": "NO_DATA"]).snapshotMode == .noData)
        #expect(throws: ConnectorError.self) { try FilterTests.options(["snapshot.mode": "sometimes"]) }
    }

    @Test(arguments: [
        ("column.mask.hash.SHA-999.with.salt.x", "SHA-999"), ("column.mask.hash.SHA-256", "with.salt"),
        ("column.mask.with.many.chars", "number of characters"), ("column.truncate.to.0.chars", "at least 1"),
        ("column.mask.all", "is expected"),
    ])
    func aMaskThatNoSinkCouldCarryOutIsRefused(_ name: String, _ part: String) throws {
        let error = #expect(throws: ConnectorError.self) { try FilterTests.options([name: "public.t.c"]) }
        #expect(error?.message.contains("'\(name)'") == true && error?.message.contains(part) == true)
    }

    @Test func masksOfDebeziumsFormsAreTaken() throws {
        _ = try FilterTests.options([
            "column.mask.hash.sha-256.with.salt.x.with.salt.y": "public.t.c",
            "column.mask.hash.v2.MD5.with.salt.x": "a.b.c",
            "column.mask.with.0.chars": "public.t.d", "column.truncate.to.3.chars": "public.(t|u).e",
        ])
        let broken = ["column.mask.with.3.chars": "public.(t.d"]
        #expect(throws: ConnectorError.self) { try FilterTests.options(broken) }
    }

    @Test func overridesNeedAStatement() throws {
        let name = "snapshot.select.statement.overrides"
        let options = try FilterTests.options([name: "s.t, s.u", "\(name).s.t": "SELECT 1", "\(name).s.u": "SELECT 2"])
        #expect(options.snapshotOverrides[TableName(schema: "s", table: "u")] == "SELECT 2")
        #expect(throws: ConnectorError.self) { try FilterTests.options([name: "s.t"]) }
        #expect(throws: ConnectorError.self) { try FilterTests.options([name: "t", "\(name).t": "SELECT 1"]) }
    }

    @Test func topicsAreNamedAsTheStrategyAndTheDelimiterSay() throws {
        let table = TableName(schema: "public", table: "k")
        #expect(try FilterTests.options(["topic.delimiter": "_"]).topic(of: table) == "srv_public_k")
        let strategy = "io.debezium.schema.DefaultTopicNamingStrategy"
        #expect(try FilterTests.options(["topic.naming.strategy": strategy]).topic(of: table) == "srv.k")
    }

    @Test func topicsHaveNoOtherCharactersThanKafkaAllows() throws {
        let options = try FilterTests.options([:])
        #expect(options.topic(of: TableName(schema: "public", table: "Mixed Case-é.1")) == "srv.public.Mixed_Case-_.1")
        #expect(options.topic(of: TableName(schema: "s", table: "😀")) == "srv.s.__")
    }
}
