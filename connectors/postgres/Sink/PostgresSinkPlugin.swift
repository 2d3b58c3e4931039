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
}
