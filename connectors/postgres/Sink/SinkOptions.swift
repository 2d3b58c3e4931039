package import MillraceCore

/// The properties of a `postgres-sink`, read.
package struct SinkOptions: Sendable {
    package enum InsertMode: String, Sendable {
        case upsert
        case insert
        case update
    }

    var connection: ConnectionParameters
    var insertMode: InsertMode
    var appliesDeletes: Bool
    var appliesTruncates: Bool
    var createsTables: Bool
    var followsSchema: Bool
    var nameFormat: TargetNameFormat

    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        let definition = PostgresSinkDefinition.definition
        switch TargetURL.parse(config.string("connection.url", definition) ?? "") {
        case .success(let parameters): connection = parameters
        case .failure(let fault):
            throw ConnectorError(.configuration, code: "invalid_url", "connection.url: \(fault.message)")
        }
        if let user = config["connection.username"] { connection["user"] = user }
        if let password = config["connection.password"] { connection["password"] = password }
        connection.setTCPTimeout(config.milliseconds("tcp.timeout.ms", definition) ?? .seconds(60))
        let mode = config.string("insert.mode", definition)?.trimmed.lowercased() ?? ""
        guard let insertMode = InsertMode(rawValue: mode) else {
            throw ConnectorError(.configuration, code: "invalid_config", "insert.mode: upsert, insert or update")
        }
        self.insertMode = insertMode
        appliesDeletes = config.bool("delete.enabled", definition)
        appliesTruncates = config.bool("truncate.enabled", definition)
        createsTables = config.bool("auto.create", definition)
        followsSchema = config.string("schema.evolution", definition)?.trimmed.lowercased() != "none"
        let format =
            config["collection.name.format"] ?? config["table.name.format"]
            ?? config.string("collection.name.format", definition) ?? ""
        guard let nameFormat = TargetNameFormat(format) else {
            throw ConnectorError(
                .configuration, code: "invalid_config",
                "collection.name.format: \(TargetNameFormat.fault(in: format) ?? "malformed")")
        }
        self.nameFormat = nameFormat
    }
}
