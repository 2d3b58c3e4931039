internal import Logging
internal import MillraceCore

/// Making tables and types that the target lacks.
extension ChangeApplier {
    func create(_ table: SinkTable, _ name: TargetNameFormat.Name) throws(SinkFailure) {
        let definition = TableDefinitionSQL(table.relation, name)
        try ensureNamespace(table, name.namespace)
        let sequences = definition.sequenceStatements
        for statement in sequences.before { try define(table, statement, "create a sequence for \(name.description)") }
        try createTable(table, definition, name)
        for statement in sequences.after { try define(table, statement, "give \(name.description) its sequence") }
        logger.info("created a table", metadata: ["table": "\(name.description)"])
    }

    /// With as much of the definition as the target understands: a default or a generated column may need a function that
    /// is not here. Rows need neither: they come complete, and generated columns do not come.
    private func createTable(
        _ table: SinkTable, _ definition: TableDefinitionSQL, _ name: TargetNameFormat.Name
    ) throws(SinkFailure) {
        let relation = table.relation
        let hasDefaults = relation.columns.contains { $0.defaultExpression != nil && !$0.isGenerated }
        let hasComputed = !relation.computedColumns.isEmpty
        var attempts = [(defaults: hasDefaults, computed: hasComputed)]
        if hasDefaults { attempts.append((defaults: false, computed: hasComputed)) }
        if hasComputed { attempts.append((defaults: false, computed: false)) }
        for (number, attempt) in attempts.enumerated() {
            let sql = definition.createTable(defaults: attempt.defaults, computed: attempt.computed)
            if number == attempts.count - 1 {
                try define(table, sql, "create \(name.description)")
            } else if try tryToDefine(table, sql) {
                return
            } else {
                logger.warning(
                    "the target does not understand the whole definition of the table; trying with less of it",
                    metadata: ["table": "\(name.description)", "sql": "\(sql)"])
            }
        }
    }

