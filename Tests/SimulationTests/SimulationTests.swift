import MillraceCore
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Source, assembler, log, runtime and sinks in one process under a seeded scheduler; README.md says what is checked.
///
/// A failure names its seed; `MILLRACE_SEED=<seed> swift test --filter SimulationTests` runs that one alone, and shows its
/// last steps.
@Suite struct SimulationTests {
    static let steps = 150

    @Test func everyRunEndsInEquality() throws {
        if let seed = number("MILLRACE_SEED") {
            let world = World(seed: seed, keepsLines: true)
            do { try world.run(steps: Self.steps) } catch {
                Issue.record("seed \(seed): \(error)\n\(world.lines.joined(separator: "\n"))")
            }
            return
        }
        let runs = Runs(seconds: number("MILLRACE_SIM_SECONDS"), count: number("MILLRACE_SIM_SEEDS") ?? 2000)
        let counts = runs.finish()
        for failure in runs.failures { Issue.record("\(failure)") }
        report(counts.lines)
        guard counts.seeds >= 2000, runs.failures.isEmpty else { return }
        for (name, path) in Counts.fields { #expect(counts[keyPath: path] > 0, "no \(name) in \(counts.seeds) seeds") }
    }

    @Test func theSameSeedIsTheSameRun() throws {
        for seed: UInt64 in [1, 7, 77, 777] {
            let worlds = [World(seed: seed, keepsLines: true), World(seed: seed, keepsLines: true)]
            for world in worlds { try? world.run(steps: Self.steps) }
            #expect(worlds[0].lines == worlds[1].lines)
            #expect(worlds[0].trace == worlds[1].trace)
        }
    }

    /// To the standard error of the tests.
    private func report(_ lines: [String]) {
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    private func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}

/// Runs seed after seed on as many threads as there are processors, until so many are done or the time is up.
final class Runs: Sendable {
    private struct State {
        var next: UInt64
        var end: UInt64
        var failures: [String] = []
        var counts = Counts()
    }

    private let state: Monitor<State>
    private let deadline: ContinuousClock.Instant?
    private let threads = Monitor<[WorkerThread]>([])

    init(seconds: UInt64?, count: UInt64) {
        // A long run does not begin where every short one has been.
        let first = seconds == nil ? 1 : UInt64.random(in: 1 << 20..<1 << 52)
        state = Monitor(State(next: first, end: seconds == nil ? first + count : .max))
        deadline = seconds.map { .now + .seconds($0) }
        let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        threads.update { $0 = (0..<processors).map { WorkerThread("sim \($0)") { self.work() } } }
    }

    var failures: [String] { state.read { $0.failures } }

    func finish() -> Counts {
        for thread in threads.read({ $0 }) { thread.join() }
        return state.read { $0.counts }
    }

    private func work() {
        while let seed = next() {
            let world = World(seed: seed)
            var failure: String?
            do { try world.run(steps: SimulationTests.steps) } catch {
                failure = "seed \(seed) (MILLRACE_SEED=\(seed) runs it again): \(error)"
            }
            state.update { state in
                state.counts.add(world.counts)
                if let failure { state.failures.append(failure) }
            }
        }
    }

    private func next() -> UInt64? {
        if let deadline, ContinuousClock.now >= deadline { return nil }
        return state.update { state in
            guard state.next < state.end, state.failures.count < 5 else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }
}
