import Foundation
import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct WorkerRetentionTests {
    private let small = ["log.segment.bytes": "2000", "log.retention.bytes": "0", "log.retention.ms": "-1"]

    private func segments(_ bench: WorkerBench) async throws -> Int {
        try await bench.worker.sourceDetails("src").log?.segmentCount ?? 0
    }

    private func fill(_ bench: WorkerBench) async throws {
        for batch in 0..<20 {
            var last = LSN.zero
            for id in 0..<10 { last = bench.server().insert(bench.customers, [.text("\(batch)-\(id)"), "x"]) }
            #expect(try await bench.acknowledged(last))
        }
    }

    @Test func whatAStoppedSinkNeedsIsKept() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource("src", "srv", small)
            try await bench.createSink("fast", "fast")
            try await bench.createSink("slow", "slow")
            #expect(try await bench.isEqual("slow"))
            try await bench.worker.stop("slow")
            try await fill(bench)
            #expect(try await bench.isEqual("fast"))
            try await bench.restart()
            let before = try await segments(bench)
            #expect(before > 5)
            try await trim(bench)
            #expect(try await segments(bench) >= before - 1)

            try await bench.worker.resume("slow")
            #expect(try await bench.isEqual("slow"))
            #expect(bench.target("slow").history.count == 201)
            try await bench.worker.stop("slow")
            try await bench.worker.stop("fast")
            try await trim(bench)
            #expect(try await segments(bench) <= 2)

            // What is left is not the whole, and a new sink must not take it for that.
            try await bench.createSink("late", "late")
            let status = try await bench.waitForStatus("late") { $0.tasks.first?.state == "FAILED" }
            #expect(status.tasks.first?.trace?.hasPrefix("log_trimmed") == true)
            #expect(bench.target("late").history.isEmpty)

            // The way out that the error names.
            try await bench.worker.stop("src")
            _ = try await bench.worker.resetOffsets("src")
            try await bench.worker.resume("src")
            _ = try await bench.worker.restart("late", includeTasks: true, onlyFailed: true)
            #expect(try await bench.isEqual("late"))
        }
    }

    @Test func aDeletedSinkHoldsNothingBack() async throws {
        try await WorkerBench.run { bench in
            try await bench.createSource("src", "srv", small)
            try await bench.createSink("fast", "fast")
            try await bench.createSink("slow", "slow")
            try await bench.worker.pause("slow")
            try await fill(bench)
            #expect(try await bench.isEqual("fast"))
            try await bench.worker.delete("slow")
            try await bench.worker.pause("fast")
            try await trim(bench)
            #expect(try await segments(bench) <= 2)
        }
    }

    @Test func withoutASinkTheFullLoadWaits() async throws {
        try await WorkerBench.run { bench in
            bench.server().load(bench.customers, [["1", "a"]])
            try await bench.createSource("src", "srv", small)
            try await fill(bench)
            try await trim(bench)
            try await bench.createSink()
            #expect(try await bench.isEqual())
        }
    }

    /// What the housekeeper does every second.
    private func trim(_ bench: WorkerBench) async throws {
        let herder = try #require(try bench.worker.currentHerder)
        try await WorkerThread.run("trim") { herder.trimLogs() }
    }
}
