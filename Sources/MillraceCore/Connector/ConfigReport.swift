/// What was found in a configuration, property by property: Kafka Connect's `ConfigInfos`.
package struct ConfigReport: Sendable {
    package struct Entry: Sendable {
        package var key: ConfigKey
        /// What is in force; nil where there is nothing, where it cannot be read, and where it is not to be shown.
        package var value: String?
        package var recommendedValues: [String]
        package var errors: [String]
        package var isVisible: Bool

        package init(
            _ key: ConfigKey, value: String? = nil, recommendedValues: [String]? = nil, errors: [String] = [],
            isVisible: Bool = true
        ) {
            self.key = key
            self.value = value
            self.recommendedValues = recommendedValues ?? key.recommendedValues
            self.errors = errors
            self.isVisible = isVisible
        }
    }

    /// The class as the request named it.
    package var name: String
    package var entries: [Entry]
    /// What was accepted but deserves a word.
    package var warnings: [ConfigFinding]

    package init(name: String, entries: [Entry] = [], warnings: [ConfigFinding] = []) {
        self.name = name
        self.entries = entries
        self.warnings = warnings
    }

    package var errors: [String] { entries.flatMap(\.errors) }

    /// In the order in which they first occur.
    package var groups: [String] {
        var groups: [String] = []
        for case .some(let group) in entries.map(\.key.group) where !groups.contains(group) { groups.append(group) }
        return groups
    }

    /// Adds what a preflight found. A finding about no property of the report is put with the connector's class.
    package mutating func add(_ findings: [ConfigFinding]) {
        for finding in findings {
            guard finding.severity == .error else {
                warnings.append(finding)
                continue
            }
            let index =
                entries.firstIndex { $0.key.name == finding.property }
                ?? entries.firstIndex { $0.key.name == "connector.class" }
            if let index { entries[index].errors.append(finding.message) }
        }
    }

    /// Kafka Connect's text for a configuration that was refused; nil for one without errors.
    package var refusal: String? {
        let errors = errors
        if errors.isEmpty { return nil }
        return "Connector configuration is invalid and contains the following \(errors.count) error(s):\n"
            + errors.joined(separator: "\n")
            + "\nYou can also find the above list of errors at the endpoint "
            + "`/connector-plugins/{connectorType}/config/validate`"
    }
}
