import Foundation
import Logging
import MillraceCatalog
import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

/// A worker in a directory of its own, with scripted sources and recording sinks.
final class WorkerBench: Sendable {
    let directory: String
    let sources = ScriptedSourcePlugin()
    let sinks = RecordingSinkPlugin()
    let customers = Relation.table(1, "customers", [.int4("id", key: true), .text("name")])
    private let current: Monitor<Worker?> = Monitor(nil)

    init() {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("worker-\(UUID().uuidString)").path
    }

    var worker: Worker {
        get throws { try #require(current.read { $0 }) }
    }

    func makeWorker() throws -> Worker {
        try Worker(
            dataDirectory: directory, workerID: "127.0.0.1:8083", plugins: PluginRegistry([sources, sinks]),
            version: "1.0", logger: .quiet)
    }

    /// Starts a worker where none runs, runs `body`, and ends with an orderly stop.
    static func run(_ body: (WorkerBench) async throws -> Void) async throws {
        let bench = WorkerBench()
        try await bench.start()
        do {
            try await body(bench)
        } catch {
            await bench.stop()
            throw error
        }
        await bench.stop()
        try? FileManager.default.removeItem(atPath: bench.directory)
    }

    func start() async throws {
        let worker = try makeWorker()
        try await worker.start()
        current.update { $0 = worker }
    }

    func stop() async {
        await current.read { $0 }?.stop(within: .seconds(10))
        current.update { $0 = nil }
    }

    func restart() async throws {
        await stop()
        try await start()
    }

    func server(_ prefix: String = "srv") -> ScriptedServer { sources.server(prefix) }
    func target(_ name: String = "t") -> RecordingTarget { sinks.target(name) }

    func sourceConfig(_ prefix: String = "srv", _ more: [String: String] = [:]) -> ConnectorConfig {
        ConnectorConfig(
            ["connector.class": "scripted-source", "topic.prefix": prefix, "retriable.restart.connector.wait.ms": "1"]
                .merging(more) { $1 })
    }

    func sinkConfig(_ target: String = "t", _ more: [String: String] = ["source": "src"]) -> ConnectorConfig {
        ConnectorConfig(
            ["connector.class": "recording-sink", "target": target, "retriable.restart.connector.wait.ms": "1"]
                .merging(more) { $1 })
    }

    @discardableResult
    func createSource(_ name: String = "src", _ prefix: String = "srv", _ more: [String: String] = [:]) async throws
        -> ConnectorInfo
    {
        try await worker.create(name: name, config: sourceConfig(prefix, more))
    }

    @discardableResult
    func createSink(_ name: String = "snk", _ target: String = "t", _ more: [String: String] = ["source": "src"])
        async throws -> ConnectorInfo
    {
        try await worker.create(name: name, config: sinkConfig(target, more))
    }

    /// Whether the target comes to equal the server.
    func isEqual(_ target: String = "t", _ server: String = "srv") async throws -> Bool {
        let tables = self.server(server).tables
        let recording = self.target(target)
        return try await WorkerThread.run("wait") { recording.wait(until: tables) }
    }

    func acknowledged(_ lsn: LSN, _ server: String = "srv") async throws -> Bool {
        let scripted = self.server(server)
        return try await WorkerThread.run("wait") { scripted.waitForAcknowledgement(of: lsn) }
    }

    /// Waits until the status of a connector satisfies `condition`.
    func waitForStatus(_ name: String, _ condition: (ConnectorStatus) -> Bool) async throws -> ConnectorStatus {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            let status = try await worker.status(name)
            if condition(status) || ContinuousClock.now > deadline { return status }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}

extension WorkerBench {
    func openCatalog() throws -> any Catalog { try SQLiteCatalog(path: directory + "/catalog.sqlite") }
}
