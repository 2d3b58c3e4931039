package import Logging
package import MillraceCore

/// The initial full load: reads all tables at one snapshot, several at a time, and writes them into the log.
package final class InitialSnapshot: Sendable {
    package init(
        options: SourceOptions, tables: [CapturedTable], snapshotName: String, consistentLSN: LSN,
        output: any SourceOutput, progress: SnapshotProgress, logger: Logger
    ) {}

    /// Returns when every table is in the log (submitted, not yet durable), or after `stop`.
    /// Throws the first error of a table, which it names.
    package func run() throws(ConnectorError) {
        throw ConnectorError(.bug, code: "not_implemented", "InitialSnapshot.run")
    }

    /// Makes `run` throw `stopped` soon. Callable from any thread.
    package func stop() {}
}
