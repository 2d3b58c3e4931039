internal import MillraceCore

/// The SQL of single changes: one statement per change, in the order of the source.
extension TargetTable {
    typealias Statement = (sql: String, parameters: [PreparedStatement.Parameter])

    private struct Numbered {
        var parameters: [PreparedStatement.Parameter] = []

        mutating func new(_ index: Int) -> String {
            parameters.append(.init(isOld: false, index: index))
            return "$\(parameters.count)"
        }

        mutating func old(_ index: Int) -> String {
            parameters.append(.init(isOld: true, index: index))
            return "$\(parameters.count)"
        }
    }

    /// `onConflict`: an existing row with the key takes the values.
    func insertStatement(onConflict: Bool) -> Statement {
        var numbered = Numbered()
        let values = written.map { numbered.new($0) }.joined(separator: ", ")
        var sql = "INSERT INTO \(quoted) (\(list(written))) OVERRIDING SYSTEM VALUE VALUES (\(values))"
        if onConflict && keyIsUnique { sql += " ON CONFLICT (\(list(key))) \(conflictAction)" }
        return (sql, numbered.parameters)
    }

    /// Sets the columns `set` of the row with the old key. Nil where there is nothing to set.
    func updateStatement(set: [Int]) -> Statement? {
        guard !set.isEmpty else { return nil }
        var numbered = Numbered()
        let assignments = set.map { "\(quotedColumn($0)) = \(numbered.new($0))" }.joined(separator: ", ")
        let condition = keyCondition(&numbered)
        return ("UPDATE \(quoted) SET \(assignments) WHERE \(condition)", numbered.parameters)
    }

    func deleteStatement() -> Statement {
        var numbered = Numbered()
        return ("DELETE FROM \(quoted) WHERE \(keyCondition(&numbered))", numbered.parameters)
    }

    private func keyCondition(_ numbered: inout Numbered) -> String {
        key.map { "\(quotedColumn($0)) = \(numbered.old($0))::\(columns[$0]?.castType ?? "text")" }
            .joined(separator: " AND ")
    }

    // MARK: Tables without a key

    /// One row that equals the old image in every column. Equal rows cannot be told apart, so any one will do.
    private func oneRow(_ numbered: inout Numbered) -> String {
        let conditions = written.map { index -> String in
            let column = quotedColumn(index)
            guard let target = columns[index] else {
                return "\(column)::pg_catalog.text IS NOT DISTINCT FROM \(numbered.old(index))::pg_catalog.text"
            }
            let old = "\(numbered.old(index))::\(target.castType)"
            if target.hasExactEquality { return "\(column) IS NOT DISTINCT FROM \(old)" }
            // Both sides by the same cast: for inet, bool and others it gives another text than the source sends.
            return "\(column)::pg_catalog.text IS NOT DISTINCT FROM \(old)::pg_catalog.text"
        }
        return "ctid = (SELECT ctid FROM \(quoted) WHERE \(conditions.joined(separator: " AND ")) LIMIT 1)"
    }

    func keylessUpdateStatement(set: [Int]) -> Statement? {
        guard !set.isEmpty else { return nil }
        var numbered = Numbered()
        let assignments = set.map { "\(quotedColumn($0)) = \(numbered.new($0))" }.joined(separator: ", ")
        return ("UPDATE \(quoted) SET \(assignments) WHERE \(oneRow(&numbered))", numbered.parameters)
    }

    func keylessDeleteStatement() -> Statement {
        var numbered = Numbered()
        return ("DELETE FROM \(quoted) WHERE \(oneRow(&numbered))", numbered.parameters)
    }
}
