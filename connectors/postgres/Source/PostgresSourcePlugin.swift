package import MillraceCore

/// `connector.class=postgres`.
package struct PostgresSourcePlugin: SourcePlugin {
    package init() {}

    package var className: String { "postgres" }
    package var aliases: [String] { ["io.debezium.connector.postgresql.PostgresConnector"] }
    package var definition: ConfigDefinition { PostgresSourceDefinition.definition }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        Preflight.findings(config)
    }

    package func topicPrefix(_ config: ConnectorConfig) -> String {
        config.string("topic.prefix", definition)?.trimmed ?? ""
    }

    package func makeSource(
        _ config: ConnectorConfig, _ context: TaskContext
    ) throws(ConnectorError) -> any Source {
        PostgresSource(try SourceOptions(config), context)
    }
}
