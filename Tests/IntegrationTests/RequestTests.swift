import MillraceTesting
import Testing

/// Promise 7: bad input gets a clear answer, and the server lives on.
@Suite(.serialized)
struct RequestTests {
    struct BadConfiguration: Sendable, CustomTestStringConvertible {
        var field: String
        var changes: [String: String?]
        var testDescription: String { field }

        init(_ field: String, _ changes: [String: String?]) {
            self.field = field
            self.changes = changes
        }
    }

    static let badSources: [BadConfiguration] = [
        BadConfiguration("topic.prefix", ["topic.prefix": nil]),
        BadConfiguration("database.hostname", ["database.hostname": nil]),
        BadConfiguration("database.port", ["database.port": "many"]),
        BadConfiguration("snapshot.mode", ["snapshot.mode": "sometimes"]),
        BadConfiguration("table.include.list", ["table.include.list": "public.(broken"]),
        BadConfiguration("slot.name", ["slot.name": "Not A Slot!"]),
        BadConfiguration("publication.autocreate.mode", ["publication.autocreate.mode": "perhaps"]),
        BadConfiguration("table.include.lst", ["table.include.lst": "public.t"]),
        BadConfiguration("snapshot.max.threads", ["snapshot.max.threads": "-3"]),
        // Kafka Connect's words for the class.
        BadConfiguration("name matches oracle", ["connector.class": "oracle"]),
        BadConfiguration("contains no connector type", ["connector.class": nil]),
    ]

    @Test
    func malformedConfigurationsAreRefusedNamingTheField() throws {
        let server = try MillraceProcess()
        let good: [String: String] = [
            "connector.class": "postgres", "topic.prefix": "shop", "database.hostname": "127.0.0.1",
            "database.port": "1", "database.user": "u", "database.password": "hunter2", "database.dbname": "d",
        ]
        for bad in RequestTests.badSources {
            var config = good
            for (name, value) in bad.changes { config[name] = value }
            let answer = try server.request("PUT", "/connectors/bad/config", body: jsonText(config))
            #expect((400..<500).contains(answer.status), "\(bad.field): \(answer.status) \(answer.body)")
            #expect(answer.json["message"].string?.contains(bad.field) == true, "\(bad.field): \(answer.body)")
            #expect(!answer.body.contains("hunter2"))
        }
        let sink = ["connector.class": "postgres-sink", "source": "s", "connection.url": "mysql://x/y"]
        let answer = try server.request("PUT", "/connectors/bad/config", body: jsonText(sink))
        #expect((400..<500).contains(answer.status) && answer.body.contains("connection.url"), "\(answer.body)")
        #expect(try server.request("GET", "/connectors").body == "[]")
    }

    @Test
    func malformedRequestsAreAnsweredWithAFourHundredAndTheServerLivesOn() throws {
        let server = try MillraceProcess()
        let deep = String(repeating: "[", count: 100_000)
        let bodies = [
            "", "{", "null", "[]", "\"x\"", "{\"name\":1}", "{\"name\":\"x\"}", "{\"name\":\"x\",\"config\":null}",
            "{\"name\":\"x\",\"config\":{\"connector.class\":null}}", "{\"name\":\"x\",\"config\":[]}", deep,
            "{\"name\":\"\\ud800\",\"config\":{}}", "{\"name\":\"x\",\"config\":{\"connector.class\":{\"a\":1}}}",
        ]
        for body in bodies {
            let answer = try server.request("POST", "/connectors", body: body)
            #expect((400..<500).contains(answer.status), "\(body.prefix(60)): \(answer.status) \(answer.body)")
        }
        for path in ["/connectors/%00", "/connectors/..%2f..%2fetc/status", "/connectors/%ff/config", "/%", "/none"] {
            let answer = try server.request("GET", path)
            #expect((400..<500).contains(answer.status), "\(path): \(answer.status)")
        }
        let large = String(repeating: "x", count: 1_100_000)
        let answer = try server.request("POST", "/connectors", body: "{\"name\":\"\(large)\"}")
        #expect(answer.status == 413)
        #expect(try server.request("GET", "/health").status == 200)
    }

    @Test
    func preflightFindingsNameTheSettingAndTheSQLThatMendsIt() throws {
        let plain = try PostgresServer(settings: ["wal_level": "replica"])
        let database = try plain.makeDatabase()
        try plain.execute("create role weak login; create table t (id int)", database: database)
        let server = try MillraceProcess()
        let config = [
            "name": "shop", "connector.class": "postgres", "topic.prefix": "shop", "database.hostname": "127.0.0.1",
            "database.port": "\(plain.port)", "database.user": "weak", "database.password": "x",
            "database.dbname": database,
        ]
        let answer = try server.request("PUT", "/connectors/shop/config", body: jsonText(config))
        #expect(answer.status == 400, "\(answer.body)")
        for expected in ["wal_level", "alter role", "replication"] {
            #expect(answer.body.lowercased().contains(expected), "\(expected): \(answer.body)")
        }
    }

    @Test
    func passwordsNeverComeBack() throws {
        let shop = try Replication(
            "create table t (id int primary key)", sourceConfig: ["database.password": "hunter2"])
        try shop.start()
        try shop.waitUntilCaughtUp()
        for path in [
            "/connectors/source", "/connectors/source/config", "/connectors?expand=info", "/connectors/sink/config",
            "/connectors/source/tasks",
        ] {
            let body = try shop.millrace.request("GET", path).body
            #expect(!body.contains("hunter2"), "\(path): \(body)")
        }
        #expect(!readText(shop.millrace.logFile).contains("hunter2"))
    }
}
