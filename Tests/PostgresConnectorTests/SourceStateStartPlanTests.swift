import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct SourceStateStartPlanTests {
    private static let system = SystemIdentity(systemIdentifier: "1", timeline: 1, flushLSN: LSN(5000), database: "d")
    private static let slot = Slot(
        name: "s", plugin: "pgoutput", database: "d", activePID: nil, confirmedFlushLSN: LSN(1000),
        restartLSN: LSN(900), walStatus: "reserved", invalidation: nil)

    private static func position(_ change: (inout SourceState) -> Void = { _ in }) -> SourcePosition {
        var state = SourceState(
            systemIdentifier: "1", timeline: 1, database: "d", slotName: "s", publicationName: "p", slotIsOurs: true,
            phase: .streaming, startLSN: LSN(500))
        change(&state)
        return SourcePosition(state: state, logEndLSN: LSN(1000))
    }

    private func plan(
        _ mode: SnapshotMode = .initial, _ position: SourcePosition = position(), slot: Slot? = slot,
        system: SystemIdentity = system, history: [(UInt32, UInt64)] = []
    ) throws(ConnectorError) -> SourceStartPlan {
        try .decide(mode: mode, position: position, slot: slot, system: system) { () throws(ConnectorError) in
            history.map { ($0.0, LSN($0.1)) }
        }
    }

    private func code(
        _ mode: SnapshotMode = .initial, _ position: SourcePosition = position(), slot: Slot? = slot,
        system: SystemIdentity = system, history: [(UInt32, UInt64)] = []
    ) -> String? {
        do throws(ConnectorError) {
            _ = try plan(mode, position, slot: slot, system: system, history: history)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func goesOnWhereTheLogEnds() throws {
        #expect(try plan() == .resume(from: LSN(1000)))
        // After a crash the server is behind what it was told.
        var behind = Self.slot
        behind.confirmedFlushLSN = LSN(700)
        #expect(try plan(slot: behind) == .resume(from: LSN(1000)))
        // Idle WAL was confirmed beyond the log's last transaction.
        var ahead = Self.slot
        ahead.confirmedFlushLSN = LSN(1500)
        #expect(
            try plan(.initial, Self.position { $0.confirmedLSN = LSN(1500) }, slot: ahead) == .resume(from: LSN(1500)))
    }

    @Test(arguments: [
        (SnapshotMode.initial, SourceStartPlan.load(.create, dropsSlot: false)),
        (.always, .load(.create, dropsSlot: false)), (.whenNeeded, .load(.create, dropsSlot: false)),
        (.initialOnly, .load(.none, dropsSlot: false)), (.noData, .streamOnly(from: nil)),
    ])
    func beginsWithoutASlot(mode: SnapshotMode, expected: SourceStartPlan) throws {
        #expect(try plan(mode, SourcePosition(), slot: nil) == expected)
    }

    @Test(arguments: [
        (SnapshotMode.initial, SourceStartPlan.load(.existing, dropsSlot: false)),
        (.always, .load(.existing, dropsSlot: false)), (.whenNeeded, .load(.existing, dropsSlot: false)),
        (.initialOnly, .load(.none, dropsSlot: false)), (.noData, .streamOnly(from: LSN(1000))),
    ])
    func beginsWithASlotThatIsThere(mode: SnapshotMode, expected: SourceStartPlan) throws {
        #expect(try plan(mode, SourcePosition()) == expected)
    }

    @Test func beginsAgainWhenTheLoadDidNotFinish() throws {
        #expect(try plan(.initial, Self.position { $0.phase = .snapshot }) == .load(.create, dropsSlot: true))
        // A slot that we did not make is not dropped.
        let foreign = Self.position {
            $0.phase = .snapshot
            $0.slotIsOurs = false
        }
        #expect(try plan(.initial, foreign) == .load(.existing, dropsSlot: false))
        #expect(
            try plan(.initial, Self.position { $0.phase = .snapshot }, slot: nil) == .load(.create, dropsSlot: false))
    }

    @Test func loadsAtEveryStartIfToldTo() throws {
        #expect(try plan(.always) == .load(.existing, dropsSlot: false))
        #expect(try plan(.initialOnly, Self.position { $0.phase = .finished }, slot: nil) == .nothing)
    }

    @Test func refusesAGap() {
        #expect(code(slot: nil) == "slot_missing")
        var slot = Self.slot
        slot.confirmedFlushLSN = LSN(1001)
        #expect(code(slot: slot) == "slot_ahead")
        slot = Self.slot
        slot.walStatus = "lost"
        #expect(code(slot: slot) == "slot_lost")
        slot = Self.slot
        slot.invalidation = "wal_removed"
        #expect(code(slot: slot) == "slot_lost")
        slot = Self.slot
        slot.plugin = "test_decoding"
        #expect(code(slot: slot) == "slot_wrong_plugin")
        slot.plugin = nil
        #expect(code(slot: slot) == "slot_physical")
        slot = Self.slot
        slot.database = "other"
        #expect(code(slot: slot) == "slot_other_database")
    }

    @Test func refusesAnotherServer() {
        var system = Self.system
        system.systemIdentifier = "2"
        #expect(code(system: system) == "system_changed")
        system = Self.system
        system.flushLSN = LSN(999)
        #expect(code(system: system) == "server_restored")
        #expect(code(.initial, Self.position { $0.database = "other" }) == "database_changed")
    }

    @Test func followsAPromotionThatKeptEverything() throws {
        var system = Self.system
        system.timeline = 3
        #expect(try plan(system: system, history: [(1, 1000), (2, 2000)]) == .resume(from: LSN(1000)))
        #expect(code(system: system, history: [(1, 999), (2, 2000)]) == "timeline_diverged")
        #expect(code(system: system, history: [(2, 2000)]) == "timeline_diverged")
        #expect(code(.initial, Self.position { $0.timeline = 4 }, system: system) == "timeline_diverged")
    }

    @Test func loadsAgainWhenNeeded() throws {
        #expect(try plan(.whenNeeded) == .resume(from: LSN(1000)))
        #expect(try plan(.whenNeeded, slot: nil) == .load(.create, dropsSlot: false))
        var slot = Self.slot
        slot.confirmedFlushLSN = LSN(1001)
        #expect(try plan(.whenNeeded, slot: slot) == .load(.existing, dropsSlot: false))
        slot.walStatus = "lost"
        #expect(try plan(.whenNeeded, slot: slot) == .load(.create, dropsSlot: true))
        #expect(try plan(.whenNeeded, SourcePosition(), slot: slot) == .load(.create, dropsSlot: true))
        // A mistake in the configuration is not mended by loading.
        slot.plugin = "test_decoding"
        #expect(code(.whenNeeded, slot: slot) == "slot_wrong_plugin")
    }

    @Test func readsTheHistoryOfTimelines() {
        let history = ReplicationConnection.parseTimelineHistory(
            "1\t0/A000198\tno recovery target specified\n\n2\t1/0\tx\n")
        #expect(history.map(\.timeline) == [1, 2])
        #expect(history.map(\.end) == [LSN(0xA00_0198), LSN(1 << 32)])
    }
}
