import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct FeedbackTests {
    private static let second: UInt64 = 1_000_000_000
    private static let clock = Timestamp(microsecondsSince2000: 5)

    private func feedback() -> StandbyFeedback {
        StandbyFeedback(interval: .seconds(10), receiveTimeout: .seconds(120), start: LSN(100), now: 1000 * Self.second)
    }

    @Test func tellsTheServerWhereWeStandAtOnce() {
        var feedback = feedback()
        #expect(feedback.isDue(1000 * Self.second))
        let message = feedback.update(1000 * Self.second, clock: Self.clock)
        #expect(message.count == 34)
        #expect(message[0] == UInt8(ascii: "r"))
        // Written, flushed, applied: all 100.
        #expect([message[8], message[16], message[24]] == [100, 100, 100])
        #expect(message[32] == 5)
        #expect(message[33] == 0)
        #expect(!feedback.isDue(1000 * Self.second + 1))
    }

    @Test func acknowledgesOnlyWhatIsDurable() {
        var feedback = feedback()
        feedback.didReceive(walStart: LSN(200))
        let message = feedback.update(1000 * Self.second, clock: Self.clock)
        #expect(message[8] == 200)
        #expect(message[16] == 100)
        #expect(feedback.acknowledged == LSN(100))
        feedback.didBecomeDurable(LSN(150))
        feedback.didBecomeDurable(LSN(120))
        #expect(feedback.durable == LSN(150))
    }

    @Test func answersAtOnceWhenAsked() {
        var feedback = feedback()
        _ = feedback.update(1000 * Self.second, clock: Self.clock)
        feedback.didReceiveKeepalive(walEnd: LSN(300), replyRequested: true)
        #expect(feedback.isDue(1000 * Self.second))
        #expect(feedback.timeUntilDue(1000 * Self.second) == 0)
        // A keepalive says how far the server is, not how far we are.
        #expect(feedback.update(1000 * Self.second, clock: Self.clock)[16] == 100)
        #expect(feedback.serverEnd == LSN(300))
    }

    @Test func reportsProgressSoonButNotForEveryFlush() {
        var feedback = feedback()
        let start = 1000 * Self.second
        _ = feedback.update(start, clock: Self.clock)
        feedback.didBecomeDurable(LSN(200))
        #expect(!feedback.isDue(start + 50_000_000))
        #expect(feedback.timeUntilDue(start + 50_000_000) == 50_000_000)
        #expect(feedback.isDue(start + 100_000_000))
        _ = feedback.update(start + 100_000_000, clock: Self.clock)
        #expect(!feedback.isDue(start + 9 * Self.second))
        #expect(feedback.isDue(start + 11 * Self.second))
    }

    @Test func asksASilentServerAndThenGivesItUp() {
        var feedback = feedback()
        let start = 1000 * Self.second
        #expect(feedback.silence(start + 59 * Self.second) == .no)
        #expect(feedback.silence(start + 60 * Self.second) == .ask)
        let message = feedback.update(start + 60 * Self.second, clock: Self.clock, askForReply: true)
        #expect(message[33] == 1)
        // Once is enough.
        #expect(feedback.silence(start + 61 * Self.second) == .no)
        #expect(feedback.silence(start + 120 * Self.second) == .giveUp)
        feedback.didHear(start + 119 * Self.second)
        #expect(feedback.silence(start + 120 * Self.second) == .no)
    }

    @Test func readsTimesAsTheServerShowsThem() {
        #expect(ReplicationConnection.parseTime("1min") == .seconds(60))
        #expect(ReplicationConnection.parseTime("1500ms") == .milliseconds(1500))
        #expect(ReplicationConnection.parseTime("5s") == .seconds(5))
        #expect(ReplicationConnection.parseTime("0") == nil)
        #expect(ReplicationConnection.parseTime("99999999999999999999s") == nil)
    }

    @Test func quotesThePublicationInTheCommand() {
        let command = ReplicationConnection.startCommand(
            slot: "s", publication: "o'ne \"two\"", from: LSN(0x1_0000_0010), serverVersion: 150_000)
        #expect(
            command
                == "START_REPLICATION SLOT \"s\" LOGICAL 1/10 (proto_version '3', publication_names "
                + "'\"o''ne \"\"two\"\"\"', messages 'true', streaming 'on')")
        let old = ReplicationConnection.startCommand(slot: "s", publication: "p", from: .zero, serverVersion: 130_000)
        #expect(old.hasSuffix("(proto_version '1', publication_names '\"p\"')"))
    }
}
