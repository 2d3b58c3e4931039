/// What time it is for the tasks of a log: the system's clocks, or ones that a simulation moves by hand.
struct TaskClock: Sendable {
    /// Time since a fixed moment; never goes back.
    let elapsed: @Sendable () -> Duration
    /// The wall clock.
    let secondsSince1970: @Sendable () -> Int64

    static let system: TaskClock = {
        let start = ContinuousClock.now
        return TaskClock(
            elapsed: { start.duration(to: .now) }, secondsSince1970: { WallClock.secondsSince1970 })
    }()
}
