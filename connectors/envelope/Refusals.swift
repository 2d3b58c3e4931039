package import MillraceCore

extension EnvelopeOptions {
    /// Properties that would change the form of events and that this version does not carry out. To leave them out in
    /// silence would put unmasked or differently shaped data into a sink, so that they are errors.
    package static func refusals(_ config: ConnectorConfig) -> [ConfigFinding] {
        refusals(config, overriddenBy: ConnectorConfig([:]))
    }

    /// Those of a source and of a sink that reads it. What the sink says of converters and transforms goes before what the
    /// source says.
    package static func refusals(
        _ source: ConnectorConfig, overriddenBy sink: ConnectorConfig
    ) -> [ConfigFinding] {
        let shared: Set<String> = ["key.converter", "value.converter", "transforms", "predicates"]
        let own = source.values.filter { !shared.contains($0.key) || sink[$0.key] == nil }
        return findings(ConnectorConfig(own)) + findings(sink)
    }

    /// Properties that hide values: without them, a sink of any form would show what it must not.
    package static func maskings(_ config: ConnectorConfig) -> [ConfigFinding] {
        findings(config).filter { $0.property?.hasPrefix("column.") == true }
    }

    private static func findings(_ config: ConnectorConfig) -> [ConfigFinding] {
        var findings: [ConfigFinding] = []
        for (name, value) in config.values.sorted(by: { $0.key < $1.key }) {
            guard let reason = refusal(name, value.trimmed) else { continue }
            findings.append(ConfigFinding(name, reason))
        }
        return findings
    }

    private static let maskingPrefixes = [
        "column.mask.", "column.truncate.", "column.propagate.source.type", "datatype.propagate.source.type",
    ]

    private static func refusal(_ name: String, _ value: String) -> String? {
        guard !value.isEmpty else { return nil }
        if maskingPrefixes.contains(where: { name.hasPrefix($0) }) {
            return "is not supported yet; remove the property (column.exclude.list leaves columns out at the source)"
        }
        switch name {
        case "transforms", "predicates", "converters", "post.processors":
            return "is not supported yet; remove the property"
        case "key.converter", "value.converter":
            if value == "org.apache.kafka.connect.json.JsonConverter" || value == "JsonConverter" { return nil }
            return "only org.apache.kafka.connect.json.JsonConverter is supported yet"
        case "schema.name.adjustment.mode", "field.name.adjustment.mode":
            return value.lowercased() == "none" ? nil : "only 'none' is supported yet"
        case "time.precision.mode" where value.lowercased() == "structured":
            return "'structured' is not supported yet; isostring keeps every value"
        default:
            return nil
        }
    }
}
