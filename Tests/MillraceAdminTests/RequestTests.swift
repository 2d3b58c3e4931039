import HummingbirdTesting
import MillraceAdmin
import MillraceCore
import Testing

/// What the recordings do not show.
@Suite struct RequestTests {
    private static let source = #"""
        {"name": "src", "config": {"connector.class": "postgres", "topic.prefix": "srv", "database.hostname": "h",
         "database.user": "u", "database.dbname": "app", "database.password": "S3CR3T", "max.batch.size": 10}}
        """#

    private static let sink = #"""
        {"name": "snk", "config": {"connector.class": "null-sink", "source": "src",
         "connection.url": "postgresql://u:S3CR3T@h/db", "extra.password": "S3CR3T"}}
        """#

    private func create(_ body: String, _ server: TestServer) async throws {
        #expect(try await server.send("POST", "/connectors", body: body).status == 201)
        try await server.settle()
    }

    @Test func passwordsStayInside() async throws {
        try await TestServer.run { (server) async throws in
            try await create(Self.source, server)
            try await create(Self.sink, server)
            for path in [
                "/connectors?expand=info&expand=status", "/connectors/src", "/connectors/src/config",
                "/connectors/src/tasks", "/connectors/snk/config", "/connectors/snk/tasks", "/metrics",
                "/v1/connectors/src/details", "/v1/connectors/snk/details",
            ] {
                let answer = try await server.send("GET", path)
                #expect(answer.status == 200, "\(path)")
                #expect(!answer.text.contains("S3CR3T"), "\(path)")
            }
            // Every way of putting back what was shown keeps the password: with a lost one the source would be restarted
            // with a mask. The double does not connect, so the stored value is looked at through the mask of a URL.
            let shown = try await server.send("GET", "/connectors/snk/config").text
            #expect(try await server.send("PUT", "/connectors/snk/config", body: shown).status == 200)
            #expect(try await server.send("GET", "/connectors/snk/config").text == shown)
            let moved = #"{"connection.url": "postgresql://u:********@elsewhere/db"}"#
            #expect(try await server.send("PATCH", "/connectors/snk/config", body: moved).status == 400)
            let bad = try await server.send(
                "POST", "/connectors", body: #"{"name":"x","config":{"my.password":"S3CR3T"}}"#)
            #expect(bad.status == 400)
            #expect(!bad.text.contains("S3CR3T"))
        }
    }

    @Test(arguments: [
        ("POST", "/connectors", #"{"name": "x", "config": []}"#),
        ("POST", "/connectors", #"{"name": "x", "config": {"a": null}}"#),
        ("POST", "/connectors", #"{"name": {}, "config": {}}"#),
        ("POST", "/connectors", #"{"name": "x", "config": {}, "initial_state": 1}"#),
        ("POST", "/connectors", "[]"), ("POST", "/connectors", "null"), ("POST", "/connectors", "\u{0}"),
        ("PUT", "/connectors/x/config", #"{"a": [1]}"#), ("PUT", "/connectors/x/config", "5"),
        ("PUT", "/connectors/x/config", "{}"),
        ("PATCH", "/connectors/x/offsets", #"{"offsets": {}}"#),
        ("PATCH", "/connectors/x/offsets", #"{"offsets": [1]}"#),
        ("PATCH", "/connectors/x/offsets", #"{"offsets": [{"partition": 1}]}"#),
        ("PATCH", "/connectors/x/offsets", #"{"offsets": [{"nope": {}}]}"#),
        ("PUT", "/connector-plugins/postgres/config/validate", #"{"connector.class": "null-sink"}"#),
        ("PUT", "/admin/loggers/x", #"{"level": 5}"#), ("PUT", "/admin/loggers/x", "[]"),
        ("PUT", "/admin/loggers/x", "nonsense"),
    ])
    func malformedBodiesAreTheClientsMistake(method: String, path: String, body: String) async throws {
        try await TestServer.run { (server) async throws in
            let answer = try await server.send(method, path, body: body)
            #expect(answer.status == 400)
            #expect(answer.document?["error_code"] == .number("400"))
            #expect(answer.message?.isEmpty == false)
            #expect(try await server.send("GET", "/connectors").text == "[]")
        }
    }

    @Test(arguments: [
        ("/connectors/%", 400), ("/connectors/%zz", 400), ("/connectors/%ff", 400), ("/connectors/a%5Cb", 400),
        ("/connectors/%00", 404), ("/connectors/..%2F", 400), ("/connectors//status", 404), ("//", 200),
        ("/connectors/%2525", 404), ("/v1/connectors/none/details", 404), ("/connectors/none/tasks/-1/status", 404),
    ])
    func oddPathsAreAnswered(path: String, status: Int) async throws {
        try await TestServer.run { (server) async throws in
            #expect(try await server.send("GET", path).status == status)
        }
    }

    @Test func namesAreDecodedOnce() async throws {
        try await TestServer.run { (server) async throws in
            let body = Self.source.replacing("\"src\"", with: "\"50%25 off?\"")
            let created = try await server.send("POST", "/connectors", body: body)
            #expect(created.location == "http://localhost/connectors/50%2525%20off%3F")
            #expect(try await server.send("GET", "/connectors/50%2525%20off%3F").status == 200)
        }
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        try await TestServer.run { (server) async throws in
            let body = "{\"a\": \"" + String(repeating: "x", count: 1 << 20) + "\"}"
            let answer = try await server.send("POST", "/connectors", body: body)
            #expect(answer.status == 413)
            #expect(answer.document?["error_code"] == .number("413"))
        }
    }

    @Test func mergesIntoOneConfigurationDoNotLoseEachOther() async throws {
        try await TestServer.run { (server) async throws in
            try await create(Self.source, server)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await server.send(
                            "PATCH", "/connectors/src/config", body: "{\"my.own.property.\(number)\": \(number)}"
                        ).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
            let text = try await server.send("GET", "/connectors/src/config").text
            for number in 0..<8 { #expect(text.contains("\"my.own.property.\(number)\":\"\(number)\"")) }
        }
    }

    @Test func metricsAndDetailsDescribeSourcesAndSinks() async throws {
        try await TestServer.run { (server) async throws in
            try await create(Self.source, server)
            try await create(Self.sink, server)
            let page = try await server.poll("/metrics") {
                $0.text.contains("millrace_sink_cursor_lsn{connector=\"snk\",task=\"0\",source=\"src\"} 1494784000")
            }
            #expect(page.contentType?.hasPrefix("text/plain") == true)
            for line in [
                "millrace_source_lsn_durable{connector=\"src\"} 1494784000",
                "millrace_sink_cursor_lsn{connector=\"snk\",task=\"0\",source=\"src\"} 1494784000",
                "millrace_sink_suspended_tables{connector=\"snk\",task=\"0\",source=\"src\"} 1",
                "table=\"public.odd\\n\\\"name\\\"\"", "millrace_source_snapshot_rows_total{",
                "millrace_process_resident_memory_bytes ", "millrace_build_info{version=\"0.1.0\"",
            ] {
                #expect(page.text.contains(line), "\(line)")
            }
            for line in page.text.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(line.contains(" ") && Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
            }
            let source = try await server.send("GET", "/v1/connectors/src/details").document?["source"]
            guard case .array(let tables) = source?["tables"] ?? .null else {
                Issue.record("no tables")
                return
            }
            #expect(tables.first?["table"] == .string("public.customers"))
            #expect(tables.first?["percent"] == .number("100.0"))
            let sink = try await server.send("GET", "/v1/connectors/snk/details")
            #expect(sink.text.contains("\"reason\":\"refused\""))
        }
    }

    @Test func headAndOptionsAreAnswered() async throws {
        try await TestServer.run { (server) async throws in
            let head = try await server.send("HEAD", "/connectors")
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
            #expect(try await server.send("OPTIONS", "/connectors/x/config").allow == "HEAD,GET,PUT,PATCH,OPTIONS")
            #expect(try await server.send("GET", "/metrics", headers: ["Accept": "text/plain"]).status == 200)
            #expect(try await server.send("GET", "/metrics", headers: ["Accept": "*/*"]).status == 200)
        }
    }

    @Test func pagesOfOtherSitesAreRefused() async throws {
        try await TestServer.run { (server) async throws in
            let origin = ["Origin": "http://evil.example"]
            #expect(try await server.send("POST", "/connectors/x/restart", headers: origin).status == 403)
            #expect(try await server.send("GET", "/connectors", headers: origin).status == 200)
            let own = ["Origin": "http://localhost"]
            #expect(try await server.send("PUT", "/connectors/x/pause", headers: own).status == 404)
        }
    }

    @Test func hostNamesOfOthersAreRefused() {
        let closed = RequestGuard(listenHost: "127.0.0.1", isOpen: false)
        func status(_ authority: String?, _ requestGuard: RequestGuard) -> Int? {
            requestGuard.refusal(method: "GET", authority: authority, origin: nil, fetchSite: nil)?.status
        }
        for host in ["localhost:8083", "127.0.0.1", "127.0.0.5:1", "[::1]:8083", nil, "LOCALHOST"] {
            #expect(status(host, closed) == nil, "\(host ?? "")")
        }
        for host in ["evil.example", "evil.example:8083", "127.0.0.1.evil.example", "10.0.0.1"] {
            #expect(status(host, closed) == 403, "\(host)")
        }
        #expect(status("db.example", RequestGuard(listenHost: "0.0.0.0", isOpen: true)) == nil)
    }
}
