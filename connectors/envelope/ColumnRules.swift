package import MillraceCore

/// What is done to the values of some columns before any event shows them: `column.mask.with.N.chars`,
/// `column.mask.hash(.v2).ALGORITHM.with.salt.SALT`, `column.truncate.to.N.chars`; and which columns tell of their source
/// type: `column.propagate.source.type`, `datatype.propagate.source.type`.
package struct ColumnRules: Sendable {
    private var rules: [(patterns: [String], action: MaskingRule)] = []
    private var propagatedColumns: [String] = []
    private var propagatedTypes: [String] = []

    package init() {}

    /// Throws what is wrong with a property. No masking is ever left out in silence.
    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        for (name, value) in config.values.sorted(by: { $0.key < $1.key }) {
            if let action = try ColumnRules.rule(name) {
                rules.append((try ColumnRules.patterns(name, value), action))
            }
        }
        propagatedColumns = try ColumnRules.patterns(
            "column.propagate.source.type", config["column.propagate.source.type"] ?? "")
        propagatedTypes = try ColumnRules.patterns(
            "datatype.propagate.source.type", config["datatype.propagate.source.type"] ?? "")
    }

    private static func rule(_ name: String) throws(ConnectorError) -> MaskingRule? {
        let rule: MaskingRule?
        do {
            rule = try MaskingRule(property: name)
        } catch {
            throw invalid(name, error.reason)
        }
        if case .hash(let algorithm, _, let version)? = rule, ValueHash(algorithm, salt: "", version) == nil {
            throw invalid(name, "OpenSSL here has no hash algorithm '\(algorithm)'")
        }
        return rule
    }

    private static func patterns(_ name: String, _ value: String) throws(ConnectorError) -> [String] {
        let patterns = ConfigCheck.splitUnescaped(value)
        for pattern in patterns {
            if let fault = ConfigCheck.fault(inPattern: pattern) { throw invalid(name, fault) }
        }
        return patterns
    }

    private static func invalid(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(name): \(reason)")
    }

    // MARK: For one relation

    func action(_ column: Column, of relation: Relation) -> MaskingRule? {
        let name = "\(relation.qualifiedName).\(column.name)"
        return rules.first { ColumnRules.matches($0.patterns, name) }?.action
    }

    var propagatesAny: Bool { !propagatedColumns.isEmpty || !propagatedTypes.isEmpty }

    /// Whether the schema of the column names its type in the source. `typeName`: PostgreSQL's short name for it.
    func propagates(_ column: Column, of relation: Relation, database: String, typeName: String) -> Bool {
        if ColumnRules.matches(propagatedColumns, "\(relation.qualifiedName).\(column.name)") { return true }
        guard !propagatedTypes.isEmpty else { return false }
        return ColumnRules.matches(propagatedTypes, "\(relation.qualifiedName).\(column.name).\(typeName)")
            || ColumnRules.matches(propagatedTypes, "\(database).\(relation.qualifiedName).\(column.name).\(typeName)")
            || ColumnRules.matches(propagatedTypes, "\(relation.namespace).\(relation.name).\(typeName)")
    }

    /// Anchored, and without regard to case, as Debezium matches columns.
    private static func matches(_ patterns: [String], _ name: String) -> Bool {
        patterns.contains { pattern in
            guard let regex = try? Regex(pattern).ignoresCase() else { return false }
            return (try? regex.wholeMatch(in: name)) != nil
        }
    }
}
