import MillraceCore
import Testing

@testable import MillraceRuntime

@Suite(.timeLimit(.minutes(1))) struct TaskRunnerTests {
    private struct StubbornTask: StoppableTask {
        let runner = TaskRunner(policy: RestartPolicy(), logger: .quiet)
        let interrupts = Monitor(0)
        func requestStop() { runner.requestStop() }
        func interrupt() { interrupts.update { $0 += 1 } }
    }

    @Test func aThreadThatDoesNotStopIsLeftBehindAndWaitedForByTheNext() {
        let released = Monitor(false)
        let order = Monitor<[String]>([])
        let stubborn = StubbornTask()
        let hasBegun = Monitor(false)
        stubborn.runner.start(name: "stubborn") {
            hasBegun.update { $0 = true }
            _ = released.wait { $0 ? true : nil }
            order.update { $0.append("old ends") }
        }
        _ = hasBegun.wait { $0 ? true : nil }
        let left = TaskStopping.stop([stubborn], within: .milliseconds(20))
        #expect(left.count == 1)
        #expect(stubborn.interrupts.read { $0 } == 1)
        #expect(stubborn.runner.leftBehind != nil)

        let next = StubbornTask()
        next.runner.start(name: "next", after: stubborn.runner.leftBehind) { order.update { $0.append("new begins") } }
        #expect(next.runner.snapshot.phase == .running)
        #expect(order.read { $0 }.isEmpty)
        released.update { $0 = true }
        #expect(order.wait(for: .seconds(10)) { $0.count == 2 ? true : nil } == true)
        #expect(order.read { $0 } == ["old ends", "new begins"])
        #expect(TaskStopping.stop([next], within: .seconds(5)).isEmpty)
        #expect(next.interrupts.read { $0 } == 0)
    }

    @Test func tasksStopSideBySide() {
        let tasks = (0..<20).map { _ in StubbornTask() }
        for task in tasks { task.runner.start(name: "task") { _ = task.runner.waitForStop(nil) } }
        let start = ContinuousClock.now
        #expect(TaskStopping.stop(tasks, within: .seconds(10)).isEmpty)
        #expect(start.duration(to: .now) < .seconds(5))
    }

    @Test func aTaskThatHasNothingMoreToDoStaysAsItIs() {
        let task = StubbornTask()
        task.runner.start(name: "done") {}
        #expect(task.runner.snapshot.phase == .running)
        #expect(TaskStopping.stop([task], within: .seconds(5)).isEmpty)
        #expect(task.runner.snapshot.error == nil)
    }

    @Test func aTaskThatStopsUnaskedHasFailed() throws {
        let task = StubbornTask()
        task.runner.start(name: "quitter") { () throws(ConnectorError) in throw .stopped }
        #expect(task.runner.join(for: .seconds(10)))
        #expect(task.runner.snapshot.phase == .failed)
        #expect(task.runner.snapshot.error == .stopped)
    }

    @Test func aTaskThatNeverStartedIsStoppedAtOnce() {
        #expect(TaskStopping.stop([StubbornTask()], within: .zero).isEmpty)
    }
}
