internal import MillraceCore

/// `collection.name.format`: how a source table's target is called.
struct TargetNameFormat: Hashable, Sendable {
    struct Name: Hashable, Sendable {
        var namespace: String
        var table: String

        var quoted: String { Quoting.qualified(namespace, table) }
        var description: String { "\(namespace).\(table)" }
    }

    private enum Part: Hashable {
        case text(String)
        case database
        case schema
        case table
        case topic
    }

    /// Nil: everything goes to the schema `public`.
    private let namespace: [Part]?
    private let table: [Part]

    private static let variables: [String: Part] = [
        "source.db": .database, "source.schema": .schema, "source.table": .table, "source.name": .table,
        "topic": .topic,
    ]

    /// What is wrong with a format; nil where nothing is.
    static func fault(in format: String) -> String? {
        guard let parsed = TargetNameFormat(format) else {
            return "only ${source.db}, ${source.schema}, ${source.table} and ${topic} can be replaced"
        }
        return parsed.table.isEmpty ? "the table's name would be empty" : nil
    }

    init?(_ format: String) {
        guard let parts = TargetNameFormat.parse(format.trimmed) else { return nil }
        // The first dot outside a variable parts schema and table; what variables stand for is never split, since names
        // of tables may hold dots.
        for (index, part) in parts.enumerated() {
            guard case .text(let text) = part, let dot = text.firstIndex(of: ".") else { continue }
            let before = text[..<dot].isEmpty ? [] : [Part.text(String(text[..<dot]))]
            let rest = text[text.index(after: dot)...]
            let after = rest.isEmpty ? [] : [Part.text(String(rest))]
            namespace = Array(parts[..<index]) + before
            table = after + Array(parts[(index + 1)...])
            return
        }
        namespace = nil
        table = parts
    }

    private static func parse(_ format: String) -> [Part]? {
        var parts: [Part] = []
        var rest = format[...]
        while let range = rest.firstRange(of: "${") {
            if range.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<range.lowerBound]))) }
            guard let close = rest[range.upperBound...].firstIndex(of: "}"),
                let part = variables[String(rest[range.upperBound..<close])]
            else { return nil }
            parts.append(part)
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        return parts
    }

    func name(of relation: Relation, database: String) -> Name {
        func text(_ parts: [Part]) -> String {
            parts.map { part in
                switch part {
                case .text(let text): text
                case .database: database
                case .schema: relation.namespace
                case .table: relation.name
                // As Debezium's JDBC connector names tables after topics.
                case .topic: relation.topic.replacing(".", with: "_")
                }
            }.joined()
        }
        return Name(namespace: namespace.map(text) ?? "public", table: text(table))
    }
}
