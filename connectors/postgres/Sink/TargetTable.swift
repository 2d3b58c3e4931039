internal import MillraceCore

/// A table of the target as rows of one relation are written to it: which columns, by which key, with which SQL.
final class TargetTable {
    struct TargetColumn {
        var name: String
        /// As SQL writes the type without its modifier, so that a cast cannot cut a value short.
        var castType: String
        var isGenerated: Bool
        /// Whether equal values always have the same text.
        var hasExactEquality: Bool
    }

    let name: TargetNameFormat.Name
    /// Number of values in a tuple.
    let columnCount: Int
    /// By index in the tuple: whether the column is written.
    let isWritten: [Bool]
    /// By index in the tuple; nil for columns that are not written.
    let columns: [TargetColumn?]
    /// Indexes of the key's columns in the tuple, ascending; empty for none.
    let key: [Int]
    let keyLayout: KeyLayout?
    /// Whether the target enforces that key, so that ON CONFLICT can name it.
    let keyIsUnique: Bool
    /// Distinguishes names of statements and staging tables from those of the table's earlier definitions.
    let serial: Int

    var quoted: String { name.quoted }
    let written: [Int]
    let nonKey: [Int]
    /// Whether the staging table exists in this session.
    var hasStage = false
    var stageIsEmpty = false
    /// Statements that were prepared, by what they do; nil for those that would do nothing.
    var prepared: [StatementKind: PreparedStatement?] = [:]
    /// Columns that draw their values from a sequence of their own.
    var sequenceColumns: [(name: String, isIndexed: Bool)] = []

    init(
        name: TargetNameFormat.Name, columns: [TargetColumn?], key: [Int], keyIsUnique: Bool, serial: Int
    ) {
        self.name = name
        self.columns = columns
        columnCount = columns.count
        isWritten = columns.map { $0 != nil }
        self.key = key.sorted()
        keyLayout = key.isEmpty ? nil : KeyLayout(key)
        self.keyIsUnique = keyIsUnique && !key.isEmpty
        self.serial = serial
        written = columns.indices.filter { columns[$0] != nil }
        let keys = Set(key)
        nonKey = columns.indices.filter { columns[$0] != nil && !keys.contains($0) }
    }

    func quotedColumn(_ index: Int) -> String {
        Quoting.identifier(columns[index]?.name ?? "")
    }

    func list(_ indexes: [Int], _ separator: String = ", ", _ text: (String) -> String = { $0 }) -> String {
        indexes.map { text(quotedColumn($0)) }.joined(separator: separator)
    }

    /// `a.k = b.k AND …`
    func keyMatch(_ left: String, _ right: String) -> String {
        list(key, " AND ") { "\(left).\($0) = \(right).\($0)" }
    }

    /// `c = EXCLUDED.c, …`
    func assignments(_ indexes: [Int], from source: String) -> String {
        list(indexes) { "\($0) = \(source).\($0)" }
    }

    var conflictAction: String {
        nonKey.isEmpty ? "DO NOTHING" : "DO UPDATE SET " + assignments(nonKey, from: "EXCLUDED")
    }

    // MARK: Staging

    var stage: String { "pg_temp.\"millrace_stage_\(serial)\"" }

    /// A copy of the table's columns without constraints.
    var createStage: String {
        "CREATE TEMPORARY TABLE IF NOT EXISTS \"millrace_stage_\(serial)\" ON COMMIT PRESERVE ROWS AS SELECT \(list(written))"
            + " FROM \(quoted) WITH NO DATA"
    }

    func copyToStage(_ indexes: [Int]) -> String {
        "COPY \(stage) (\(list(indexes))) FROM STDIN"
    }

    var copyToTarget: String {
        "COPY \(quoted) (\(list(written))) FROM STDIN"
    }

    var deleteStaged: String {
        "DELETE FROM \(quoted) AS t USING \(stage) AS s WHERE \(keyMatch("t", "s"))"
    }

    func updateStaged(_ indexes: [Int]) -> String {
        "UPDATE \(quoted) AS t SET \(assignments(indexes, from: "s")) FROM \(stage) AS s"
            + " WHERE \(keyMatch("t", "s"))"
    }

    /// Inserts staged rows whose key is missing.
    var insertMissing: String {
        "INSERT INTO \(quoted) (\(list(written))) OVERRIDING SYSTEM VALUE SELECT \(list(written)) FROM \(stage) AS s"
            + " WHERE NOT EXISTS (SELECT FROM \(quoted) AS t WHERE \(keyMatch("t", "s")))"
    }

    var upsertStaged: String {
        "INSERT INTO \(quoted) (\(list(written))) OVERRIDING SYSTEM VALUE SELECT \(list(written)) FROM \(stage)"
            + " ON CONFLICT (\(list(key))) \(conflictAction)"
    }
}

/// What a single-row statement does. `unchanged`: indexes of the columns that it leaves as they are.
enum StatementKind: Hashable {
    case insert
    case upsert
    case update(unchanged: [Int])
    /// The key may change too.
    case updateKey(unchanged: [Int])
    case delete
}

/// A statement that the server has parsed.
final class PreparedStatement {
    let name: ContiguousArray<CChar>
    /// Which values it takes, in order: index in the tuple, and whether of the old row (its key) or the new one.
    let parameters: [Parameter]

    struct Parameter {
        var isOld: Bool
        var index: Int
    }

    init(name: String, parameters: [Parameter]) {
        self.name = name.utf8CString
        self.parameters = parameters
    }
}
