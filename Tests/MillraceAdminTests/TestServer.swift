import Hummingbird
import HummingbirdTesting
import Logging
import MillraceAdmin
import MillraceCore
import MillraceRuntime
import MillraceTesting

/// An answer as the tests look at it.
struct Answer: Sendable {
    var status: Int
    var contentType: String?
    var location: String?
    var allow: String?
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    /// Nil where the body is no JSON.
    var document: JSONDocument? { try? JSONParser.parse(body) }

    var message: String? {
        if case .string(let text) = document?["message"] ?? .null { return text }
        return nil
    }
}

/// A worker with double plugins behind the real REST interface, in a folder of its own.
struct TestServer: Sendable {
    let client: any TestClientProtocol

    static func run(
        plugins: [any ConnectorPlugin] = [TourSourcePlugin(), NullSinkPlugin()],
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder("admin")
        defer { folder.remove() }
        let worker = try Worker(
            dataDirectory: folder.path + "/data", workerID: "127.0.0.1:8083",
            plugins: PluginRegistry(plugins), version: "0.1.0",
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let admin = AdminServer(
            worker: worker, levels: LogLevels(.warn), build: BuildInfo(version: "0.1.0", commit: "abc"),
            requestGuard: RequestGuard(listenHost: "127.0.0.1", isOpen: false),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await worker.start()
        admin.readiness.phase = .ready
        do {
            try await admin.application(host: "127.0.0.1", port: 0).test(.router) { client in
                try await body(TestServer(client: client))
            }
        } catch {
            await worker.stop(within: .seconds(5))
            throw error
        }
        await worker.stop(within: .seconds(5))
    }

    func send(
        _ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:]
    ) async throws -> Answer {
        var fields = HTTPFields()
        if body != nil && headers["Content-Type"] == nil { fields[.contentType] = "application/json" }
        for (name, value) in headers {
            switch name.lowercased() {
            case "content-type": fields[.contentType] = value
            case "accept": fields[.accept] = value
            case "origin": fields[.origin] = value
            default: break
            }
        }
        let method = HTTPRequest.Method(rawValue: method) ?? .get
        return try await client.execute(
            uri: path, method: method, headers: fields, body: body.map { ByteBuffer(string: $0) }
        ) { response in
            Answer(
                status: response.status.code, contentType: response.headers[.contentType],
                location: response.headers[.location], allow: response.headers[.allow],
                body: Array(response.body.readableBytesView))
        }
    }

    /// Asks again until the answer is as wished; the last answer in any case.
    func poll(
        _ path: String, headers: [String: String] = [:], within limit: Duration = .seconds(10),
        until isWished: (Answer) -> Bool
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + limit
        while true {
            let answer = try await send("GET", path, headers: headers)
            if isWished(answer) || ContinuousClock.now >= deadline { return answer }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits until nothing is on its way from one state to another.
    func settle() async throws {
        _ = try await poll("/connectors?expand=status") { answer in
            !answer.text.contains("UNASSIGNED") && !answer.text.contains("RESTARTING")
        }
    }
}
