import MillraceCore
import MillraceTesting
import Testing

@testable import MillraceRuntime

/// Random work, random trouble: whatever happens, every target ends up equal to its source, and a target that keeps its
/// cursor got every change once.
@Suite(.timeLimit(.minutes(1))) struct WorkerSimulationTests {
    @Test(arguments: [1, 2, 3, 5, 8, 13, 21, 34] as [UInt64])
    func everyTargetEndsUpEqual(seed: UInt64) async throws {
        try await WorkerBench.run { bench in
            var random = SeededGenerator(seed)
            _ = bench.sinks.target("plain", keepsCursor: false)
            bench.server().load(bench.customers, (0..<5).map { [.text("\($0)"), "loaded"] })
            try await bench.createSource(
                "src", "srv", ["log.segment.bytes": "3000", "log.retention.bytes": "0", "log.retention.ms": "-1"])
            for name in ["exact", "plain", "flushing"] {
                let flushes = name == "flushing" ? "true" : "false"
                try await bench.createSink(name, name, ["source": "src", "flushes": flushes])
            }
            for _ in 0..<60 { try await step(bench, &random) }
            for name in ["src", "exact", "plain", "flushing"] { try await bench.worker.resume(name) }
            for name in ["exact", "plain", "flushing"] {
                #expect(try await bench.isEqual(name), "\(name), seed \(seed)")
            }
            for name in ["exact", "flushing"] {
                let history = bench.target(name).history
                #expect(Set(history).count == history.count, "\(name), seed \(seed)")
            }
        }
    }

    private func step(_ bench: WorkerBench, _ random: inout SeededGenerator) async throws {
        let sink = ["exact", "plain", "flushing"].randomElement(using: &random) ?? "exact"
        let trouble = ConnectorError(.transient, code: "gone", "the server went away")
        switch Int.random(in: 0..<20, using: &random) {
        case 0: bench.server().breakInsideNextTransaction()
        case 1: bench.server().fail(trouble)
        case 2: bench.target(sink).plan([.reject(trouble)])
        case 3: bench.target(sink).plan([.failAfterWork(trouble)])
        case 4: try await bench.restart()
        case 5: try await bench.worker.pause(sink)
        case 6: try await bench.worker.stop(sink)
        case 7: try await bench.worker.resume(sink)
        case 8: _ = try await bench.worker.restart("src", includeTasks: true, onlyFailed: false)
        case 9: try await bench.worker.pause("src")
        case 10: try await bench.worker.resume("src")
        case 11:
            let herder = try #require(try bench.worker.currentHerder)
            try await WorkerThread.run("trim") { herder.trimLogs() }
        default:
            let changes = (0..<Int.random(in: 1...8, using: &random)).map { _ in change(&random) }
            bench.server().commit(changes.map { (bench.customers, $0) })
        }
    }

    private func change(_ random: inout SeededGenerator) -> TestChange {
        let id = TestValue.text("\(Int.random(in: 0..<20, using: &random))")
        let name = TestValue.text("\(UInt32.random(in: 0 ... .max, using: &random))")
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .delete([id, nil])
        case 1: return .update([.text("\(Int.random(in: 0..<20, using: &random))"), name], key: [id, nil])
        case 2: return .truncate
        default: return .insert([id, name])
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
