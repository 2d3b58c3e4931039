package import Logging
package import MillraceCore

/// The initial full load: reads all tables at the snapshot that the slot exported, several connections at a time, and
/// writes them into the log as transactions of their own (`TransactionInfo.Flags.snapshot`).
///
/// Everything it writes is consistent with the slot's starting point: with the changes that follow, nothing is missing and
/// nothing is there twice. While it runs, the server keeps all row versions that the snapshot sees.
package final class InitialSnapshot: Sendable {
    private let options: SourceOptions
    private let tables: [CapturedTable]
    private let snapshotName: String
    private let consistentLSN: LSN
    private let output: any SourceOutput
    private let progress: SnapshotProgress
    private let logger: Logger
    private let control = SnapshotControl()

    /// `snapshotName`: what CREATE_REPLICATION_SLOT returned; its connection must stay as it is until `run` has returned.
    /// `consistentLSN`: the slot's consistent point.
    package init(
        options: SourceOptions, tables: [CapturedTable], snapshotName: String, consistentLSN: LSN,
        output: any SourceOutput, progress: SnapshotProgress, logger: Logger
    ) {
        self.options = options
        self.tables = tables
        self.snapshotName = snapshotName
        self.consistentLSN = consistentLSN
        self.output = output
        self.progress = progress
        self.logger = logger
    }

    /// Returns when every table is in the log: submitted, not yet durable. Throws `stopped` after `stop`, else the first
    /// error, which names its table.
    package func run() throws(ConnectorError) {
        progress.reset(tables)
        guard !tables.isEmpty else { return }
        let coordinator: PostgresConnection
        let snapshot: Snapshot
        let plan: SnapshotPlan
        do throws(PostgresError) {
            // Holds the snapshot for as long as the load runs: the readers come and go.
            coordinator = try options.connect()
        } catch {
            throw error.connectorError
        }
        try control.add(coordinator)
        defer { control.release() }
        try SnapshotReader.begin(coordinator, snapshotName)
        do throws(PostgresError) {
            snapshot = try exportSnapshot(coordinator)
            plan = SnapshotPlan(tables, options: options, serverVersion: coordinator.serverVersion)
        } catch {
            throw control.isStopped ? .stopped : error.connectorError
        }
        try load(plan, snapshot)
    }

    /// Makes `run` throw `stopped` soon. Callable from any thread, before `run` too.
    package func stop() {
        control.stop()
    }

    private struct Snapshot {
        var name: String
        var time: Timestamp
        /// The newest transaction that had begun: what events of the load show as theirs.
        var xid: UInt32
    }

    /// Exports the snapshot that `connection` has taken anew: the readers do not depend on the slot's connection.
    private func exportSnapshot(_ connection: PostgresConnection) throws(PostgresError) -> Snapshot {
        let result = try connection.execute(
            "SELECT pg_export_snapshot(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1, "
                + "(extract(epoch FROM now()) * 1000000)::bigint", "export the snapshot of the full load")
        let row = result.rows.first ?? []
        let xid = row.dropFirst().first.flatMap { $0 }.flatMap { UInt64($0) } ?? 0
        return Snapshot(
            name: row.first.flatMap { $0 } ?? "",
            time: Timestamp(microsecondsSince1970: row.last.flatMap { $0 }.flatMap { Int64($0) } ?? 0),
            xid: UInt32(truncatingIfNeeded: xid))
    }

    private func load(_ plan: SnapshotPlan, _ snapshot: Snapshot) throws(ConnectorError) {
        let info = TransactionInfo(
            flags: .snapshot, xid: snapshot.xid, commitLSN: consistentLSN, endLSN: consistentLSN,
            commitTime: snapshot.time)
        let writer = SnapshotWriter(
            tables: tables, pieceCounts: plan.pieceCounts, info: info, output: output, progress: progress,
            control: control)
        let reader = SnapshotReader(
            options: options, tables: tables, pieces: plan.pieces, snapshotName: snapshot.name,
            consistentLSN: consistentLSN, writer: writer, control: control)
        let threads = min(options.snapshotThreads, max(plan.pieces.count, 1))
        logger.info(
            "full load begins",
            metadata: [
                "tables": "\(tables.count)", "pieces": "\(plan.pieces.count)", "threads": "\(threads)",
                "lsn": "\(consistentLSN)",
            ])
        let workers = (0..<threads).map { number in WorkerThread("load-\(number)") { reader.run() } }
        for worker in workers { worker.join() }
        if let failure = control.failure { throw failure }
        if control.isStopped { throw .stopped }
        for table in tables.indices where plan.pieceCounts[table] == 0 { try writer.writeEmpty(table) }
        let rows = progress.read().values.reduce(0) { $0 + $1.rowsLoaded }
        logger.info("full load is complete", metadata: ["tables": "\(tables.count)", "rows": "\(rows)"])
    }
}
