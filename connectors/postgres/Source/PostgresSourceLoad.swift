internal import Logging
internal import MillraceCore

extension SourceRun {
    /// Loads the tables; returns where streaming begins. What kill -9 does:
    /// - before the state is stored: nothing is remembered, the slot is found and taken as one that was there before;
    /// - before the second state is stored: the load is found unfinished, the log is emptied, the slot made anew;
    /// - behind that: streaming begins at the same place.
    mutating func load(
        _ loadSlot: SourceStartPlan.LoadSlot, dropsSlot: Bool, _ system: SystemIdentity, _ catalog: PostgresConnection
    ) throws(ConnectorError) -> LSN {
        board.update { $0.phase = .snapshot }
        try resetLog()
        let replication = try connectReplication()
        if dropsSlot {
            try postgres { () throws(PostgresError) in try replication.dropSlot(options.slotName) }
        }
        let created = try createSlot(loadSlot, replication)
        let start = created.consistentPoint
        guard let snapshotName = created.snapshotName else {
            throw ConnectorError(.protocolViolation, code: "malformed_message", "the server exported no snapshot")
        }
        var state = SourceState(
            systemIdentifier: system.systemIdentifier, timeline: system.timeline, database: system.database,
            slotName: options.slotName, publicationName: options.publicationName, slotIsOurs: loadSlot == .create,
            phase: .snapshot)
        try store(state)
        board.update { $0.snapshotLSN = start }
        logger.info("loading", metadata: ["snapshot": "\(snapshotName)", "lsn": "\(start)"])

        let tables = try capturedTables(options, catalog)
        board.setLoadTables(tables)
        let snapshot = InitialSnapshot(
            options: options, tables: tables, snapshotName: snapshotName, consistentLSN: start, output: output,
            progress: board.progress, logger: logger)
        // `replication` holds the snapshot open until here: it must live as long as the load.
        try withExtendedLifetime(replication) { () throws(ConnectorError) in
            try control.interruptible({ snapshot.stop() }) { () throws(ConnectorError) in try snapshot.run() }
        }
        if control.isStopped { throw .stopped }
        state.phase = loadSlot == .none ? .finished : .streaming
        state.startLSN = start
        try store(state)
        hasLoaded = true
        recall(tables.map(\.relation.relation), state)
        position.logEndLSN = start
        lastCommitLSN = start
        return start
    }

    /// The slot whose snapshot the load reads.
    ///
    /// A slot that is there already cannot export a snapshot any more. A second, temporary one can: its snapshot holds all
    /// that was committed before its consistent point, and nothing else. The slot that is there is older; streamed from
    /// that same point on, it skips exactly the transactions that the snapshot holds.
    private func createSlot(
        _ loadSlot: SourceStartPlan.LoadSlot, _ replication: ReplicationConnection
    ) throws(ConnectorError) -> CreatedSlot {
        let connection = replication.connection
        // It waits for every transaction that is open now, which may take long.
        return try control.interruptible({ connection.interrupt() }) { () throws(ConnectorError) in
            try postgres { () throws(PostgresError) in
                guard loadSlot != .create else {
                    return try replication.createSlot(
                        options.slotName, exportsSnapshot: true, isFailover: options.slotFailover)
                }
                let name = "millrace_load_\(connection.backendPID)_\(UInt32.random(in: 0...UInt32.max))"
                return try replication.createSlot(name, isTemporary: true, exportsSnapshot: true)
            }
        }
    }

    /// No load: streaming begins where the slot stands, or with a new slot.
    mutating func beginStreamOnly(from existing: LSN?, _ system: SystemIdentity) throws(ConnectorError) -> LSN {
        try resetLog()
        var start = existing
        if start == nil {
            let replication = try connectReplication()
            let connection = replication.connection
            start = try control.interruptible({ connection.interrupt() }) { () throws(ConnectorError) in
                try postgres { () throws(PostgresError) in
                    try replication.createSlot(
                        options.slotName, exportsSnapshot: false, isFailover: options.slotFailover)
                }
            }.consistentPoint
        }
        let from = start ?? .zero
        try store(
            SourceState(
                systemIdentifier: system.systemIdentifier, timeline: system.timeline, database: system.database,
                slotName: options.slotName, publicationName: options.publicationName, slotIsOurs: existing == nil,
                phase: .streaming, startLSN: from))
        position.logEndLSN = from
        return from
    }
}
