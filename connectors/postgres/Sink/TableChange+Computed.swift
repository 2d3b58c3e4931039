internal import MillraceCore

/// Generated columns that the source computes for itself, and the target for itself. No row depends on them.
extension TableChange {
    /// Those that are no longer computed: dropped, or ordinary columns now.
    mutating func dropComputed(_ old: Relation, _ new: Relation, _ existing: TargetCatalog, _ alter: String) {
        for column in old.computedColumns {
            guard existing.columns[column.name]?.isGenerated == true else { continue }
            let quoted = Quoting.identifier(column.name)
            if new.columns.contains(where: { Self.isSame($0, column) }) {
                add("\(alter) ALTER COLUMN \(quoted) DROP EXPRESSION")
            } else if !new.computedColumns.contains(where: { Self.isSame($0, column) && $0.typeName == column.typeName }
            ) {
                add("\(alter) DROP COLUMN \(quoted)")
            }
        }
    }

    /// Those that are new, or have another name or expression.
    mutating func addComputed(
        _ old: Relation?, _ new: Relation, _ definition: TableDefinitionSQL, _ existing: TargetCatalog, _ alter: String
    ) {
        for column in new.computedColumns {
            let quoted = Quoting.identifier(column.name)
            let before = old?.computedColumns.first { Self.isSame($0, column) && $0.typeName == column.typeName }
            if let before, existing.columns[before.name] != nil {
                if before.name != column.name {
                    add("\(alter) RENAME COLUMN \(Quoting.identifier(before.name)) TO \(quoted)", optional: true)
                } else if before.defaultExpression != column.defaultExpression, let old, Self.hasSameNames(old, new),
                    let expression = column.defaultExpression
                {
                    // Since PostgreSQL 17; a renamed column that it is made of changes its text only.
                    add("\(alter) ALTER COLUMN \(quoted) SET EXPRESSION AS (\(expression))", optional: true)
                }
            } else if before != nil || existing.columns[column.name] == nil || old != nil {
                add("\(alter) ADD COLUMN \(definition.columnDefinition(column, defaults: false))", optional: true)
            }
        }
    }

    private static func isSame(_ one: Column, _ other: Column) -> Bool {
        one.attributeNumber != 0 ? one.attributeNumber == other.attributeNumber : one.name == other.name
    }

    private static func hasSameNames(_ old: Relation, _ new: Relation) -> Bool {
        old.columns.map(\.name) == new.columns.map(\.name)
    }
}
