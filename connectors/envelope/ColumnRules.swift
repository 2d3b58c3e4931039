package import MillraceCore

/// What is done to the values of some columns before any event shows them: `column.mask.with.N.chars`,
/// `column.mask.hash(.v2).ALGORITHM.with.salt.SALT`, `column.truncate.to.N.chars`; and which columns tell of their source
/// type: `column.propagate.source.type`, `datatype.propagate.source.type`.
package struct ColumnRules: Sendable {
    enum Action: Sendable {
        case mask(count: Int)
        case hash(algorithm: String, salt: String, ValueHash.Version)
        case truncate(count: Int)
    }

    private var rules: [(patterns: [String], action: Action)] = []
    private var propagatedColumns: [String] = []
    private var propagatedTypes: [String] = []

    package init() {}

    /// Throws what is wrong with a property. No masking is ever left out in silence.
    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        for (name, value) in config.values.sorted(by: { $0.key < $1.key }) {
            if let action = try ColumnRules.action(name) {
                rules.append((try ColumnRules.patterns(name, value), action))
            }
        }
        propagatedColumns = try ColumnRules.patterns(
            "column.propagate.source.type", config["column.propagate.source.type"] ?? "")
        propagatedTypes = try ColumnRules.patterns(
            "datatype.propagate.source.type", config["datatype.propagate.source.type"] ?? "")
    }

    /// What the name of a property says; nil for one that has nothing to do with masking.
    private static func action(_ name: String) throws(ConnectorError) -> Action? {
        if let rest = name.suffix(behind: "column.mask.hash.") {
            let version: ValueHash.Version = rest.hasPrefix("v2.") ? .v2 : .v1
            let parts = (version == .v2 ? rest.dropFirst(3) : rest[...])
                .split(separator: ".with.salt.", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty else {
                throw invalid(name, "column.mask.hash.<algorithm>.with.salt.<salt> is expected")
            }
            let algorithm = String(parts[0])
            guard ValueHash(algorithm, salt: "", version) != nil else {
                throw invalid(
                    name,
                    "there is no hash algorithm '\(algorithm)'; SHA-256 and SHA-512 are the usual ones, and MD5, SHA-1, "
                        + "SHA-224, SHA-384, SHA-512/256 and SHA3-256 are there too")
            }
            return .hash(algorithm: algorithm, salt: String(parts[1]), version)
        }
        if let rest = name.suffix(behind: "column.mask.with.") { return .mask(count: try count(rest, name)) }
        if let rest = name.suffix(behind: "column.truncate.to.") {
            let count = try count(rest, name)
            guard count > 0 else { throw invalid(name, "a length of at least 1 is expected") }
            return .truncate(count: count)
        }
        return nil
    }

    /// `12.chars`
    private static func count(_ text: String, _ name: String) throws(ConnectorError) -> Int {
        guard text.hasSuffix(".chars"), let count = Int(text.dropLast(6)), (0...1_000_000).contains(count) else {
            throw invalid(name, "a number of characters is expected in the name, followed by .chars")
        }
        return count
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

    func action(_ column: Column, of relation: Relation) -> Action? {
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
