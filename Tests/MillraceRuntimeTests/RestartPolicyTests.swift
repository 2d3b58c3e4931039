import MillraceCore
import Testing

@testable import MillraceRuntime

@Suite struct RestartPolicyTests {
    private let transient = ConnectorError(.transient, code: "unreachable", "no route")

    @Test(arguments: [ConnectorError.Kind.configuration, .consistency, .data, .protocolViolation, .bug])
    func whatWillNotGetBetterFailsAtOnce(kind: ConnectorError.Kind) {
        var policy = RestartPolicy()
        #expect(policy.decide(after: ConnectorError(kind, code: "x", "x"), random: 0.5) == .fail)
    }

    @Test func aStopIsNoFailure() {
        var policy = RestartPolicy()
        #expect(policy.decide(after: .stopped, random: 0.5) == .end)
    }

    @Test func pausesDoubleUpToAMinuteAndGoOnForEver() {
        var policy = RestartPolicy()
        let pauses = (0..<200).map { _ in policy.decide(after: transient, random: 1) }
        #expect(pauses[0] == .retry(after: .milliseconds(500)))
        #expect(pauses[1] == .retry(after: .seconds(1)))
        #expect(pauses[6] == .retry(after: .seconds(32)))
        #expect(pauses[7] == .retry(after: .seconds(60)))
        #expect(pauses[199] == .retry(after: .seconds(60)))
    }

    @Test func halfOfAPauseIsDrawn() {
        var low = RestartPolicy()
        var high = RestartPolicy()
        #expect(low.decide(after: transient, random: 0) == .retry(after: .milliseconds(250)))
        #expect(high.decide(after: transient, random: 1) == .retry(after: .milliseconds(500)))
    }

    @Test func progressMakesPausesShortAgain() {
        var policy = RestartPolicy()
        for _ in 0..<5 { _ = policy.decide(after: transient, random: 1) }
        policy.noteProgress()
        #expect(policy.decide(after: transient, random: 1) == .retry(after: .milliseconds(500)))
    }

    @Test func aLongRunCountsAsProgress() {
        var policy = RestartPolicy(maxRetries: 1)
        _ = policy.decide(after: transient, random: 1)
        policy.noteRun(lasting: .seconds(59))
        #expect(policy.retriesWithoutProgress == 1)
        policy.noteRun(lasting: .seconds(60))
        #expect(policy.decide(after: transient, random: 1) == .retry(after: .milliseconds(500)))
    }

    @Test func theNumberOfRetriesAndTheirPauseCanBeSet() {
        var policy = RestartPolicy(
            ConnectorConfig(["errors.max.retries": "2", "retriable.restart.connector.wait.ms": "70"]))
        #expect(policy.decide(after: transient, random: 1) == .retry(after: .milliseconds(70)))
        #expect(policy.decide(after: transient, random: 0) == .retry(after: .milliseconds(70)))
        #expect(policy.decide(after: transient, random: 1) == .fail)
        policy.noteProgress()
        #expect(policy.decide(after: transient, random: 1) == .retry(after: .milliseconds(70)))
        var never = RestartPolicy(ConnectorConfig(["errors.max.retries": "0"]))
        #expect(never.decide(after: transient, random: 1) == .fail)
    }
}
