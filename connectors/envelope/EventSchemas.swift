/// The schemas around rows: those of envelopes, messages and transaction records.
enum EventSchemas {
    private static let text = ConnectSchema.string
    private static let optionalText = ConnectSchema.optionalString
    private static let number = ConnectSchema(.int64)
    private static let optionalNumber = ConnectSchema(.int64, isOptional: true)

    static let source: ConnectSchema = {
        let snapshot = ColumnSchema.logical(
            .string, "io.debezium.data.Enum",
            parameters: [
                ConnectParameter(
                    "allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental")
            ]
        ).with(isOptional: true, defaultValue: .string("false"))
        return ColumnSchema.logical(
            .structure([
                ConnectField("version", text), ConnectField("connector", text), ConnectField("name", text),
                ConnectField("ts_ms", number), ConnectField("snapshot", snapshot), ConnectField("db", text),
                ConnectField("sequence", optionalText), ConnectField("ts_us", optionalNumber),
                ConnectField("ts_ns", optionalNumber), ConnectField("schema", text), ConnectField("table", text),
                ConnectField("txId", optionalNumber), ConnectField("lsn", optionalNumber),
                ConnectField("xmin", optionalNumber), ConnectField("origin", optionalText),
                ConnectField("origin_lsn", optionalNumber),
            ]), "io.debezium.connector.postgresql.Source")
    }()

    static let transactionBlock = ConnectSchema(
        .structure([
            ConnectField("id", text), ConnectField("total_order", number),
            ConnectField("data_collection_order", number),
        ]), isOptional: true, name: "event.block", version: 1)

    /// `topic`: as schemas are named after it.
    static func envelope(topic: String, columns: [ConnectField]) -> ConnectSchema {
        let row = ConnectSchema(.structure(columns), isOptional: true, name: "\(topic).Value")
        return ConnectSchema(
            .structure([
                ConnectField("before", row), ConnectField("after", row), ConnectField("source", source),
                ConnectField("transaction", transactionBlock), ConnectField("op", text),
                ConnectField("ts_ms", optionalNumber), ConnectField("ts_us", optionalNumber),
                ConnectField("ts_ns", optionalNumber),
            ]), name: "\(topic).Envelope", version: 2)
    }

    static func key(topic: String, columns: [ConnectField]) -> ConnectSchema {
        ConnectSchema(.structure(columns), name: "\(topic).Key")
    }

    // MARK: Messages

    static let messageKey = ColumnSchema.logical(
        .structure([ConnectField("prefix", optionalText)]), "io.debezium.connector.postgresql.MessageKey")

    static func message(_ mode: EnvelopeOptions.BinaryMode) -> ConnectSchema {
        mode == .bytes ? messageOfBytes : messageOfText
    }

    private static let messageOfBytes = message(content: .bytes)
    private static let messageOfText = message(content: .string)

    private static func message(content: ConnectSchema.Kind) -> ConnectSchema {
        let message = ColumnSchema.logical(
            .structure([
                ConnectField("prefix", optionalText), ConnectField("content", ConnectSchema(content, isOptional: true)),
            ]), "io.debezium.connector.postgresql.Message")
        return ColumnSchema.logical(
            .structure([
                ConnectField("op", text), ConnectField("ts_ms", optionalNumber), ConnectField("source", source),
                ConnectField("transaction", transactionBlock), ConnectField("message", message),
            ]), "io.debezium.connector.postgresql.MessageValue")
    }

    // MARK: Heartbeats

    static let heartbeatKey = ColumnSchema.logical(
        .structure([ConnectField("serverName", text)]), "io.debezium.connector.common.ServerNameKey")

    static let heartbeat = ColumnSchema.logical(
        .structure([ConnectField("ts_ms", number)]), "io.debezium.connector.common.Heartbeat")

    // MARK: Transactions

    static let transactionKey = ColumnSchema.logical(
        .structure([ConnectField("id", text)]), "io.debezium.connector.common.TransactionMetadataKey")

    static let transaction: ConnectSchema = {
        let collection = ConnectSchema(
            .structure([ConnectField("data_collection", text), ConnectField("event_count", number)]),
            isOptional: true, name: "event.collection", version: 1)
        return ColumnSchema.logical(
            .structure([
                ConnectField("status", text), ConnectField("id", text), ConnectField("event_count", optionalNumber),
                ConnectField("data_collections", ConnectSchema(.array(collection), isOptional: true)),
                ConnectField("ts_ms", number),
            ]), "io.debezium.connector.common.TransactionMetadataValue")
    }()
}
