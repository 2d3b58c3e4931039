import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct WorkerOffsetTests {
    private let server = JSONTree.object([.init("server", .string("srv"))])
    private let notStopped =
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified "
        + "connector by issuing a 'PUT' request to the '/connectors/src/stop' endpoint"

    @Test func aSourceTellsItsPlaceInDebeziumsWords() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource()
            #expect(try await bench.acknowledged(LSN(500)))
            let loaded = try #require(try await bench.worker.offsets("src").first)
            #expect(loaded.partition == server)
            #expect(loaded.offset?["snapshot"] == .string("INITIAL"))
            #expect(loaded.offset?["lsn"] == .int(500))
            #expect(loaded.offset?["snapshot_completed"] == .bool(true))
            for name in ["last_snapshot_record", "txId", "ts_usec"] { #expect(loaded.offset?[name] != nil, "\(name)") }

            let lsn = bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.acknowledged(lsn))
            try await bench.worker.stop("src")
            let streamed = try #require(try await bench.worker.offsets("src").first?.offset)
            #expect(streamed["lsn"] == .int(Int64(lsn.value)))
            #expect(streamed["lsn_commit"] == .int(Int64(lsn.value - 8)))
            #expect(streamed["lsn_proc"] == .int(Int64(lsn.value)))
            #expect(streamed["txId"] == .int(Int64(lsn.value - 8)))
            #expect(streamed["ts_usec"] != nil)
            try await bench.restart()
            #expect(try await bench.worker.offsets("src").first?.offset == streamed)
            // Nor does a source that runs, but has received nothing yet, know better.
            try await bench.worker.resume("src")
            #expect(try await bench.worker.offsets("src").first?.offset == streamed)
        }
    }

    @Test func offsetsChangeOnlyWhileStopped() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let entry = ConnectorOffset(partition: server, offset: .object([.init("lsn", .int(1))]))
            for state in ["running", "paused"] {
                if state == "paused" { try await bench.worker.pause("src") }
                let alter = await #expect(throws: WorkerError.self) {
                    _ = try await bench.worker.alterOffsets("src", [entry])
                }
                #expect(alter == WorkerError(status: 400, notStopped))
                let reset = await #expect(throws: WorkerError.self) { _ = try await bench.worker.resetOffsets("src") }
                #expect(reset == WorkerError(status: 400, notStopped))
            }
            try await bench.worker.stop("src")
            let empty = await #expect(throws: WorkerError.self) { _ = try await bench.worker.alterOffsets("src", []) }
            #expect(
                empty
                    == WorkerError(status: 400, "Partitions / offsets need to be provided for an alter offsets request")
            )
        }
    }

    @Test func aSourcesOwnPlaceCannotBeMovedButOthersAreKept() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let lsn = bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.acknowledged(lsn))
            try await bench.worker.stop("src")
            let worker = try bench.worker
            let own = try #require(try await worker.offsets("src").first)
            let moved = await #expect(throws: WorkerError.self) {
                _ = try await worker.alterOffsets(
                    "src", [.init(partition: server, offset: .object([.init("lsn", .int(1))]))])
            }
            #expect(moved?.status == 400)
            let foreign = ConnectorOffset(
                partition: .object([.init("nope", .string("x"))]), offset: .object([.init("lsn", .int(1))]))
            let message = try await worker.alterOffsets("src", [foreign, .init(partition: nil, offset: .null), own])
            #expect(message.hasPrefix("The Connect framework-managed offsets for this connector have been altered"))
            #expect(try await worker.offsets("src") == [foreign, own])
            _ = try await worker.alterOffsets("src", [.init(partition: foreign.partition, offset: .null)])
            #expect(try await worker.offsets("src") == [own])
        }
    }

    @Test func resettingASourceLoadsAnew() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.isEqual())
            try await bench.worker.stop("src")
            let message = try await bench.worker.resetOffsets("src")
            #expect(message.hasPrefix("The Connect framework-managed offsets for this connector have been reset"))
            #expect(try await bench.worker.offsets("src").isEmpty)
            _ = try await bench.worker.resetOffsets("src")
            let runs = bench.server().runs
            bench.server().insert(bench.customers, ["3", "c"])
            try await bench.worker.resume("src")
            let scripted = bench.server()
            #expect(try await WorkerThread.run("wait") { scripted.waitForRuns(runs + 1) })
            #expect(bench.server().recovered?.lastEndLSN == nil)
            #expect(try await bench.isEqual())
            // One of the first log, and everything again from the second.
            #expect(bench.target().history.count == 5)
        }
    }

    @Test func aSinkCanBeMovedBackAndStartedOver() async throws {
        try await WorkerBench.run { bench in
            _ = bench.sinks.target("t", keepsCursor: false)
            try await bench.createSource()
            try await bench.createSink()
            bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.isEqual())
            try await bench.worker.stop("snk")
            let place = try #require(try await bench.worker.offsets("snk").first)
            #expect(place.partition == server)
            bench.server().insert(bench.customers, ["2", "b"])
            try await bench.worker.resume("snk")
            #expect(try await bench.isEqual())
            #expect(bench.target().history.count == 2)

            try await bench.worker.stop("snk")
            _ = try await bench.worker.alterOffsets("snk", [place])
            try await bench.worker.resume("snk")
            let target = bench.target()
            #expect(try await WorkerThread.run("wait") { target.waitForHistory(3) })

            try await bench.worker.stop("snk")
            _ = try await bench.worker.resetOffsets("snk")
            #expect(try await bench.worker.offsets("snk").isEmpty)
            try await bench.worker.resume("snk")
            #expect(try await WorkerThread.run("wait") { target.waitForHistory(5) })
        }
    }

    @Test(arguments: [
        "{\"position\":\"rubbish\"}", "{\"position\":\"1@0@0/0:0\"}", "{\"lsn\":1}", "[]", "\"x\"",
    ])
    func aPlaceThatASinkCannotHaveIsRefused(text: String) async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            try await bench.createSink()
            try await bench.worker.stop("snk")
            let offset = try #require(JSONTree(text: text))
            let error = await #expect(throws: WorkerError.self) {
                _ = try await bench.worker.alterOffsets("snk", [.init(partition: server, offset: offset)])
            }
            #expect(error?.status == 400)
            let other = await #expect(throws: WorkerError.self) {
                _ = try await bench.worker.alterOffsets("snk", [.init(partition: .object([]), offset: .null)])
            }
            #expect(other?.status == 400)
        }
    }

    @Test func topicsAreForgottenOnRequest() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource()
            let lsn = bench.server().insert(bench.customers, ["1", "a"])
            #expect(try await bench.acknowledged(lsn))
            #expect(try await bench.worker.topics("src") == ["srv.public.customers"])
            try await bench.worker.resetTopics("src")
            #expect(try await bench.worker.topics("src").isEmpty)
            let next = bench.server().insert(bench.customers, ["2", "b"])
            #expect(try await bench.acknowledged(next))
            #expect(try await bench.worker.topics("src") == ["srv.public.customers"])
        }
    }
}
