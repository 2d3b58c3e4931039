import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct WorkerTroubleTests {
    @Test func aFailedLogIsOpenedAnewByARestart() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            // What the writing thread reports when an fsync fails.
            let host = try #require(try bench.worker.currentHerder?.sources.first?.host)
            host.note(LogTrouble.failed(.io(operation: "fdatasync", path: "/disk/log", errno: 5)))
            let lsn = bench.server().insert(bench.customers, ["2", "b"])
            let sink = try await bench.waitForStatus("snk") { $0.tasks.first?.state == "FAILED" }
            #expect(sink.tasks.first?.trace?.hasPrefix("log_failed") == true)
            let source = try await bench.worker.status("src")
            #expect(source.state == "FAILED")
            #expect(source.trace?.hasPrefix("log_failed") == true)
            let health = try await bench.worker.health()
            #expect(!health.isHealthy)
            #expect(health.message.contains("src") && health.message.contains("fdatasync"))

            // Neither a restart of the sink nor time helps.
            _ = try await bench.worker.restart("snk", includeTasks: true, onlyFailed: false)
            _ = try await bench.waitForStatus("snk") { $0.tasks.first?.state == "FAILED" }

            _ = try await bench.worker.restart("src", includeTasks: true, onlyFailed: true)
            #expect(try await bench.acknowledged(lsn))
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
            #expect(try await bench.worker.health().isHealthy)
            #expect(try await bench.worker.status("src").state == "RUNNING")
        }
    }

    @Test func aStopOfTheServerDoesNotWaitForASinkThatHangs() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            try await bench.createSink("other", "other")
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            bench.target().hold()
            let lsn = bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual("other"))
            #expect(try await bench.acknowledged(lsn))
            let start = ContinuousClock.now
            try await bench.worker.stop(within: .milliseconds(400))
            #expect(start.duration(to: .now) < .seconds(5))
            bench.target().release()
            try await bench.restart()
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)
        }
    }

    /// The next run of a source is told what the writer kept account of; a new process reads it from the disk.
    @Test func theWritersAccountIsWhatRecoveryFinds() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"], ["2", "b"]])
            try await bench.createSource()
            #expect(try await bench.acknowledged(LSN(500)))
            for round in 0..<4 {
                if round == 2 { bench.server().breakInsideNextTransaction() }
                let lsn =
                    round == 0
                    ? LSN(500)
                    : bench.server().commit(
                        (0..<round).map { (bench.customers, .insert([.text("\(round)-\($0)"), "x"])) })
                #expect(try await bench.acknowledged(lsn))
                try await bench.worker.pause("src")
                let kept = try #require(try bench.worker.currentHerder?.sources.first?.host?.recovered)
                try await bench.restart()
                let found = try #require(try bench.worker.currentHerder?.sources.first?.host?.recovered)
                #expect(kept.logID == found.logID)
                #expect(kept.lastCommitLSN == found.lastCommitLSN)
                #expect(kept.lastEndLSN == found.lastEndLSN)
                #expect(kept.lastOrdinal == found.lastOrdinal)
                #expect(kept.sourceState == found.sourceState)
                try await bench.worker.resume("src")
            }
        }
    }

    @Test func operationsDuringAndAfterAStopAreRefused() async throws {
        try await WorkerBench.run { bench in
            let worker = try bench.worker
            try await bench.createSource()
            await worker.stop(within: .seconds(5))
            await worker.stop(within: .seconds(5))
            let error = await #expect(throws: WorkerError.self) { _ = try await worker.status("src") }
            #expect(error?.status == 503)
            let other = await #expect(throws: WorkerError.self) { try await worker.pause("src") }
            #expect(other?.status == 503)
            #expect(await worker.connectorNames().isEmpty)
            #expect(await worker.metrics().sources.isEmpty)
            #expect(await worker.health() == (false, "Worker is shutting down."))
        }
    }

    @Test func manyOperationsAtOnceTakeTurns() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        let name = "snk-\(number)"
                        try await bench.createSink(name, name)
                        try await bench.worker.pause(name)
                        _ = try await bench.worker.restart("src", includeTasks: true, onlyFailed: false)
                        try await bench.worker.resume(name)
                        _ = try await bench.worker.putConfig(name, bench.sinkConfig(name))
                        if number % 3 == 0 { try await bench.worker.delete(name) }
                    }
                }
                try await group.waitForAll()
            }
            for number in 0..<12 where number % 3 != 0 { #expect(try await bench.isEqual("snk-\(number)")) }
            #expect(try await bench.worker.connectorNames().count == 9)
        }
    }
}
