import Logging
import MillraceCore
import MillraceTesting
import PostgresConnector
import Testing

/// A database of its own on a shared server, and sinks that write to it.
final class SinkFixture {
    // One server for all suites: initdb takes longer than most tests.
    private static let shared = Result { try PostgresServer() }

    let server: PostgresServer
    let database: String
    let logID: UInt64 = 0x5EED

    init() throws {
        server = try Self.shared.get()
        database = try server.makeDatabase("sink")
    }

    func config(_ changes: [String: String] = [:]) -> ConnectorConfig {
        var values = [
            "connection.url": "postgresql://127.0.0.1:\(server.port)/\(database)", "connection.username": "postgres",
        ]
        values.merge(changes) { $1 }
        return ConnectorConfig(values)
    }

    func makeSink(
        _ changes: [String: String] = [:], name: String = "target", topics: TopicSelection = .all
    ) throws -> any Sink {
        try PostgresSinkPlugin().makeSink(
            config(changes),
            source: SourceDescription(connectorName: "source", topicPrefix: "srv", config: ConnectorConfig([:])),
            topics: topics,
            TaskContext(
                connectorName: name, taskID: 0, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    }

    /// A started sink.
    func start(_ changes: [String: String] = [:]) throws -> any Sink {
        let sink = try makeSink(changes)
        _ = try sink.start(after: nil, logID: logID)
        return sink
    }

    func builder() -> BatchBuilder { BatchBuilder(logID: logID) }

    func query(_ sql: String) throws -> String {
        try server.query(sql, database: database)
    }

    func execute(_ sql: String) throws {
        try server.execute(sql, database: database)
    }

    /// Rows of a query, one text per row.
    func lines(_ sql: String) throws -> [String] {
        try query(sql).split(separator: "\n").map(String.init)
    }
}

extension Sink {
    /// Writes the batch and makes it durable, as the runtime does when the log has nothing more. How far that is.
    func delivered(_ batch: ChangeBatch) throws(ConnectorError) -> Cursor? {
        _ = try write(batch)
        return try flush()
    }
}

func text(_ value: Int) -> TestValue { .text("\(value)") }
