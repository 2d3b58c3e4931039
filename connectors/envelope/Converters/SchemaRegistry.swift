package import MillraceCore

/// A schema as a registry takes it.
package struct RegistrySchema: Sendable, Hashable {
    package enum Format: String, Sendable {
        case avro = "AVRO"
        case protobuf = "PROTOBUF"
    }

    package var format: Format
    package var text: String

    package init(_ format: Format, _ text: String) {
        self.format = format
        self.text = text
    }
}

/// The part of Confluent's Schema Registry that converters need. Asked once per schema, never per record.
package protocol SchemaRegistry: AnyObject {
    /// The id of the schema under the subject, which has it afterwards.
    func register(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32
    /// The id of the schema under the subject, which must have it.
    func find(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32
}

/// Where a registry is and who asks: properties of a converter.
package struct RegistrySettings: Sendable, Hashable {
    /// Tried one after the other, without a slash at the end.
    package var urls: [String]
    package var user: String?
    package var password: String?

    package init(_ properties: [String: String], converter: String) throws(ConnectorError) {
        urls = (properties["schema.registry.url"] ?? "").split(separator: ",").map(\.trimmed).filter { !$0.isEmpty }
        guard !urls.isEmpty else {
            throw ConnectorError(
                .configuration, code: "invalid_property", "\(converter): schema.registry.url is missing",
                hint: "set key.converter.schema.registry.url or value.converter.schema.registry.url")
        }
        if let error = ConnectionProperties.refusal(properties, converter) { throw error }
        for index in urls.indices {
            while urls[index].hasSuffix("/") { urls[index].removeLast() }
            guard urls[index].hasPrefix("http://") || urls[index].hasPrefix("https://") else {
                throw ConnectorError(
                    .configuration, code: "invalid_property",
                    "\(converter): schema.registry.url: http:// or https:// is expected")
            }
        }
        try readCredentials(properties, converter)
    }

    private mutating func readCredentials(
        _ properties: [String: String], _ converter: String
    ) throws(ConnectorError) {
        switch properties["basic.auth.credentials.source"]?.trimmed.uppercased() ?? "URL" {
        case "USER_INFO":
            let info =
                properties["basic.auth.user.info"] ?? properties["schema.registry.basic.auth.user.info"] ?? ""
            guard let colon = info.firstIndex(of: ":") else {
                throw ConnectorError(
                    .configuration, code: "invalid_property",
                    "\(converter): basic.auth.user.info: <user>:<password> is expected")
            }
            user = String(info[..<colon])
            password = String(info[info.index(after: colon)...])
        case "URL":
            for index in urls.indices { takeCredentials(outOf: index) }
        default:
            throw ConnectorError(
                .configuration, code: "unsupported_property",
                "\(converter): basic.auth.credentials.source: URL or USER_INFO is expected")
        }
    }

    /// `http://user:password@host`: out of the address, so that it can be shown.
    private mutating func takeCredentials(outOf index: Int) {
        let url = urls[index]
        guard let scheme = url.firstRange(of: "://") else { return }
        let rest = url[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return }
        let parts = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = String(parts[0])
        password = parts.count > 1 ? String(parts[1]) : ""
        urls[index] = String(url[..<scheme.upperBound] + rest[rest.index(after: at)...])
    }
}

/// Makes the client for a registry.
package typealias SchemaRegistryFactory = @Sendable (RegistrySettings) throws(ConnectorError) -> any SchemaRegistry

/// What the converters that use a registry have in common: subjects, and the id in front of every message.
struct RegistryForm {
    enum NameStrategy: String, CaseIterable {
        case topic = "TopicNameStrategy"
        case record = "RecordNameStrategy"
        case topicRecord = "TopicRecordNameStrategy"
    }

    let registry: any SchemaRegistry
    let isKey: Bool
    private let strategy: NameStrategy
    private let registers: Bool

    init(_ choice: ConverterChoice, _ registries: SchemaRegistryFactory?) throws(ConnectorError) {
        let settings = try RegistrySettings(choice.properties, converter: choice.kind.rawValue)
        guard let registries else {
            throw ConnectorError(
                .configuration, code: "unsupported_property",
                "\(choice.kind.rawValue) is of no use here: what it writes is meant for Kafka")
        }
        registry = try registries(settings)
        isKey = choice.isKey
        registers = choice.flag("auto.register.schemas", true)
        if choice.flag("use.latest.version", false) {
            throw ConnectorError(
                .configuration, code: "unsupported_property",
                "\(choice.kind.rawValue): use.latest.version=true is not supported: events are written in the schema "
                    + "that their table has", hint: "remove use.latest.version")
        }
        let property = isKey ? "key.subject.name.strategy" : "value.subject.name.strategy"
        let name = choice.properties[property]?.trimmed.split(separator: ".").last.map(String.init)
        guard let strategy = NameStrategy(rawValue: name ?? NameStrategy.topic.rawValue) else {
            let known = NameStrategy.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConnectorError(
                .configuration, code: "unsupported_property", "\(property): one of \(known) is expected")
        }
        self.strategy = strategy
    }

    /// The id under which the registry has the schema. `record`: the full name of the topmost record.
    func id(of schema: RegistrySchema, topic: String, record: String) throws(ConnectorError) -> UInt32 {
        let subject =
            switch strategy {
            case .topic: "\(topic)-\(isKey ? "key" : "value")"
            case .record: record
            case .topicRecord: "\(topic)-\(record)"
            }
        return registers
            ? try registry.register(schema, subject: subject) : try registry.find(schema, subject: subject)
    }
}
