import Hummingbird
import HummingbirdTesting
import Logging
import MillraceAdmin
import MillraceRuntime
import MillraceTesting
import Testing

@Suite struct HealthTests {
    /// Whoever waits for /health must not be refused afterwards.
    @Test func healthIsNotWellBeforeRequestsAreTaken() async throws {
        let folder = try TemporaryFolder("health")
        defer { folder.remove() }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let worker = try Worker(
            dataDirectory: folder.path + "/data", workerID: "127.0.0.1:8083", plugins: PluginRegistry([]),
            version: "0.1.0", logger: logger)
        let admin = AdminServer(
            worker: worker, levels: LogLevels(.warn), build: BuildInfo(version: "0.1.0", commit: "abc"),
            requestGuard: RequestGuard(listenHost: "127.0.0.1", isOpen: false), logger: logger)
        try await worker.start()
        try await admin.application(host: "127.0.0.1", port: 0).test(.router) { client in
            try await client.execute(uri: "/health", method: .get) { answer in
                #expect(answer.status == .serviceUnavailable)
                #expect(String(buffer: answer.body).contains("starting"))
            }
            admin.readiness.phase = .ready
            try await client.execute(uri: "/health", method: .get) { #expect($0.status == .ok) }
        }
        await worker.stop(within: .seconds(5))
    }
}
