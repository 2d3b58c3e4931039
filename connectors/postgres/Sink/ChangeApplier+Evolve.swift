internal import Logging
internal import MillraceCore

/// Changing a target table as its source was changed.
extension ChangeApplier {
    func evolve(
        _ table: SinkTable, from record: SinkLedger.TableRecord?, to name: TargetNameFormat.Name,
        _ existing: TargetCatalog
    ) throws(SinkFailure) {
        let change = TableChange(
            from: record?.definition, oldName: record?.target ?? name, to: table.relation, name: name, existing)
        let statements = change.statements
        guard !statements.isEmpty else { return }
        guard options.followsSchema else {
            throw .table(
                TableRefusal(
                    table,
                    "the table has changed on the source and schema.evolution is none; run: "
                        + statements.map { $0.sql + ";" }.joined(separator: " "), position: place.text))
        }
        if change.movesNamespace { try ensureNamespace(table, name.namespace) }
        for statement in statements {
            if statement.isOptional {
                if try !tryToDefine(table, statement.sql) {
                    logger.warning(
                        "a change of the source's table cannot be followed, and rows do not need it",
                        metadata: ["table": "\(name.description)", "sql": "\(statement.sql)"])
                }
            } else {
                try define(table, statement.sql, "change \(name.description) as its source")
            }
        }
        logger.info(
            "changed a table as its source was",
            metadata: ["table": "\(name.description)", "sql": "\(statements.map(\.sql).joined(separator: "; "))"])
    }
}

/// The way from one definition of a table to another.
struct TableChange {
    struct Statement {
        var sql: String
        /// Refusal does not matter to rows.
        var isOptional = false
    }

    private(set) var statements: [Statement] = []
    private(set) var movesNamespace = false

    /// `old`: the recorded definition; nil for a table that was found, of which only `existing` is known.
    init(
        from old: Relation?, oldName: TargetNameFormat.Name, to new: Relation, name: TargetNameFormat.Name,
        _ existing: TargetCatalog
    ) {
        if oldName.namespace != name.namespace {
            movesNamespace = true
            add("ALTER TABLE \(oldName.quoted) SET SCHEMA \(Quoting.identifier(name.namespace))")
        }
        if oldName.table != name.table {
            let moved = TargetNameFormat.Name(namespace: name.namespace, table: oldName.table)
            add("ALTER TABLE \(moved.quoted) RENAME TO \(Quoting.identifier(name.table))")
        }
        let alter = "ALTER TABLE \(name.quoted)"
        let definition = TableDefinitionSQL(new, name)
        guard let old else {
            for column in new.columns where existing.columns[column.name] == nil {
                addColumn(column, definition, alter)
            }
            addComputed(nil, new, definition, existing, alter)
            return
        }
        // First, for what they are computed from may change or go.
        dropComputed(old, new, existing, alter)
        let pairs = TableChange.match(old, new)
        for (index, column) in old.columns.enumerated() {
            // Generated columns are absent from the stream of older servers.
            if pairs.values.contains(index) || column.isGenerated || existing.columns[column.name] == nil { continue }
            add("\(alter) DROP COLUMN \(Quoting.identifier(column.name))")
        }
        rename(old, new, pairs, existing, alter)
        for (index, column) in new.columns.enumerated() {
            if let before = pairs[index] {
                change(old.columns[before], column, definition, existing, alter)
            } else if existing.columns[column.name] == nil || old.columns.contains(where: { $0.name == column.name }) {
                addColumn(column, definition, alter)
            }
        }
        changeKey(old, new, existing, definition, alter)
        addComputed(old, new, definition, existing, alter)
    }

    mutating func add(_ sql: String, optional: Bool = false) {
        statements.append(Statement(sql: sql, isOptional: optional))
    }

    /// Index in the old definition of each of the new columns that was there: by attribute number, which survives a
    /// rename, or by name where numbers are not known.
    static func match(_ old: Relation, _ new: Relation) -> [Int: Int] {
        var pairs: [Int: Int] = [:]
        let hasNumbers = (old.columns + new.columns).allSatisfy { $0.attributeNumber != 0 } && old.id == new.id
        for (index, column) in new.columns.enumerated() {
            pairs[index] = old.columns.firstIndex {
                hasNumbers ? $0.attributeNumber == column.attributeNumber : $0.name == column.name
            }
        }
        return pairs
    }

