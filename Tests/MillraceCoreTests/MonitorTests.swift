import MillraceCore
import Testing

@Suite struct MonitorTests {
    @Test func waitReturnsWhatTheConditionGives() {
        let monitor = Monitor(0)
        let thread = WorkerThread("adder") { for _ in 0..<100 { monitor.update { $0 += 1 } } }
        #expect(monitor.wait(for: .seconds(20), until: { $0 == 100 ? "done" : nil }) == "done")
        #expect(thread.join(for: .seconds(20)))
    }

    @Test func waitGivesUpInTime() {
        let monitor = Monitor(0)
        let clock = ContinuousClock.now
        #expect(monitor.wait(for: .milliseconds(20), until: { $0 == 1 ? true : nil }) == nil)
        #expect(ContinuousClock.now - clock >= .milliseconds(19))
        #expect(monitor.wait(for: .zero, until: { $0 == 1 ? true : nil }) == nil)
        #expect(monitor.wait(for: .seconds(-5), until: { $0 == 1 ? true : nil }) == nil)
    }

    @Test func waitMayChangeTheStateAndWakesOthers() {
        let monitor = Monitor((items: 0, taken: 0))
        let thread = WorkerThread("taker") {
            for _ in 0..<50 {
                _ = monitor.wait(for: .seconds(20)) { state -> Bool? in
                    guard state.items > 0 else { return nil }
                    state.items -= 1
                    state.taken += 1
                    return true
                }
            }
        }
        for _ in 0..<50 { monitor.update { $0.items += 1 } }
        #expect(monitor.wait(for: .seconds(20), until: { $0.taken == 50 ? true : nil }) == true)
        #expect(thread.join(for: .seconds(20)))
    }

    @Test func updatesOfManyThreadsAreAllCounted() {
        let monitor = Monitor(0)
        let threads = (0..<4).map { _ in
            WorkerThread("adder") { for _ in 0..<1000 { monitor.update { $0 += 1 } } }
        }
        for thread in threads { #expect(thread.join(for: .seconds(20))) }
        #expect(monitor.read { $0 } == 4000)
    }

    @Test func errorsPassThroughAndReleaseTheLock() {
        struct Refusal: Error {}
        let monitor = Monitor(0)
        #expect(throws: Refusal.self) {
            try monitor.update { state in
                state = 1
                throw Refusal()
            }
        }
        #expect(monitor.read { $0 } == 1)
    }

    @Test func blockingCodeCanBeAwaited() async throws {
        #expect(try await WorkerThread.run("work") { 42 } == 42)
        struct Refusal: Error {}
        await #expect(throws: Refusal.self) { try await WorkerThread.run("work") { throw Refusal() } }
    }
}
