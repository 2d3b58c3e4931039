import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Random work on a log whose machine goes down at random storage calls. After every crash the log must be a prefix of
/// whole transactions that holds all that `flush` acknowledged, each row under the definition it was written with.
///
/// A failure names its seed; `MILLRACE_SEED=<seed> swift test --filter SimulationTests` runs that one alone.
@Suite struct SimulationTests {
    @Test func logIsAPrefixOfWholeTransactionsAfterEveryCrash() throws {
        var seeds = Array(UInt64(1)...300)
        if let text = getenv("MILLRACE_SEED"), let seed = UInt64(String(cString: text)) { seeds = [seed] }
        var crashes = 0
        for seed in seeds {
            do {
                var simulation = Simulation(seed: seed)
                try simulation.run(steps: 28)
                crashes += simulation.crashes
            } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
        }
        #expect(seeds.count == 1 || crashes > 300)
    }
}

struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
