package import MillraceCore

/// A change to a table in values, as a test writes it and as a sink reads it.
package enum TestChange: Hashable, Sendable {
    case insert([TestValue])
    /// `key`: the old values of the key columns, where they have changed.
    case update([TestValue], key: [TestValue]? = nil)
    /// The row with these values in the key columns; others may be null.
    case delete([TestValue])
    case truncate
}

/// What tables contain: the model against which sources, logs and sinks are judged.
package struct TestTables: Hashable, Sendable {
    /// Rows by table (`schema.table`), then by key.
    package private(set) var rows: [String: [[TestValue]: [TestValue]]] = [:]

    package init() {}

    package mutating func apply(_ change: TestChange, to relation: Relation) {
        let name = relation.qualifiedName
        switch change {
        case .insert(let values):
            rows[name, default: [:]][Self.key(values, relation)] = values
        case .update(let values, let oldKey):
            let oldKey = Self.key(oldKey ?? values, relation)
            let old = rows[name]?.removeValue(forKey: oldKey)
            let merged = values.indices.map { index in
                values[index] == .unchanged ? old?[index] ?? .unchanged : values[index]
            }
            rows[name, default: [:]][Self.key(merged, relation)] = merged
        case .delete(let values):
            rows[name]?.removeValue(forKey: Self.key(values, relation))
        case .truncate:
            rows[name] = [:]
        }
    }

    /// The rows of a table in order of their keys.
    package func sorted(_ table: String) -> [[TestValue]] {
        (rows[table] ?? [:]).values.sorted { "\($0)" < "\($1)" }
    }

    private static func key(_ values: [TestValue], _ relation: Relation) -> [TestValue] {
        let key = relation.identityColumns.isEmpty ? Array(relation.columns.indices) : relation.identityColumns
        return key.map { $0 < values.count ? values[$0] : .null }
    }
}

extension TestTables {
    package mutating func beginLoad(of relation: Relation) {
        rows[relation.qualifiedName] = [:]
    }
}

extension TupleView {
    /// The values, for tests.
    package var testValues: [TestValue] {
        map { value in
            switch value {
            case .null: .null
            case .unchanged: .unchanged
            case .text(let bytes), .binary(let bytes): .text(String(decoding: bytes, as: UTF8.self))
            }
        }
    }
}
