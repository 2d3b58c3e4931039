package import MillraceCore

/// The tables to load: those that are captured and published, in the order in which they are loaded.
package func capturedTables(
    _ options: SourceOptions, _ connection: PostgresConnection
) throws(ConnectorError) -> [CapturedTable] {
    throw ConnectorError(.bug, code: "not_implemented", "capturedTables")
}
