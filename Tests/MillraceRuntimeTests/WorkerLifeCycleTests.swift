import Foundation
import MillraceCatalog
import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

/// The life cycle as Kafka Connect answers it; the numbers are those of its recorded answers.
@Suite(.timeLimit(.minutes(1))) struct WorkerLifeCycleTests {
    @Test func whatDoesNotExistIsNotFound() async throws {
        try await WorkerBench.run { bench in
            let worker = try bench.worker
            func message(_ body: () async throws -> Void) async -> String {
                do {
                    try await body()
                    return "no error"
                } catch let error as WorkerError {
                    return "\(error.status) \(error.message)"
                } catch {
                    return "\(error)"
                }
            }
            #expect(await message { _ = try await worker.info("none") } == "404 Connector none not found")
            #expect(await message { _ = try await worker.status("none") } == "404 No status found for connector none")
            #expect(await message { _ = try await worker.offsets("none") } == "404 Connector none not found")
            #expect(await message { try await worker.delete("none") } == "404 Connector none not found")
            #expect(await message { try await worker.pause("none") } == "404 Unknown connector none")
            #expect(await message { try await worker.resume("none") } == "404 Unknown connector none")
            #expect(await message { try await worker.stop("none") } == "404 Unknown connector: none")
            #expect(
                await message { _ = try await worker.restart("none", includeTasks: true, onlyFailed: false) }
                    == "404 Unknown connector: none")
            #expect(await message { try await worker.restartTask("none", 0) } == "404 Unknown connector: none")
            #expect(await message { _ = try await worker.resetOffsets("none") } == "404 Connector none not found")
            #expect(await message { _ = try await worker.alterOffsets("none", []) } == "404 Connector none not found")
            #expect(await worker.topics("none") == [])
            await worker.resetTopics("none")
        }
    }

    @Test func aNameIsTakenOnce() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let error = await #expect(throws: WorkerError.self) { try await bench.createSource() }
            #expect(error == WorkerError(status: 409, "Connector src already exists"))
            let long = await #expect(throws: WorkerError.self) {
                try await bench.createSource(String(repeating: "ü", count: 100))
            }
            #expect(long?.status == 400)
            let unknown = await #expect(throws: WorkerError.self) {
                _ = try await bench.worker.create(name: "x", config: ConnectorConfig(["connector.class": "nope"]))
            }
            #expect(unknown?.status == 500)
        }
    }

    @Test(arguments: ["ein Name/mit allem: ü%😀", "..", ".hidden", "a.b"])
    func oddNamesAreJustNames(name: String) async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource(name)
            try await bench.createSink("snk", "t", ["source": name])
            #expect(try await bench.isEqual())
            #expect(
                FileManager.default.fileExists(atPath: bench.directory + "/logs/" + DataDirectory.fileName(for: name)))
            try await bench.worker.delete(name)
            #expect(try FileManager.default.contentsOfDirectory(atPath: bench.directory + "/logs").isEmpty)
        }
    }

    @Test func aliasesNameTheSameClass() async throws {
        try await WorkerBench.run { bench in
            let registry = try bench.worker.plugins
            for name in [
                "scripted-source", "org.example.ScriptedSourceConnector", "ScriptedSourceConnector", "ScriptedSource",
            ] {
                #expect(registry[name]?.className == "scripted-source")
            }
            #expect(registry["Connector"] == nil)
            #expect(registry[""] == nil)
        }
    }

    @Test func aPausedSourceReadsNothingAndGoesOnWhereItWas() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            try await bench.worker.pause("src")
            try await bench.worker.pause("src")
            let status = try await bench.worker.status("src")
            #expect(status.state == "PAUSED")
            #expect(status.tasks == [TaskStateInfo(id: 0, state: "PAUSED", trace: nil)])
            let before = bench.target().history.count
            let lsn = bench.server().insert(bench.customers, ["2", "b"])
            #expect(bench.target().history.count == before)
            #expect(bench.server().acknowledged < lsn)
            _ = try await bench.worker.restart("src", includeTasks: false, onlyFailed: false)
            #expect(try await bench.worker.status("src").state == "PAUSED")
            try await bench.worker.resume("src")
            try await bench.worker.resume("src")
            #expect(try await bench.isEqual())
            #expect(try await bench.worker.status("src").state == "RUNNING")
        }
    }

    @Test func aStoppedConnectorHasNoTasks() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            for name in ["src", "snk"] {
                try await bench.worker.stop(name)
                try await bench.worker.stop(name)
                #expect(try await bench.worker.status(name).state == "STOPPED")
                #expect(try await bench.worker.info(name).tasks.isEmpty)
                let error = await #expect(throws: WorkerError.self) { try await bench.worker.restartTask(name, 0) }
                #expect(error == WorkerError(status: 404, "Task \(name)-0 not found"))
                let answer = try await bench.worker.restart(name, includeTasks: true, onlyFailed: false)
                #expect(answer?.state == "RESTARTING")
                #expect(answer?.tasks.isEmpty == true)
                #expect(try await bench.worker.status(name).state == "STOPPED")
            }
            bench.server().insert(bench.customers, ["2", "b"])
            for name in ["snk", "src"] { try await bench.worker.resume(name) }
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
        }
    }

    @Test func aPausedSinkKeepsItsPlace() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            try await bench.worker.pause("snk")
            #expect(try await bench.worker.status("snk").tasks == [TaskStateInfo(id: 0, state: "PAUSED", trace: nil)])
            let lsn = bench.server().insert(bench.customers, ["2", "b"])
            // The source does not wait for it.
            #expect(try await bench.acknowledged(lsn))
            #expect(bench.target().history.count == 1)
            try await bench.worker.resume("snk")
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
        }
    }

    @Test(arguments: [TargetState.paused, .stopped])
    func anInitialStateIsKept(state: TargetState) async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSink()
            let info = try await bench.worker.create(
                name: "src", config: bench.sourceConfig(), initialState: state)
            #expect(info.tasks.isEmpty)
            let status = try await bench.worker.status("src")
            #expect(status.state == state.rawValue)
            #expect(status.tasks.isEmpty)
            #expect(try await bench.worker.offsets("src").isEmpty)
            try await bench.worker.resume("src")
            #expect(try await bench.worker.info("src").tasks == [0])
            #expect(try await bench.isEqual())
        }
    }

    @Test func restartsAnswerWhatTheyWillDo() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let worker = try bench.worker
            let all = try await worker.restart("src", includeTasks: true, onlyFailed: false)
            #expect(all?.state == "RESTARTING")
            #expect(all?.tasks.map(\.state) == ["RESTARTING"])
            let failed = try await worker.restart("src", includeTasks: true, onlyFailed: true)
            #expect(failed?.state == "RUNNING")
            #expect(failed?.tasks.map(\.state) == ["RUNNING"])
            let connector = try await worker.restart("src", includeTasks: false, onlyFailed: true)
            #expect(connector?.tasks.map(\.state) == ["RUNNING"])
            let runs = bench.server().runs
            try await worker.restartTask("src", 0)
            let server = bench.server()
            #expect(try await WorkerThread.run("wait") { server.waitForRuns(runs + 1) })
            let error = await #expect(throws: WorkerError.self) { try await worker.restartTask("src", 9) }
            #expect(error == WorkerError(status: 404, "Task src-9 not found"))
        }
    }

    @Test func aNewConfigurationRestartsTheTasks() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let made = try await bench.worker.putConfig("snk", bench.sinkConfig("first"))
            #expect(made.created)
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual("first"))

            // The new target keeps its own cursor, and has none yet.
            let changed = try await bench.worker.putConfig("snk", bench.sinkConfig("second"))
            #expect(!changed.created)
            #expect(changed.info.config["target"] == "second")
            #expect(changed.info.config["name"] == "snk")
            #expect(try await bench.isEqual("second"))

            let source = try await bench.worker.putConfig("src", bench.sourceConfig("srv", ["extra": "1"]))
            #expect(source.info.config["extra"] == "1")
            bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual("second"))

            let error = await #expect(throws: WorkerError.self) {
                _ = try await bench.worker.putConfig("snk", bench.sourceConfig())
            }
            #expect(error?.status == 400)
        }
    }

    @Test func aConfigurationThatCannotWorkFailsTheTaskNotTheServer() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource("src", "srv", ["scripted.error": "cannot be"])
            let status = try await bench.waitForStatus("src") { $0.tasks.first?.state == "FAILED" }
            #expect(status.tasks.first?.trace == "scripted: cannot be")
            _ = try await bench.worker.putConfig("src", bench.sourceConfig())
            let later = try await bench.waitForStatus("src") { $0.tasks.first?.state == "RUNNING" }
            #expect(later.tasks.first?.state == "RUNNING")
        }
    }

    @Test func sinksWithoutASelectionHaveNoTasks() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            #expect(try await bench.createSink("snk", "t", [:]).tasks.isEmpty)
        }
    }

    @Test func aConnectorOfAMissingClassIsKeptAndShown() async throws {
        try await WorkerBench.run { bench in
            await bench.stop()
            let catalog = try bench.openCatalog()
            try catalog.insert(.init(name: "old", config: ["connector.class": "gone"], targetState: "RUNNING"))
            catalog.close()
            try await bench.start()
            let status = try await bench.worker.status("old")
            #expect(status.state == "FAILED")
            #expect(status.type == .unknown)
            #expect(status.trace?.contains("gone") == true)
            _ = try await bench.worker.putConfig("old", bench.sourceConfig())
            #expect(try await bench.worker.status("old").type == .source)
            try await bench.worker.delete("old")
            #expect(try await bench.worker.connectorNames().isEmpty)
        }
    }
}
