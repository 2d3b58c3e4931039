import Logging
import MillraceCore
import MillraceTesting

@testable import PostgresConnector

/// A source at work on one database, with a log in memory.
final class RunningSource: Sendable {
    let log: MemoryLog
    let source: PostgresSource
    private let thread: WorkerThread
    private let outcome = Monitor<Outcome>(.running)

    enum Outcome: Sendable {
        case running
        case returned
        case failed(ConnectorError)
    }

    /// `heard` gets what the source says in its log.
    init(_ config: ConnectorConfig, into log: MemoryLog, heard: Monitor<[String]>? = nil) throws {
        self.log = log
        var logger = Logger(label: "source")
        if let heard { logger.handler = CollectingLogHandler(messages: heard) }
        logger.logLevel = heard == nil ? .error : .debug
        let context = TaskContext(connectorName: "test", taskID: 0, logger: logger)
        let source = PostgresSource(try SourceOptions(config), context)
        self.source = source
        let outcome = outcome
        thread = WorkerThread("source") {
            do throws(ConnectorError) {
                try source.run(into: log)
                outcome.update { $0 = .returned }
            } catch {
                outcome.update { $0 = .failed(error) }
            }
        }
    }

    deinit {
        source.stop()
        thread.join(for: .seconds(20))
    }

    func stop() throws {
        source.stop()
        guard thread.join(for: .seconds(20)) else { throw TestFailure("the source does not stop") }
        if case .failed(let error) = outcome.read({ $0 }) { throw error }
    }

    /// Waits until the load is over.
    func awaitStreaming() throws {
        try eventually("the source streams", state: { "\(self.source.status())" }) {
            try check()
            return source.status().phase == .streaming
        }
    }

    /// The error with which it ended.
    func failure(within timeout: Duration = .seconds(20)) throws -> ConnectorError {
        guard thread.join(for: timeout) else { throw TestFailure("the source goes on") }
        guard case .failed(let error) = outcome.read({ $0 }) else { throw TestFailure("the source returned") }
        return error
    }

    func finish(within timeout: Duration = .seconds(20)) throws {
        guard thread.join(for: timeout) else { throw TestFailure("the source goes on") }
        if case .failed(let error) = outcome.read({ $0 }) { throw error }
    }

    func check() throws {
        if case .failed(let error) = outcome.read({ $0 }) { throw error }
    }
}

/// A database of the server that all streaming tests share, and what a source needs to read it.
struct StreamingDatabase {
    static let server = Result { try PostgresServer(settings: ["logical_decoding_work_mem": "'64kB'"]) }

    let server: PostgresServer
    let name: String

    init(_ server: PostgresServer? = nil) throws {
        self.server = try server ?? Self.server.get()
        name = try self.server.makeDatabase("stream")
    }

    func sql(_ text: String) throws { try server.execute(text, database: name) }

    func config(_ changes: [String: String] = [:], overTCP: Bool = false) -> ConnectorConfig {
        var values = [
            "connector.class": "postgres", "topic.prefix": "t",
            "database.hostname": overTCP ? "127.0.0.1" : server.socketFolder, "database.port": "\(server.port)",
            "database.user": "postgres", "database.dbname": name, "slot.name": "slot_\(name)",
            "publication.name": "Pub \(name)", "status.update.interval.ms": "200",
        ]
        for (name, value) in changes { values[name] = value }
        return ConnectorConfig(values)
    }

    func connect() throws -> PostgresConnection {
        try PostgresConnection(try SourceOptions(config()).connection)
    }

    /// The rows of a table, as the source's connections print them.
    func rows(_ table: String, _ connection: PostgresConnection) throws -> Set<[String?]> {
        Set(try connection.execute("SELECT * FROM \(table)", "compare").rows)
    }

    /// Waits until the log holds what the tables hold.
    func awaitEquality(_ tables: [String], _ running: RunningSource) throws {
        let connection = try connect()
        var difference = ""
        try eventually("the log equals the tables", state: { difference }) {
            try running.check()
            let contents = try running.log.contents()
            for table in tables {
                let expected = try rows(table, connection)
                let actual = Set((contents.rows[table] ?? [:]).values)
                guard actual == expected else {
                    difference =
                        "\(table): \(actual.count) rows for \(expected.count); "
                        + "missing \(expected.subtracting(actual).prefix(2)), "
                        + "too many \(actual.subtracting(expected).prefix(2))"
                    return false
                }
            }
            return true
        }
    }

    func confirmedFlush() throws -> LSN? {
        LSN(
            try server.query(
                "select confirmed_flush_lsn from pg_replication_slots where slot_name = 'slot_\(name)'"))
    }
}

/// Keeps what is logged, with its metadata.
struct CollectingLogHandler: LogHandler {
    let messages: Monitor<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    init(messages: Monitor<[String]>) {
        self.messages = messages
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let details = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
        messages.update { $0.append("\(event.message) \(details)") }
    }
}
