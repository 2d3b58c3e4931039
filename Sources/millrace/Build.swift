import FileConnector
import KafkaConnector
import MillraceAdmin
import MillraceRuntime
import PostgresConnector

/// What this binary is, and the connectors that are built into it.
enum Build {
    static let info = BuildInfo(version: "0.1.0", commit: "unknown")

    static let plugins = PluginRegistry([
        PostgresSourcePlugin(), PostgresSinkPlugin(), FileSinkPlugin(), KafkaSinkPlugin(),
    ])
}
