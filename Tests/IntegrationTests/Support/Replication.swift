import MillraceCore
import MillraceTesting

/// The clusters that tests share which do not break them: starting one takes a second.
enum SharedServers {
    static let source = Result { try PostgresServer() }
    static let target = Result { try PostgresServer() }
}

/// One source database that a Millrace of its own replicates into one target database.
///
/// The connectors are `source` and `sink`; topics begin with `shop`.
final class Replication {
    let source: PostgresServer
    let target: PostgresServer
    let millrace: MillraceProcess
    let sourceDatabase: String
    let targetDatabase: String
    var sourceConfig: [String: String]
    var sinkConfig: [String: String]
    private var markers = 0

    var slot: String { "slot_\(sourceDatabase)" }
    var publication: String { "pub_\(sourceDatabase)" }

    /// Runs `sql` in the source before anything is replicated. The servers are the shared ones unless given. Nothing is
    /// registered until `start`.
    init(
        _ sql: String = "", source: PostgresServer? = nil, target: PostgresServer? = nil,
        sourceConfig: [String: String] = [:], sinkConfig: [String: String] = [:], dataDirectory: String? = nil
    ) throws {
        let source = try source ?? SharedServers.source.get()
        let target = try target ?? SharedServers.target.get()
        let sourceDatabase = try source.makeDatabase("source")
        let targetDatabase = try target.makeDatabase("target")
        self.source = source
        self.target = target
        self.sourceDatabase = sourceDatabase
        self.targetDatabase = targetDatabase
        self.sourceConfig = [
            "connector.class": "postgres", "topic.prefix": "shop",
            "database.hostname": "127.0.0.1", "database.port": "\(source.port)", "database.user": "postgres",
            "database.password": "secret", "database.dbname": sourceDatabase,
            "slot.name": "slot_\(sourceDatabase)", "publication.name": "pub_\(sourceDatabase)",
            "status.update.interval.ms": "500", "retriable.restart.connector.wait.ms": "500",
        ].merging(sourceConfig) { $1 }
        self.sinkConfig = [
            "connector.class": "postgres-sink", "source": "source",
            "connection.url": "postgresql://127.0.0.1:\(target.port)/\(targetDatabase)",
            "connection.username": "postgres", "connection.password": "secret",
        ].merging(sinkConfig) { $1 }
        try source.execute(
            "create table public.sync_marker (id bigint primary key);\n" + sql, database: sourceDatabase)
        millrace = try MillraceProcess(dataDirectory: dataDirectory)
    }

    /// The server is stopped first, so that its slot can be dropped: slots are few, and each keeps WAL.
    deinit {
        millrace.kill9()
        guard source.isRunning else { return }
        _ = try? source.execute(
            """
            select pg_terminate_backend(active_pid) from pg_replication_slots
            where database = '\(sourceDatabase)' and active_pid is not null;
            select pg_drop_replication_slot(slot_name) from pg_replication_slots
            where database = '\(sourceDatabase)' and active_pid is null;
            """)
    }

    /// Registers source and sink.
    func start() throws {
        try millrace.putConnector("source", sourceConfig)
        try millrace.putConnector("sink", sinkConfig)
    }

    /// Runs statements in the source.
    func execute(_ sql: String) throws {
        try source.execute(sql, database: sourceDatabase)
    }

    func sourceValue(_ sql: String) throws -> String { try source.query(sql, database: sourceDatabase) }
    func targetValue(_ sql: String) throws -> String { try target.query(sql, database: targetDatabase) }

    /// Waits until everything that is committed in the source now is in the target: until a row is there that was inserted
    /// behind it.
    func waitUntilCaughtUp(within timeout: Duration = .seconds(40)) throws {
        markers += 1
        try execute("insert into public.sync_marker values (\(markers))")
        try eventually("the target has caught up", within: timeout, state: { self.situation() }) {
            (try? targetValue("select 1 from public.sync_marker where id = \(markers)")) == "1"
        }
    }

    /// Waits, then compares each table with its copy.
    func requireEqual(_ tables: String..., within timeout: Duration = .seconds(40)) throws {
        try waitUntilCaughtUp(within: timeout)
        for table in tables { try comparison.requireEqual(table) }
    }

    var comparison: TableComparison {
        TableComparison(
            source: source, sourceDatabase: sourceDatabase, target: target, targetDatabase: targetDatabase)
    }

    /// The slot's position, nil where there is none.
    func confirmedFlushLSN() throws -> LSN? {
        LSN(try source.query("select confirmed_flush_lsn from pg_replication_slots where slot_name = '\(slot)'"))
    }

    func currentWALLSN() throws -> LSN {
        try LSN(source.query("select pg_current_wal_lsn()")) ?? .zero
    }

    /// Waits until the source task has failed with a state of this name, and returns its trace.
    @discardableResult
    func waitForSourceFailure(_ code: String, within timeout: Duration = .seconds(40)) throws -> String {
        try waitForFailure("source", code, within: timeout)
    }

    @discardableResult
    func waitForFailure(_ connector: String, _ code: String, within timeout: Duration = .seconds(40)) throws -> String {
        try eventually("\(connector) fails with \(code)", within: timeout, state: { self.situation() }) {
            () -> String? in
            let task = try millrace.status(connector)["tasks"][0]
            guard task["state"].string == "FAILED", let trace = task["trace"].string, trace.contains(code) else {
                return nil
            }
            return trace
        }
    }

    /// For the message of a failed test.
    func situation() -> String {
        let states = ["source", "sink"].map {
            "\($0): \((try? millrace.request("GET", "/connectors/\($0)/status"))?.body ?? "")"
        }
        return states.joined(separator: "\n") + "\n" + lastLines(of: millrace.logFile)
    }
}
