import Logging
import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct SourceTaskTests {
    private let customers = Relation.table(1, "customers", [.int4("id", key: true), .text("name")])

    private final class Bench: Sendable {
        let log = MemoryLog()
        let host: LogHost
        let plugin = ScriptedSourcePlugin()
        var server: ScriptedServer { plugin.server("srv") }

        init(_ settings: [String: String] = [:]) {
            host = LogHost(
                connector: "src", directory: "/dev/null", log: log, settings: LogSettings(ConnectorConfig(settings)),
                logger: .quiet)
        }

        func makeTask() -> SourceTask {
            SourceTask(
                connector: "src", host: host, plugin: plugin,
                config: ConnectorConfig(["topic.prefix": "srv", "retriable.restart.connector.wait.ms": "1"]),
                logger: .quiet)
        }
    }

    private func wait(_ condition: () -> Bool) -> Bool {
        for _ in 0..<5000 {
            if condition() { return true }
            _ = Monitor(0).wait(for: .milliseconds(1)) { _ -> Bool? in nil }
        }
        return false
    }

    @Test func aFullDiskIsShownAndHoldsTheAcknowledgementBack() throws {
        let bench = Bench()
        let task = bench.makeTask()
        task.start()
        #expect(bench.server.waitForAcknowledgement(of: bench.server.insert(customers, ["1", "a"])))
        bench.log.fill(true)
        let lsn = bench.server.insert(customers, ["2", "b"])
        #expect(wait { task.info.trace?.hasPrefix("log_disk_full") == true })
        #expect(task.info.state == "RUNNING")
        #expect(task.info.trace?.contains("/disk/log") == true)
        #expect(bench.host.trouble?.code == "log_disk_full")
        #expect(bench.host.failure == nil)
        #expect(bench.server.acknowledged < lsn)
        bench.log.fill(false)
        #expect(bench.server.waitForAcknowledgement(of: lsn))
        #expect(wait { task.info.trace == nil })
        #expect(TaskStopping.stop([task]).isEmpty)
        #expect(bench.host.trouble == nil)
    }

    @Test func aStopWhileTheDiskIsFullLosesNothing() throws {
        let bench = Bench()
        bench.log.fill(true)
        let task = bench.makeTask()
        task.start()
        let lsn = bench.server.insert(customers, ["1", "a"])
        #expect(wait { bench.host.trouble != nil })
        #expect(TaskStopping.stop([task], within: .seconds(5)).isEmpty)
        #expect(bench.host.trouble == nil)
        #expect(bench.server.acknowledged == .zero)
        bench.log.fill(false)
        let again = bench.makeTask()
        again.start()
        #expect(bench.server.waitForAcknowledgement(of: lsn))
        #expect(TaskStopping.stop([again]).isEmpty)
        #expect(bench.log.durable.commitLSN == LSN(lsn.value - 8))
    }

    @Test func theSizeLimitIsLiftedByTheSlowestSink() throws {
        let bench = Bench(["log.max.bytes": "4000"])
        bench.host.setReader("snk", nil)
        let task = bench.makeTask()
        task.start()
        var last = LSN.zero
        for id in 0..<40 { last = bench.server.insert(customers, [.text("\(id)"), "x"]) }
        #expect(wait { bench.host.trouble?.code == "log_limit_reached" })
        #expect(bench.host.trouble?.hint?.contains("log.max.bytes") == true)
        #expect(bench.server.acknowledged < last)
        // The sink follows; what it has stored goes by itself, although history would be kept for a week.
        #expect(
            wait {
                bench.host.setReader("snk", bench.log.durable)
                return bench.server.acknowledged >= last
            })
        #expect(TaskStopping.stop([task]).isEmpty)
    }

    @Test(arguments: [LogError.io(operation: "fdatasync", path: "/disk/log", errno: 5), .failed(reason: "earlier")])
    func aLogThatFailsFailsItsTask(error: LogError) throws {
        let bench = Bench()
        let task = bench.makeTask()
        task.start()
        bench.log.failFlush(error)
        let lsn = bench.server.insert(customers, ["1", "a"])
        #expect(wait { task.info.state == "FAILED" })
        #expect(task.info.trace?.hasPrefix("log_failed") == true)
        #expect(bench.host.failure?.code == "log_failed")
        #expect(bench.server.acknowledged < lsn)
        #expect(TaskStopping.stop([task]).isEmpty)
        // Not even a new task writes to it.
        let appends = bench.log.state.read { $0.appends }
        let again = bench.makeTask()
        again.start()
        #expect(wait { again.info.state == "FAILED" })
        #expect(bench.log.state.read { $0.appends } == appends)
        #expect(TaskStopping.stop([again]).isEmpty)
    }

    @Test func eachRunIsToldWhatTheLogHoldsByThen() throws {
        let bench = Bench()
        bench.server.load(customers, [["1", "a"]])
        let task = bench.makeTask()
        task.start()
        for id in 2..<6 {
            let lsn = bench.server.insert(customers, [.text("\(id)"), "x"])
            #expect(bench.server.waitForAcknowledgement(of: lsn))
            bench.server.fail(ConnectorError(.transient, code: "gone", "gone"))
            #expect(bench.server.waitForRuns(id))
            #expect(wait { bench.server.recovered?.lastEndLSN == lsn })
            #expect(bench.server.recovered?.lastCommitLSN == LSN(lsn.value - 8))
            #expect(bench.server.recovered?.lastOrdinal == 1)
            #expect(bench.server.recovered?.sourceState == Array("loaded".utf8))
        }
        #expect(TaskStopping.stop([task]).isEmpty)
    }
}
