package import MillraceCore

extension EnvelopeOptions {
    /// Properties that would change the form of events and that this version does not carry out. To leave them out in
    /// silence would put unmasked or differently shaped data into a sink, so that they are errors.
    package static func refusals(_ config: ConnectorConfig) -> [ConfigFinding] {
        let faults = ConverterChoice.faults(config)
        let others = refusals(config, overriddenBy: ConnectorConfig([:])).filter { finding in
            !faults.contains { $0.property == finding.property }
        }
        return others + faults
    }

    /// Those of a source and of a sink that reads it. What the sink says of converters and transforms goes before what the
    /// source says.
    package static func refusals(
        _ source: ConnectorConfig, overriddenBy sink: ConnectorConfig
    ) -> [ConfigFinding] {
        let shared: Set<String> = ["key.converter", "value.converter", "header.converter", "transforms", "predicates"]
        let own = source.values.filter { !shared.contains($0.key) || sink[$0.key] == nil }
        return findings(ConnectorConfig(own)) + findings(sink)
    }

    /// Properties that hide values: without them, a sink of any form would show what it must not.
    package static func maskings(_ config: ConnectorConfig) -> [ConfigFinding] {
        MaskingProperties.names(in: config).map {
            ConfigFinding($0, "this form shows rows as they are, without masking")
        }
    }

    private static func findings(_ config: ConnectorConfig) -> [ConfigFinding] {
        var findings: [ConfigFinding] = []
        for (name, value) in config.values.sorted(by: { $0.key < $1.key }) {
            guard let reason = refusal(name, value.trimmed) else { continue }
            findings.append(ConfigFinding(name, reason))
        }
        return findings
    }

    private static func refusal(_ name: String, _ value: String) -> String? {
        guard !value.isEmpty else { return nil }
        switch name {
        case "converters", "post.processors":
            return "names Java classes, which cannot be used here; remove the property"
        case "key.converter", "value.converter", "header.converter":
            return ConverterChoice.Kind(className: value) == nil ? ConverterChoice.refusal(value) : nil
        case "time.precision.mode" where value.lowercased() == "structured":
            return "'structured' is not supported yet; isostring keeps every value"
        default:
            return nil
        }
    }
}
