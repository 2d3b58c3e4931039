import MillraceCore

/// A record's value taken apart, where it is an envelope: Debezium's transforms leave everything else alone.
struct DebeziumEnvelope {
    let schema: ConnectSchema
    private let values: [ConnectValue]

    /// Nil for tombstones, transaction records, messages, heartbeats and what another transform has unwrapped.
    init?(_ record: ConnectRecord) {
        guard let schema = record.valueSchema, schema.name?.hasSuffix("Envelope") == true,
            case .structure(let values) = record.value
        else { return nil }
        self.schema = schema
        self.values = values
    }

    /// `.null` where there is no such field.
    subscript(field: String) -> ConnectValue {
        guard let index = schema.index(of: field), index < values.count else { return .null }
        return values[index]
    }

    func schema(of field: String) -> ConnectSchema? {
        schema.index(of: field).map { schema.fields[$0].schema }
    }

    /// `c`, `r`, `u`, `d`, `t`.
    var operation: String {
        if case .string(let operation) = self["op"] { return operation }
        return ""
    }
}

/// A field named in `add.fields` or `add.headers`: `op`, `source.ts_ms`, `lsn`, `transaction.id`, each with an optional
/// new name behind a colon.
struct FieldReference {
    private let structure: String?
    private let field: String
    /// Its name in the record that comes out.
    let name: String

    init(_ text: String, prefix: String) {
        let parts = text.split(separator: ":", maxSplits: 1).map(\.trimmed)
        let path = parts.first ?? ""
        if let dot = path.firstIndex(of: ".") {
            structure = String(path[..<dot])
            field = String(path[path.index(after: dot)...])
            name = prefix + (parts.count > 1 ? parts[1] : "\(path[..<dot])_\(field)")
        } else {
            structure = FieldReference.home(of: path)
            field = path
            name = prefix + (parts.count > 1 ? parts[1] : path)
        }
    }

    /// Where a field without a path lies; nil for the envelope itself.
    private static func home(of field: String) -> String? {
        switch field {
        case "op", "ts_ms", "ts_us", "ts_ns", "before", "after", "source", "transaction": nil
        case "id", "total_order", "data_collection_order": "transaction"
        default: "source"
        }
    }

    /// Nil where the event has no such field.
    func schema(in envelope: ConnectSchema) -> ConnectSchema? {
        var schema = envelope
        if let structure {
            guard let index = schema.index(of: structure) else { return nil }
            schema = schema.fields[index].schema
        }
        return schema.index(of: field).map { schema.fields[$0].schema }
    }

    func value(in envelope: DebeziumEnvelope) -> ConnectValue {
        guard let structure else { return envelope[field] }
        guard let schema = envelope.schema(of: structure), let index = schema.index(of: field),
            case .structure(let values) = envelope[structure], index < values.count
        else { return .null }
        // Debezium leaves the marker unset outside of snapshots; `false` is only its default.
        if structure == "source", field == "snapshot", values[index] == schema.fields[index].schema.defaultValue {
            return .null
        }
        return values[index]
    }
}