    func ensureNamespace(_ table: SinkTable, _ namespace: String) throws(SinkFailure) {
        let exists = try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", [namespace], "look for the schema"
            ).scalar == "t"
        }
        // CREATE … IF NOT EXISTS asks for the right to create even where there is nothing to do.
        if !exists {
            try define(
                table, "CREATE SCHEMA IF NOT EXISTS \(Quoting.identifier(namespace))", "create schema \(namespace)")
        }
    }

    /// A statement that defines something for `table`.
    func define(_ table: SinkTable, _ sql: String, _ operation: String) throws(SinkFailure) {
        definitions += 1
        try forTable(table) { () throws(PostgresError) in try connection.execute(sql, operation) }
    }

    /// The same under a savepoint of its own: false where the target refuses.
    func tryToDefine(_ table: SinkTable, _ sql: String) throws(SinkFailure) -> Bool {
        try define(table, "SAVEPOINT millrace_definition", "set a savepoint")
        do {
            try connection.execute(sql, "define \(table.name)")
        } catch {
            guard error.isRefusal else { throw .server(error) }
            try define(
                table, "ROLLBACK TO SAVEPOINT millrace_definition; RELEASE SAVEPOINT millrace_definition",
                "roll back to the savepoint")
            return false
        }
        try define(table, "RELEASE SAVEPOINT millrace_definition", "release the savepoint")
        return true
    }

    // MARK: Types

    func createTypes(_ table: SinkTable, _ name: TargetNameFormat.Name) throws(SinkFailure) {
        for type in table.relation.types {
            let found = try forTable(table) { () throws(PostgresError) in
                try connection.execute(
                    """
                    SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                    WHERE n.nspname = $1 AND t.typname = $2
                    """, [type.namespace, type.name], "look for type \(type.namespace).\(type.name)"
                ).scalar
            }
            if let oid = found {
                if case .enumeration(let labels) = type.kind { try followLabels(table, type, oid, labels) }
            } else {
                try createType(table, type)
            }
        }
    }

    private func createType(_ table: SinkTable, _ type: TypeDefinition) throws(SinkFailure) {
        let quoted = Quoting.qualified(type.namespace, type.name)
        let sql: String
        switch type.kind {
        case .array: return  // comes with its element
        case .enumeration(let labels):
            sql = "CREATE TYPE \(quoted) AS ENUM (\(labels.map { Quoting.literal($0) }.joined(separator: ", ")))"
        case .domain(_, let base, let isNotNull, let constraints):
            sql =
                "CREATE DOMAIN \(quoted) AS \(base)" + (isNotNull ? " NOT NULL" : "")
                + constraints.map { " " + $0 }.joined()
        case .composite(let fields):
            let list = fields.map { "\(Quoting.identifier($0.name)) \($0.typeName)" }.joined(separator: ", ")
            sql = "CREATE TYPE \(quoted) AS (\(list))"
        case .range(let subtype):
            sql = "CREATE TYPE \(quoted) AS RANGE (SUBTYPE = \(subtype))"
        case .extensionMember(let name):
            try ensureNamespace(table, type.namespace)
            return try createExtension(table, name, type)
        case .other:
            throw .table(
                TableRefusal(
                    table,
                    "the target has no type \(type.namespace).\(type.name), which cannot be made from what is known"
                        + " of it: create it by hand and restart the task", position: place.text))
        }
        try ensureNamespace(table, type.namespace)
        try define(table, sql, "create type \(type.namespace).\(type.name)")
    }

    private func createExtension(_ table: SinkTable, _ name: String, _ type: TypeDefinition) throws(SinkFailure) {
        let isAvailable = try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)", [name],
                "look for extension \(name)"
            ).scalar == "t"
        }
        guard isAvailable else {
            throw .table(
                TableRefusal(
                    table,
                    "type \(type.namespace).\(type.name) needs extension \(name), which is not installed on the"
                        + " target's machine: install it there and restart the task", position: place.text))
        }
        try define(
            table,
            "CREATE EXTENSION IF NOT EXISTS \(Quoting.identifier(name)) WITH SCHEMA \(Quoting.identifier(type.namespace))",
            "create extension \(name)")
    }

    /// Adds and renames labels of an enumeration. A label may be used only when its addition is committed, so it is added
    /// by a session of its own; one label more does no harm if our transaction is rolled back.
    private func followLabels(
        _ table: SinkTable, _ type: TypeDefinition, _ oid: String, _ labels: [String]
    ) throws(SinkFailure) {
        let present = try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                "SELECT enumlabel FROM pg_enum WHERE enumtypid = $1::oid ORDER BY enumsortorder", [oid],
                "read the labels of \(type.name)"
            ).rows.compactMap { $0.first.flatMap { $0 } }
        }
        guard present != labels else { return }
        let statements = EnumChange.statements(
            type: Quoting.qualified(type.namespace, type.name), from: present, to: labels)
        guard !statements.isEmpty else { return }
        guard options.followsSchema else {
            throw .table(
                TableRefusal(
                    table,
                    "type \(type.namespace).\(type.name) has changed on the source and schema.evolution is none;"
                        + " run: \(statements.joined(separator: "; "));", position: place.text))
        }
        let operation = "follow the labels of \(type.namespace).\(type.name)"
        let other: PostgresConnection
        do { other = try PostgresConnection(connection.parameters) } catch { throw .server(error) }
        let isVisible = try forTable(table) { () throws(PostgresError) in
            // Should our own transaction be what it waits for, nobody would notice.
            try other.execute("SET lock_timeout = '10s'", operation)
            return try other.execute("SELECT EXISTS (SELECT FROM pg_type WHERE oid = $1::oid)", [oid], operation).scalar
                == "t"
        }
        guard isVisible else {
            throw .needsCommit(
                ConnectorError(
                    .transient, code: "enum_uncommitted",
                    "type \(type.namespace).\(type.name) was made and changed within one transaction"))
        }
        for statement in statements {
            try forTable(table) { () throws(PostgresError) in try other.execute(statement, operation) }
        }
    }
}

/// From one list of labels to another.
enum EnumChange {
    static func statements(type: String, from present: [String], to labels: [String]) -> [String] {
        var statements: [String] = []
        var present = present
        if present.count == labels.count {
            // As many as before: a label that came in the place of one that went was renamed.
            for index in labels.indices
            where present[index] != labels[index] && !present.contains(labels[index])
                && !labels.contains(present[index])
            {
                statements.append(
                    "ALTER TYPE \(type) RENAME VALUE \(Quoting.literal(present[index])) TO"
                        + " \(Quoting.literal(labels[index]))")
                present[index] = labels[index]
            }
        }
        var known = Set(present)
        for (index, label) in labels.enumerated() where !known.contains(label) {
            var place = ""
            if index > 0 {
                place = " AFTER \(Quoting.literal(labels[index - 1]))"
            } else if let first = present.first {
                place = " BEFORE \(Quoting.literal(first))"
            }
            statements.append("ALTER TYPE \(type) ADD VALUE IF NOT EXISTS \(Quoting.literal(label))\(place)")
            known.insert(label)
        }
        return statements
    }
}
