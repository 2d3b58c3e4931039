import Foundation
import MillraceCatalog
import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct WorkerTests {
    @Test func changesFlowFromASourceToItsSinks() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"], ["2", "b"]])
            let info = try await bench.createSource()
            #expect(info.tasks == [0])
            #expect(info.type == .source)
            #expect(info.config["name"] == "src")
            try await bench.createSink("one", "t1")
            try await bench.createSink("two", "t2", ["topics": "srv.public.customers,other.x.y"])
            let lsn = bench.server().insert(bench.customers, ["3", "c"])
            #expect(try await bench.isEqual("t1"))
            #expect(try await bench.isEqual("t2"))
            #expect(try await bench.acknowledged(lsn))
            #expect(try await bench.worker.connectorNames() == ["src", "one", "two"])
            #expect(try await bench.worker.topics("src") == ["srv.public.customers"])
            #expect(try await bench.worker.topics("two") == ["srv.public.customers"])
        }
    }

    @Test func aSinkWaitsForItsSourceAndOutlivesIt() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            #expect(try await bench.createSink().tasks == [])
            #expect(try await bench.worker.status("snk").state == "RUNNING")
            try await bench.createSource()
            #expect(try await bench.worker.info("snk").tasks == [0])
            #expect(try await bench.isEqual())

            try await bench.worker.delete("src")
            let status = try await bench.worker.status("snk")
            #expect(status.state == "RUNNING")
            #expect(status.tasks.isEmpty)
            #expect(!FileManager.default.fileExists(atPath: bench.directory + "/logs/src"))
            #expect(try await bench.worker.offsets("snk").isEmpty)
            // A new source of that name is another one, with its own full load.
            try await bench.createSource()
            bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual())
        }
    }

    @Test func aSinkOfTopicsReadsEveryMatchingSource() async throws {
        try await WorkerBench.run { bench in
            for prefix in ["a", "b", "c"] {
                let table = Relation.table(1, "t", topicPrefix: prefix, [.int4("id", key: true)])
                bench.server(prefix).load(table, [[.text(prefix)]])
                try await bench.createSource("src-\(prefix)", prefix)
            }
            try await bench.createSink(
                "some", "some", ["topics": "a.public.t,c.public.t", "target.per.source": "true"])
            try await bench.createSink("all", "all", ["topics.regex": ".*", "target.per.source": "true"])
            #expect(try await bench.worker.info("some").tasks == [0, 1])
            #expect(try await bench.worker.info("all").tasks == [0, 1, 2])
            #expect(try await bench.isEqual("some.c", "c"))
            #expect(try await bench.isEqual("all.b", "b"))
            try await bench.worker.delete("src-a")
            #expect(try await bench.worker.info("all").tasks == [1, 2])
            try await bench.createSource("src-d", "d")
            #expect(try await bench.worker.info("all").tasks == [0, 1, 2])
        }
    }

    @Test func everythingSurvivesARestartOfTheServer() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource()
            try await bench.createSink("snk")
            try await bench.createSink("idle", "idle")
            try await bench.worker.pause("idle")
            try await bench.createSource("halted", "other")
            try await bench.worker.stop("halted")
            #expect(try await bench.isEqual())

            try await bench.restart()
            #expect(try await bench.worker.connectorNames() == ["src", "snk", "idle", "halted"])
            #expect(try await bench.worker.status("idle").state == "PAUSED")
            #expect(try await bench.worker.status("halted").state == "STOPPED")
            #expect(try await bench.worker.status("halted").tasks.isEmpty)
            bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
            // The source was told what the log held: it did not load again.
            #expect(bench.server().recovered?.lastEndLSN == LSN(500))
            #expect(bench.server().recovered?.sourceState == Array("loaded".utf8))
        }
    }

    @Test func twoServersCannotShareADirectory() async throws {
        try await WorkerBench.run { bench in
            let second = try bench.makeWorker()
            let error = await #expect(throws: ConnectorError.self) { try await second.start() }
            #expect(error?.code == "data_directory_in_use")
            #expect(error?.message.contains("process \(getpid())") == true)
            #expect(await second.health().isHealthy == false)
        }
    }

    @Test func theDataDirectoryIsPrivate() async throws {
        try await WorkerBench.run { bench in
            for (name, mode) in [("", 0o700), ("/logs", 0o700), ("/catalog.sqlite", 0o600), ("/lock", 0o600)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: bench.directory + name)
                #expect(attributes[.posixPermissions] as? Int == mode, "\(name)")
            }
        }
    }

    @Test func aConnectionThatBreaksInsideATransactionLeavesNothingBehind() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            for id in 0..<20 {
                if id % 5 == 0 { bench.server().breakInsideNextTransaction() }
                bench.server().insert(bench.customers, [.text("\(id)"), "x"])
            }
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 20)
            #expect(bench.server().runs >= 2)
        }
    }

    @Test func aSourceThatLosesItsServerComesBack() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            for id in 0..<5 {
                bench.server().insert(bench.customers, [.text("\(id)"), "x"])
                bench.server().fail(ConnectorError(.transient, code: "unreachable", "no route"))
            }
            let server = bench.server()
            #expect(try await WorkerThread.run("wait") { server.waitForRuns(6) })
            #expect(try await bench.isEqual())
            let details = try await bench.worker.sourceDetails("src")
            #expect(details.retries == 5)
        }
    }

    @Test func whatCannotGoOnFailsTheTaskUntilItIsRestarted() async throws {
        try await WorkerBench.run { bench in
            bench.server().fail(ConnectorError(.consistency, code: "slot_missing", "no slot", hint: "SELECT 1"))
            try await bench.createSource()
            let status = try await bench.waitForStatus("src") { $0.tasks.first?.state == "FAILED" }
            #expect(status.state == "RUNNING")
            #expect(status.tasks.first?.trace == "slot_missing: no slot\n  way out: SELECT 1")
            #expect(try await bench.worker.restart("src", includeTasks: false, onlyFailed: false) == nil)
            #expect(try await bench.worker.status("src").tasks.first?.state == "FAILED")

            let answer = try await bench.worker.restart("src", includeTasks: true, onlyFailed: true)
            #expect(answer?.state == "RUNNING")
            #expect(answer?.tasks.first?.state == "RESTARTING")
            #expect(answer?.tasks.first?.trace?.contains("slot_missing") == true)
            let later = try await bench.waitForStatus("src") { $0.tasks.first?.state == "RUNNING" }
            #expect(later.tasks.first?.state == "RUNNING")
        }
    }

    @Test func metricsTellWhereEverythingIs() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            let lsn = bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            #expect(try await bench.acknowledged(lsn))
            let metrics = try await bench.worker.metrics()
            let source = try #require(metrics.sources.first)
            #expect(source.connector == "src")
            #expect(source.log?.durable.commitLSN == LSN(lsn.value - 8))
            #expect((source.log?.byteCount ?? 0) > 0)
            #expect(source.durableLSN == lsn)
            #expect(source.lagBytes == 0)
            #expect(source.lagSeconds == 0)
            let sink = try #require(metrics.sinks.first)
            #expect(sink.source == "src")
            #expect(sink.status.changes == 1)
            #expect(metrics.connectors.map(\.name) == ["src", "snk"])
            #expect(try await bench.worker.health().isHealthy)
        }
    }

    @Test func aDeletionThatWasCutShortIsFinishedAtTheNextStart() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            await bench.stop()
            let directory = try DataDirectory(bench.directory)
            let catalog = try bench.openCatalog()
            try catalog.beginDeletion(of: "src")
            catalog.close()
            #expect(directory.hasLog(of: "src"))
            _ = consume directory
            try await bench.start()
            #expect(try await bench.worker.connectorNames() == ["snk"])
            #expect(!FileManager.default.fileExists(atPath: bench.directory + "/logs/src"))
        }
    }

    @Test func aLogThatCannotBeOpenedFailsItsConnectorAndHealth() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource()
            try await bench.createSink()
            #expect(try await bench.isEqual())
            await bench.stop()
            // A file stands where the directory should be.
            let logs = bench.directory + "/logs"
            try FileManager.default.moveItem(atPath: logs + "/src", toPath: logs + "/aside")
            try Data("x".utf8).write(to: URL(fileURLWithPath: logs + "/src"))
            try await bench.start()
            let status = try await bench.worker.status("src")
            #expect(status.state == "FAILED")
            #expect(status.trace?.isEmpty == false)
            #expect(try await bench.worker.health().isHealthy == false)
            #expect(try await bench.worker.status("snk").tasks.isEmpty)

            try FileManager.default.removeItem(atPath: logs + "/src")
            try FileManager.default.moveItem(atPath: logs + "/aside", toPath: logs + "/src")
            _ = try await bench.worker.restart("src", includeTasks: false, onlyFailed: false)
            #expect(try await bench.worker.health().isHealthy)
            bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
        }
    }
}
