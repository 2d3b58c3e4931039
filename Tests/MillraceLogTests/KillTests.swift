import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

/// A process that is killed leaves things as they are, durable or not; what comes later must not build on what is not.
@Suite struct KillTests {
    let options = LogOptions(segmentByteLimit: 300, frameByteLimit: 1, spoolMemoryByteLimit: 0)

    private func open(_ storage: SimulatedStorage) throws -> SimulatedLog {
        try SimulatedLog.open(directory: "/log", options: options, storage: storage)
    }

    /// Killed in any call, among them those between a rename and the fsync of the directory; then a new process writes on,
    /// and then the power fails.
    @Test func whatAKilledProcessRenamedIsThereAfterAPowerLoss() throws {
        for call in 1...60 {
            let first = SimulatedStorage(seed: UInt64(call))
            first.faults.crashAtCall = call
            _ = logError {
                let log = try open(first)
                for number in 1...4 {
                    try log.append(transaction(UInt64(number) * 100, ["a", "b"], define: number == 1))
                    try log.flush()
                }
            }
            let second = first.kill()
            let log = try open(second)
            try log.append(transaction(1000, ["after the kill"], define: true))
            let end = try log.flush()
            let again = try open(second.crash())
            #expect(again.durable == end, "call \(call)")
        }
    }

    /// What is left begins inside the first transaction, behind which no LSN is known yet.
    @Test func aTrimmedLogSaysSoAfterItWasOpenedAgain() throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try open(storage)
        #expect(!log.isTrimmed)
        try log.append(transaction(100, (0..<12).map { "row \($0)" }, define: true))
        let end = try log.flush()
        #expect(log.segments.count > 3)
        try log.trim(before: log.segments[2].end)
        #expect(log.isTrimmed)
        let next = storage.kill()
        let again = try open(next)
        #expect(again.isTrimmed)
        #expect(again.durable == end)
        try again.reset()
        #expect(!again.isTrimmed)
        #expect(try !open(next.copy()).isTrimmed)
    }
}
