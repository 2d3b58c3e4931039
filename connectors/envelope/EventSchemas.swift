/// The schemas around rows: those of envelopes, messages and transaction records.
enum EventSchemas {
    static let source: String = {
        let snapshot = SchemaText(
            "string", "io.debezium.data.Enum",
            parameters: [
                ("allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental")
            ])
        let text = SchemaText("string")
        let number = SchemaText("int64")
        let fields = [
            text.json(optional: false, field: "version"), text.json(optional: false, field: "connector"),
            text.json(optional: false, field: "name"), number.json(optional: false, field: "ts_ms"),
            snapshot.json(optional: true, default: "\"false\"", field: "snapshot"),
            text.json(optional: false, field: "db"), text.json(optional: true, field: "sequence"),
            number.json(optional: true, field: "ts_us"), number.json(optional: true, field: "ts_ns"),
            text.json(optional: false, field: "schema"), text.json(optional: false, field: "table"),
            number.json(optional: true, field: "txId"), number.json(optional: true, field: "lsn"),
            number.json(optional: true, field: "xmin"), text.json(optional: true, field: "origin"),
            number.json(optional: true, field: "origin_lsn"),
        ]
        return SchemaText.structure(fields, "io.debezium.connector.postgresql.Source")
            .json(optional: false, field: "source")
    }()

    static let transactionBlock: String = {
        let fields = [
            SchemaText("string").json(optional: false, field: "id"),
            SchemaText("int64").json(optional: false, field: "total_order"),
            SchemaText("int64").json(optional: false, field: "data_collection_order"),
        ]
        return SchemaText.structure(fields, "event.block").json(optional: true, version: 1, field: "transaction")
    }()

    private static func time(_ name: String) -> String {
        SchemaText("int64").json(optional: true, field: name)
    }

    static func envelope(topic: String, columns: [String]) -> String {
        let row = SchemaText.structure(columns, "\(topic).Value")
        let fields = [
            row.json(optional: true, field: "before"), row.json(optional: true, field: "after"), source,
            transactionBlock, SchemaText("string").json(optional: false, field: "op"), time("ts_ms"), time("ts_us"),
            time("ts_ns"),
        ]
        return SchemaText.structure(fields, "\(topic).Envelope").json(optional: false, version: 2)
    }

    static func key(topic: String, columns: [String]) -> String {
        SchemaText.structure(columns, "\(topic).Key").json(optional: false)
    }

    static let messageKey = SchemaText.structure(
        [SchemaText("string").json(optional: true, field: "prefix")],
        "io.debezium.connector.postgresql.MessageKey"
    ).json(optional: false)

    static func message(_ mode: EnvelopeOptions.BinaryMode) -> String {
        let content = SchemaText(mode == .bytes ? "bytes" : "string").json(optional: true, field: "content")
        let message = SchemaText.structure(
            [SchemaText("string").json(optional: true, field: "prefix"), content],
            "io.debezium.connector.postgresql.Message")
        let fields = [
            SchemaText("string").json(optional: false, field: "op"), time("ts_ms"), source, transactionBlock,
            message.json(optional: false, field: "message"),
        ]
        return SchemaText.structure(fields, "io.debezium.connector.postgresql.MessageValue").json(optional: false)
    }

    static let transactionKey = SchemaText.structure(
        [SchemaText("string").json(optional: false, field: "id")],
        "io.debezium.connector.common.TransactionMetadataKey"
    ).json(optional: false)

    static let transaction: String = {
        let collection = SchemaText.structure(
            [
                SchemaText("string").json(optional: false, field: "data_collection"),
                SchemaText("int64").json(optional: false, field: "event_count"),
            ], "event.collection"
        ).json(optional: true, version: 1)
        var collections = SchemaText("array")
        collections.type += ",\"items\":\(collection)"
        let fields = [
            SchemaText("string").json(optional: false, field: "status"),
            SchemaText("string").json(optional: false, field: "id"),
            SchemaText("int64").json(optional: true, field: "event_count"),
            collections.json(optional: true, field: "data_collections"),
            SchemaText("int64").json(optional: false, field: "ts_ms"),
        ]
        return SchemaText.structure(fields, "io.debezium.connector.common.TransactionMetadataValue")
            .json(optional: false)
    }()
}