    /// Renames, first out of each other's way where names are exchanged.
    private mutating func rename(
        _ old: Relation, _ new: Relation, _ pairs: [Int: Int], _ existing: TargetCatalog, _ alter: String
    ) {
        let renamed = new.columns.indices.compactMap { index -> (from: String, to: String)? in
            guard let before = pairs[index], old.columns[before].name != new.columns[index].name,
                existing.columns[old.columns[before].name] != nil
            else { return nil }
            return (old.columns[before].name, new.columns[index].name)
        }
        let taken = Set(renamed.map(\.from))
        func sql(_ from: String, _ to: String) -> String {
            "\(alter) RENAME COLUMN \(Quoting.identifier(from)) TO \(Quoting.identifier(to))"
        }
        let collides = renamed.contains { taken.contains($0.to) }
        for (number, names) in renamed.enumerated() where collides {
            add(sql(names.from, "millrace_renamed_\(number)"))
        }
        for (number, names) in renamed.enumerated() {
            add(sql(collides ? "millrace_renamed_\(number)" : names.from, names.to))
        }
    }

    /// A new column. Existing rows get its default, as they did on the source without an event for each.
    private mutating func addColumn(_ column: Column, _ definition: TableDefinitionSQL, _ alter: String) {
        var column = column
        let sequences = definition.sequence(of: column)
        if let sequences { add("CREATE SEQUENCE IF NOT EXISTS \(sequences)") }
        add("\(alter) ADD COLUMN \(definition.columnDefinition(column, defaults: true))")
        column.defaultExpression = nil
    }

    private mutating func change(
        _ old: Column, _ new: Column, _ definition: TableDefinitionSQL, _ existing: TargetCatalog, _ alter: String
    ) {
        let quoted = Quoting.identifier(new.name)
        if old.typeName != new.typeName {
            // A default of the old type may not fit the new one.
            if old.defaultExpression != nil && !old.isGenerated { add("\(alter) ALTER COLUMN \(quoted) DROP DEFAULT") }
            add("\(alter) ALTER COLUMN \(quoted) TYPE \(new.typeName) USING \(quoted)::\(new.typeName)")
        }
        if old.isNotNull != new.isNotNull {
            add("\(alter) ALTER COLUMN \(quoted) \(new.isNotNull ? "SET" : "DROP") NOT NULL", optional: true)
        }
        let isPlain = !old.isGenerated && !new.isGenerated && new.identity == .none
        if isPlain && (old.defaultExpression != new.defaultExpression || old.typeName != new.typeName) {
            if definition.sequence(of: new) != nil { return }
            if let expression = new.defaultExpression {
                add("\(alter) ALTER COLUMN \(quoted) SET DEFAULT \(expression)", optional: true)
            } else if old.defaultExpression != nil {
                add("\(alter) ALTER COLUMN \(quoted) DROP DEFAULT", optional: true)
            }
        }
    }

    private mutating func changeKey(
        _ old: Relation, _ new: Relation, _ existing: TargetCatalog, _ definition: TableDefinitionSQL, _ alter: String
    ) {
        let key = SinkKey.columns(of: new)
        let oldKey = SinkKey.columns(of: old).map { old.columns[$0].attributeNumber }
        let oldPrimary = old.primaryKey.map { old.columns[$0].attributeNumber }
        guard
            key.map({ new.columns[$0].attributeNumber }) != oldKey
                || new.primaryKey.map({ new.columns[$0].attributeNumber }) != oldPrimary
        else { return }
        let dropped = old.primaryKey.contains { index in
            !new.columns.contains { $0.attributeNumber == old.columns[index].attributeNumber }
        }
        if let primaryKey = existing.primaryKey, !dropped {
            add("\(alter) DROP CONSTRAINT IF EXISTS \(Quoting.identifier(primaryKey.name))", optional: true)
        }
        if !new.primaryKey.isEmpty { add("\(alter) ADD PRIMARY KEY (\(definition.list(new.primaryKey)))") }
        if !key.isEmpty && Set(key) != Set(new.primaryKey) { add("\(alter) ADD UNIQUE (\(definition.list(key)))") }
    }
}
