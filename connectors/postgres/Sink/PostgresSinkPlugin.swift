internal import Logging
package import MillraceCore

/// `postgres-sink`: keeps another PostgreSQL database equal to the source.
package struct PostgresSinkPlugin: SinkPlugin {
    package init() {}

    package var className: String { "postgres-sink" }
    package var aliases: [String] { ["io.debezium.connector.jdbc.JdbcSinkConnector"] }
    package var definition: ConfigDefinition { PostgresSinkDefinition.definition }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        do {
            return SinkPreflight(try SinkOptions(config)).findings()
        } catch {
            return [ConfigFinding("connection.url", error.message)]
        }
    }

    package func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        try MaskingProperties.refuse(source, for: "postgres-sink")
        let isWanted: (String) -> Bool
        do {
            isWanted = try topics.makeMatcher()
        } catch {
            throw ConnectorError(.configuration, code: "invalid_config", "topics.regex is not a regular expression")
        }
        return PostgresSink(
            try SinkOptions(config), sink: context.connectorName, source: source, isWanted: isWanted,
            logger: context.logger)
    }

    package func alterOffsets(
        _ config: ConnectorConfig, source: SourceDescription, to cursor: Cursor?, logID: UInt64, _ context: TaskContext
    ) throws(ConnectorError) {
        let options = try SinkOptions(config)
        do throws(PostgresError) {
            let connection = try PostgresConnection(options.connection)
            let ledger = SinkLedger(
                connection: connection, sink: context.connectorName, source: source.connectorName)
            try ledger.prepare()
            guard try ledger.lock() else {
                throw PostgresError(
                    sqlState: "55P03", message: "another session still holds the lock of the sink",
                    operation: "change the sink's cursor")
            }
            _ = try ledger.readCursor(logID: logID)
            try ledger.setCursor(cursor)
        } catch {
            throw error.connectorError
        }
    }
}
