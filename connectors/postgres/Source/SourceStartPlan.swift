internal import MillraceCore

/// How to begin after a connect: decided from what the log remembers and what the server says, and from nothing else.
enum SourceStartPlan: Hashable, Sendable {
    /// Load the tables, then stream. `slot`: whose snapshot the load reads. `dropSlot`: ours, of an attempt before.
    case load(LoadSlot, dropsSlot: Bool)
    /// Nothing to load: stream from where the slot stands, or from a new slot.
    case streamOnly(from: LSN?)
    /// Go on behind what is durable.
    case resume(from: LSN)
    /// `snapshot.mode=initial_only`, done already.
    case nothing

    enum LoadSlot: Hashable, Sendable {
        /// Make the slot; its snapshot is the load's.
        case create
        /// The slot is there already: a second, temporary one exports the snapshot, see `PostgresSource.load`.
        case existing
        /// No streaming afterwards: a temporary slot exports the snapshot, and nothing is left behind.
        case none
    }
}

/// What the log remembers, as far as it matters for the start.
struct SourcePosition: Hashable, Sendable {
    var state: SourceState?
    /// End of what the log holds; nil for an empty log.
    var logEndLSN: LSN?

    /// Up to here nothing is missing in the log.
    var end: LSN {
        let fromState = state.map { max($0.startLSN, $0.confirmedLSN) } ?? .zero
        return max(fromState, logEndLSN ?? .zero)
    }
}

extension SourceStartPlan {
    /// Throws where going on could lose changes; `snapshot.mode=when_needed` loads again instead.
    /// `history`: of the server's timeline, asked for only if it is another than before.
    static func decide(
        mode: SnapshotMode, position: SourcePosition, slot: Slot?, system: SystemIdentity,
        history: () throws(ConnectorError) -> [(timeline: UInt32, end: LSN)]
    ) throws(ConnectorError) -> SourceStartPlan {
        guard let state = position.state else {
            return try first(mode: mode, slot: slot, system: system, dropsSlot: false)
        }
        if state.phase == .snapshot {
            // The load did not finish. The slot has streamed nothing yet, so that one which we made can be made anew.
            let isOurs = state.slotIsOurs && slot?.name == state.slotName && mode != .noData
            return try first(mode: mode, slot: isOurs ? nil : slot, system: system, dropsSlot: isOurs && slot != nil)
        }
        if mode == .always { return try first(mode: mode, slot: slot, system: system, dropsSlot: false) }
        if state.phase == .finished && mode == .initialOnly { return .nothing }
        do {
            try checkSystem(state, position, system, history)
            try checkSlot(state, position, slot, system)
            return .resume(from: position.end)
        } catch {
            guard mode == .whenNeeded, error.kind == .consistency else { throw error }
            // A lost slot is of no use to anybody; any other is read on from where it can be.
            let isLost = slot?.isLost == true && slot?.plugin == "pgoutput" && slot?.database == system.database
            return try first(mode: mode, slot: isLost ? nil : slot, system: system, dropsSlot: isLost)
        }
    }

    /// Nothing usable in the log. `slot`: nil where there is none, or where it is dropped first.
    private static func first(
        mode: SnapshotMode, slot: Slot?, system: SystemIdentity, dropsSlot: Bool
    ) throws(ConnectorError) -> SourceStartPlan {
        if mode == .initialOnly { return .load(.none, dropsSlot: dropsSlot) }
        guard let slot else { return mode == .noData ? .streamOnly(from: nil) : .load(.create, dropsSlot: dropsSlot) }
        if mode == .whenNeeded && slot.isLost && slot.plugin == "pgoutput" && slot.database == system.database {
            return .load(.create, dropsSlot: true)
        }
        try slot.check(database: system.database)
        // Where it stands is where we would begin: whoever reads it moves it on meanwhile.
        if let pid = slot.activePID { throw Slot.active(slot.name, "its reader has PID \(pid)", foreignCode: "55006") }
        if mode == .noData { return .streamOnly(from: slot.confirmedFlushLSN) }
        return .load(.existing, dropsSlot: false)
    }

    private static func checkSystem(
        _ state: SourceState, _ position: SourcePosition, _ system: SystemIdentity,
        _ history: () throws(ConnectorError) -> [(timeline: UInt32, end: LSN)]
    ) throws(ConnectorError) {
        let end = position.end
        guard system.systemIdentifier == state.systemIdentifier else {
            throw ConnectorError(
                .consistency, code: "system_changed",
                "the server is another cluster (system identifier \(system.systemIdentifier), before "
                    + "\(state.systemIdentifier)); the change log ends at \(end) of the old one",
                hint: "point database.hostname and database.port at the old cluster, or " + Slot.reload)
        }
        guard system.database == state.database else {
            throw ConnectorError(
                .consistency, code: "database_changed",
                "the change log holds the database \(state.database), the connection leads to \(system.database)",
                hint: "set database.dbname back, or " + Slot.reload)
        }
        if system.timeline != state.timeline {
            // Promoted, or recovered to a point in time: fine if our end lies on the part that both have in common.
            let branch = try history().first { $0.timeline == state.timeline }
            guard system.timeline > state.timeline, let branch, end <= branch.end else {
                throw ConnectorError(
                    .consistency, code: "timeline_diverged",
                    "the server is on timeline \(system.timeline), the change log was read from timeline "
                        + "\(state.timeline) up to \(end); "
                        + (branch.map {
                            "they parted at \($0.end), so that changes between \($0.end) and \(end) are in the log but not in the server"
                        }
                            ?? "the server does not descend from it"),
                    hint: "connect to the server that holds timeline \(state.timeline), or " + Slot.reload)
            }
        } else if end > system.flushLSN {
            throw ConnectorError(
                .consistency, code: "server_restored",
                "the server's WAL ends at \(system.flushLSN), before the end of the change log, \(end): it was restored "
                    + "from an older state",
                hint: "connect to the server that wrote up to \(end), or " + Slot.reload)
        }
    }

    private static func checkSlot(
        _ state: SourceState, _ position: SourcePosition, _ slot: Slot?, _ system: SystemIdentity
    ) throws(ConnectorError) {
        let end = position.end
        guard let slot else {
            throw ConnectorError(
                .consistency, code: "slot_missing",
                "the replication slot is gone; the change log ends at \(end), the server is at \(system.flushLSN): "
                    + "changes between them may be lost",
                hint: "a new slot would begin behind a gap, so the tables must be loaded again: " + Slot.reload)
        }
        try slot.check(database: system.database)
        if let confirmed = slot.confirmedFlushLSN, confirmed > end {
            throw ConnectorError(
                .consistency, code: "slot_ahead",
                "the replication slot \(slot.name) was made anew or advanced by somebody else: it stands at \(confirmed), "
                    + "the change log ends at \(end); the changes between them are lost to us",
                hint: "let only one program read the slot; the tables must be loaded again: " + Slot.reload)
        }
    }
}
