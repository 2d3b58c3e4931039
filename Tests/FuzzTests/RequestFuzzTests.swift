import FileConnector
import Hummingbird
import HummingbirdTesting
import Logging
import MillraceAdmin
import MillraceCore
import MillraceRuntime
import MillraceTesting
import PostgresConnector
import Testing

/// The REST interface: every path and method with hostile names, queries and bodies. The server answers, and goes on.
@Suite struct RequestFuzzTests {
    private static let paths = [
        "/", "/health", "/metrics", "/connectors", "/connectors/NAME", "/connectors/NAME/config",
        "/connectors/NAME/status",
        "/connectors/NAME/pause", "/connectors/NAME/resume", "/connectors/NAME/stop", "/connectors/NAME/restart",
        "/connectors/NAME/tasks", "/connectors/NAME/tasks/NUMBER/status", "/connectors/NAME/tasks/NUMBER/restart",
        "/connectors/NAME/topics", "/connectors/NAME/topics/reset", "/connectors/NAME/offsets", "/connector-plugins",
        "/connector-plugins/CLASS/config", "/connector-plugins/CLASS/config/validate", "/v1/connectors/NAME/details",
        "/admin/loggers", "/admin/loggers/NAME",
    ]
    private static let names = [
        "files", "source", "nobody", "%00", "%2e%2e%2f", "a%20b", "%F0%9F%90%98", "%", "%zz", "..", "root",
        String(repeating: "x", count: 3000),
    ]
    private static let numbers = ["0", "-1", "99999999999999999999", "x", "%30"]
    private static let classes = ["file-sink", "postgres", "postgres-sink", "nothing", "%00", "a.b.C"]
    private static let queries = [
        "", "", "?expand=status", "?expand=%00&expand", "?includeTasks=true&onlyFailed=x", "?=&&==", "?scope=cluster",
        "?connectorsOnly=%FF", "?forward=1&forward=2",
    ]
    private static let bodies = [
        #"{"name":"NAME","config":{"connector.class":"file-sink","path":"/tmp/nowhere","source":"source"}}"#,
        #"{"connector.class":"postgres","topic.prefix":"p","database.hostname":"127.0.0.1","database.port":"1"}"#,
        #"{"name":"NAME","config":{"a":{"b":[1,null,true]},"c":1e999},"initial_state":"STOPPED"}"#,
        #"{"offsets":[{"partition":{"source":"source"},"offset":{"lsn":"0/1","cursor":-1}}]}"#,
        #"{"offsets":[{"partition":{"server":"p"},"offset":{"lsn":99999999999999999999}}]}"#, #"{"level":"DEBUG"}"#,
        #"[{"a":1}]"#, "null", "", "{",
    ]

    @Test func requestsOfAnyKindAreAnswered() async throws {
        let folder = try TemporaryFolder("fuzz")
        defer { folder.remove() }
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        let worker = try Worker(
            dataDirectory: folder.path + "/data", workerID: "127.0.0.1:8083",
            plugins: PluginRegistry([PostgresSourcePlugin(), PostgresSinkPlugin(), FileSinkPlugin()]), version: "0",
            logger: logger)
        let admin = AdminServer(
            worker: worker, levels: LogLevels(.warn), build: BuildInfo(version: "0", commit: "0"),
            requestGuard: RequestGuard(listenHost: "127.0.0.1", isOpen: false), logger: logger)
        try await worker.start()
        admin.readiness.phase = .ready
        do {
            try await admin.application(host: "127.0.0.1", port: 0).test(.router) { client in
                for request in Self.requests(folder.path) { try await send(request, client) }
                try await client.execute(uri: "/health", method: .get) { #expect($0.status == .ok) }
            }
        } catch {
            await worker.stop(within: .seconds(5))
            throw error
        }
        await worker.stop(within: .seconds(5))
    }

    private struct Request: Sendable {
        var method: String
        var path: String
        var body: [UInt8]
        var contentType: String
    }

    private static func requests(_ folder: String) -> [Request] {
        var requests: [Request] = []
        Fuzz.cases(1500) { random in
            let path = random.pick(paths).replacing("NAME", with: random.pick(names))
                .replacing("NUMBER", with: random.pick(numbers)).replacing("CLASS", with: random.pick(classes))
            let text = random.pick(bodies).replacing("NAME", with: random.chance(2) ? "files" : random.pick(names))
                .replacing("/tmp/nowhere", with: folder + "/events")
            let body =
                random.chance(3)
                ? Array(text.utf8)
                : random.mutate(
                    Array(text.utf8), other: Array(random.pick(bodies).utf8), alphabet: Array("{}[]\",:\\".utf8))
            requests.append(
                Request(
                    method: random.pick(["GET", "GET", "POST", "PUT", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"]
                    ),
                    path: path + random.pick(queries), body: body,
                    contentType: random.pick(["application/json", "application/json", "text/plain", "", "\u{FF}"])))
        }
        return requests
    }

    private func send(_ request: Request, _ client: any TestClientProtocol) async throws {
        var fields = HTTPFields()
        fields[.contentType] = request.contentType
        let method = try #require(HTTPRequest.Method(rawValue: request.method))
        try await client.execute(
            uri: request.path, method: method, headers: fields, body: ByteBuffer(bytes: request.body)
        ) { response in
            let text = String(decoding: Array(response.body.readableBytesView).prefix(300), as: UTF8.self)
            // As Kafka Connect in its standalone mode answers.
            let isUnsupported = response.status.code == 500 && text.contains("externally setting task configurations")
            #expect(response.status.code < 500 || isUnsupported, "\(request.method) \(request.path): \(text)")
        }
    }
}
