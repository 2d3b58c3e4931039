package import MillraceCore

/// Which converter a configuration names, with the converter's own properties.
package struct ConverterChoice: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case json = "org.apache.kafka.connect.json.JsonConverter"
        case string = "org.apache.kafka.connect.storage.StringConverter"
        case simpleHeader = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
        case byteArray = "org.apache.kafka.connect.converters.ByteArrayConverter"
        case boolean = "org.apache.kafka.connect.converters.BooleanConverter"
        case short = "org.apache.kafka.connect.converters.ShortConverter"
        case integer = "org.apache.kafka.connect.converters.IntegerConverter"
        case long = "org.apache.kafka.connect.converters.LongConverter"
        case float = "org.apache.kafka.connect.converters.FloatConverter"
        case double = "org.apache.kafka.connect.converters.DoubleConverter"
        case binaryData = "io.debezium.converters.BinaryDataConverter"
        case byteBuffer = "io.debezium.converters.ByteBufferConverter"
        case cloudEvents = "io.debezium.converters.CloudEventsConverter"
        case avro = "io.confluent.connect.avro.AvroConverter"
        case protobuf = "io.confluent.connect.protobuf.ProtobufConverter"

        /// By the whole name, or by its last part with or without `Converter`, as Kafka Connect takes them.
        package init?(className: String) {
            let name = className.trimmed
            let known = Kind.allCases.first { kind in
                let simple = kind.rawValue.split(separator: ".").last.map(String.init) ?? ""
                return name == kind.rawValue || name == simple || name + "Converter" == simple
            }
            guard let known else { return nil }
            self = known
        }

        /// What it writes is bytes that only a Kafka record can hold.
        package var isBinary: Bool {
            switch self {
            case .json, .string, .simpleHeader, .cloudEvents: false
            default: true
            }
        }
    }

    package var kind: Kind
    /// Without the prefix (`schemas.enable` …).
    package var properties: [String: String]
    /// Named by the source or the sink, not only by default.
    package var isNamed: Bool
    /// `key.converter`.
    package var isKey: Bool

    /// `property`: `key.converter`, `value.converter` or `header.converter`. Who names a converter settles its properties;
    /// otherwise single properties of the sink go before the source's.
    package init(
        _ property: String, source: ConnectorConfig, sink: ConnectorConfig
    ) throws(ConnectorError) {
        let named = sink[property] ?? source[property]
        isKey = property == "key.converter"
        isNamed = named?.trimmed.isEmpty == false
        let standard: Kind = property == "header.converter" ? .simpleHeader : .json
        guard let kind = isNamed ? named.flatMap({ Kind(className: $0) }) : standard else {
            throw ConnectorError(
                .configuration, code: "unsupported_property", "\(property): \(Self.refusal(named ?? ""))")
        }
        self.kind = kind
        properties = [:]
        let prefix = property + "."
        let configs = sink[property] == nil ? [source, sink] : [sink]
        for config in configs {
            for (name, value) in config.values where name.hasPrefix(prefix) {
                properties[String(name.dropFirst(prefix.count))] = value
            }
        }
    }

    package init(
        _ kind: Kind, _ properties: [String: String] = [:], isNamed: Bool = true, isKey: Bool = false
    ) {
        self.isKey = isKey
        self.kind = kind
        self.properties = properties
        self.isNamed = isNamed
    }

    package static func refusal(_ className: String) -> String {
        let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        return "there is no converter \(className.trimmed) here; there are \(known)"
    }

    /// What is wrong with a configuration's converters, by property. The registry is not asked.
    static func faults(_ config: ConnectorConfig) -> [ConfigFinding] {
        ["key.converter", "value.converter", "header.converter"].flatMap { property -> [ConfigFinding] in
            guard config[property]?.trimmed.isEmpty == false else { return [] }
            do throws(ConnectorError) {
                let choice = try ConverterChoice(property, source: ConnectorConfig([:]), sink: config)
                _ = try choice.make { _ in UnaskedRegistry() }
                return choice.withoutEffect.map { name, reason in
                    let name = "\(property).\(name)"
                    return ConfigFinding(name, "\(name): has no effect: \(reason)", severity: .warning)
                }
            } catch {
                let isPrefixed = error.message.hasPrefix("\(property): ")
                let message = isPrefixed ? String(error.message.dropFirst(property.count + 2)) : error.message
                return [ConfigFinding(property, message)]
            }
        }
    }

    /// The converter's properties that are set and change nothing.
    var withoutEffect: [(name: String, reason: String)] {
        switch kind {
        case .avro, .protobuf: ConnectionProperties.withoutEffect(properties)
        case .cloudEvents:
            ConnectionProperties.withoutEffect(properties)
                + (properties["schema.cloudevents.name"] == nil
                    ? [] : [("schema.cloudevents.name", "CloudEvents are written as JSON, which has no schema's name")])
        default: []
        }
    }

    package func flag(_ name: String, _ defaultValue: Bool) -> Bool {
        properties[name].map { $0.trimmed.lowercased() == "true" } ?? defaultValue
    }

    /// What JsonConverter makes of the properties. Without a named converter schemas are left out.
    package var json: EnvelopeOptions.Converter {
        var options = EnvelopeOptions.Converter()
        options.includesSchema = flag("schemas.enable", isNamed)
        options.writesDecimalsAsNumbers = properties["decimal.format"]?.trimmed.uppercased() == "NUMERIC"
        options.replacesNullWithDefault = flag("replace.null.with.default", true)
        return options
    }

    /// `registries`: nil where nobody could read what refers to a registry.
    package func make(_ registries: SchemaRegistryFactory? = nil) throws(ConnectorError) -> any Converter {
        switch kind {
        case .json: JSONConverter(json)
        case .string: StringConverter()
        case .simpleHeader: SimpleHeaderConverter()
        case .cloudEvents: try CloudEventsConverter(self)
        case .avro: try AvroConverter(self, registries)
        case .protobuf: try ProtobufConverter(self, registries)
        case .byteArray, .boolean, .short, .integer, .long, .float, .double: PrimitiveConverter(kind)
        case .binaryData, .byteBuffer: PrimitiveConverter(kind, delegate: try delegate())
        }
    }

    /// `delegate.converter.type` and its properties.
    private func delegate() throws(ConnectorError) -> (any Converter)? {
        guard let className = properties["delegate.converter.type"]?.trimmed, !className.isEmpty else { return nil }
        guard let kind = Kind(className: className), kind != .binaryData, kind != .byteBuffer else {
            throw ConnectorError(
                .configuration, code: "unsupported_property",
                "delegate.converter.type: \(ConverterChoice.refusal(className))")
        }
        let prefix = "delegate.converter.type."
        var own: [String: String] = [:]
        for (name, value) in properties where name.hasPrefix(prefix) {
            own[String(name.dropFirst(prefix.count))] = value
        }
        return try ConverterChoice(kind, own).make()
    }
}

/// Stands in where only the properties are looked at.
private final class UnaskedRegistry: SchemaRegistry {
    private static let error = ConnectorError(.bug, code: "unasked_registry", "the registry was asked while checking")

    func register(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32 { throw Self.error }
    func find(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32 { throw Self.error }
}
