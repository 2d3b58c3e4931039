/// The type of a value in Kafka Connect's data model (`org.apache.kafka.connect.data.Schema`).
///
/// Logical types (`…connect.data.Decimal`, `io.debezium.time.Date` …) are their base kind under the type's name.
/// Immutable: made once for a relation or an envelope and shared, so that converters can know one by its identity.
package final class ConnectSchema: Sendable {
    package enum Kind: Sendable, Hashable {
        case int8
        case int16
        case int32
        case int64
        case float32
        case float64
        case boolean
        case string
        case bytes
        case array(ConnectSchema)
        case map(keys: ConnectSchema, values: ConnectSchema)
        case structure([ConnectField])
    }

    package let kind: Kind
    package let isOptional: Bool
    package let name: String?
    package let version: Int?
    package let doc: String?
    /// In order.
    package let parameters: [ConnectParameter]
    /// Nil: no default. `.null` is never one.
    package let defaultValue: ConnectValue?

    package init(
        _ kind: Kind, isOptional: Bool = false, name: String? = nil, version: Int? = nil, doc: String? = nil,
        parameters: [ConnectParameter] = [], defaultValue: ConnectValue? = nil
    ) {
        self.kind = kind
        self.isOptional = isOptional
        self.name = name
        self.version = version
        self.doc = doc
        self.parameters = parameters
        self.defaultValue = defaultValue
    }

    package static let string = ConnectSchema(.string)
    package static let optionalString = ConnectSchema(.string, isOptional: true)

    /// The fields of a structure; none of anything else.
    package var fields: [ConnectField] {
        if case .structure(let fields) = kind { return fields }
        return []
    }

    /// Place of a field in the structure and in its values.
    package func index(of field: String) -> Int? {
        fields.firstIndex { $0.name == field }
    }

    package func parameter(_ key: String) -> String? {
        parameters.first { $0.key == key }?.value
    }

    /// The same but for what is given.
    package func with(
        kind: Kind? = nil, isOptional: Bool? = nil, name: String?? = nil, version: Int?? = nil,
        parameters: [ConnectParameter]? = nil, defaultValue: ConnectValue?? = nil
    ) -> ConnectSchema {
        ConnectSchema(
            kind ?? self.kind, isOptional: isOptional ?? self.isOptional, name: name ?? self.name,
            version: version ?? self.version, doc: doc, parameters: parameters ?? self.parameters,
            defaultValue: defaultValue ?? self.defaultValue)
    }
}

extension ConnectSchema: Hashable {
    package static func == (left: ConnectSchema, right: ConnectSchema) -> Bool {
        left === right
            || left.isOptional == right.isOptional && left.name == right.name && left.version == right.version
                && left.doc == right.doc && left.kind == right.kind && left.parameters == right.parameters
                && left.defaultValue == right.defaultValue
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(isOptional)
        hasher.combine(name)
        hasher.combine(version)
    }
}

/// A field of a structure. Its index is its place in the structure.
package struct ConnectField: Sendable, Hashable {
    package var name: String
    package var schema: ConnectSchema

    package init(_ name: String, _ schema: ConnectSchema) {
        self.name = name
        self.schema = schema
    }
}

/// A parameter of a schema.
package struct ConnectParameter: Sendable, Hashable {
    package var key: String
    package var value: String

    package init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}
