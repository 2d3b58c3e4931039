internal import Logging
internal import MillraceCore

/// Finding, creating and following the target of a table.
extension ChangeApplier {
    /// The target of `table` as its present definition wants it, created or changed where that is allowed.
    func attach(_ table: SinkTable) throws(SinkFailure) -> TargetTable {
        let relation = table.relation
        let name = options.nameFormat.name(of: relation, database: database)
        var record = try claim(table, name)
        if let owing = record, !owing.owedKeys.isEmpty,
            !isSnapshot || owing.target != name || owing.definition.version != relation.version
        {
            // The load that dropped them was given up, and another did not begin as it did.
            try makeOwedKeys(table, owing)
            record = records[table.id]
        }
        if record?.definition.version != relation.version || record?.target != name || record?.logID != ledgerLogID {
            try bringUpToDate(table, record, name)
        }
        var found = try readCatalog(table, name)
        if found == nil, let record {
            guard record.logID != ledgerLogID else { throw gone(table, name) }
            // Of another log, whose load begins just now.
            try bringUpToDate(table, nil, name)
            found = try readCatalog(table, name)
        }
        guard let catalog = found else { throw missing(table, name) }
        return try describe(table, name, catalog)
    }

    private func readCatalog(
        _ table: SinkTable, _ name: TargetNameFormat.Name
    ) throws(SinkFailure) -> TargetCatalog? {
        try forTable(table) { () throws(PostgresError) in try TargetCatalog.read(name, connection) }
    }

    /// Recorded, but somebody dropped it. A new one would have the rows of later changes only.
    private func gone(_ table: SinkTable, _ name: TargetNameFormat.Name) -> SinkFailure {
        .table(
            TableRefusal(
                table, "\(name.description) is gone from the target; " + SinkTable.copyAgain, position: place.text))
    }

    private func missing(_ table: SinkTable, _ name: TargetNameFormat.Name) -> SinkFailure {
        let create = TableDefinitionSQL(table.relation, name).createTable(defaults: false)
        return .table(
            TableRefusal(
                table, "the target has no table \(name.description), and auto.create is off; create it with: \(create)",
                position: place.text))
    }

    /// What is recorded of the table. A table of the source that was dropped and made again, or renamed out of the way
    /// of a new one, leaves its copy under the name that the new one needs: the copy is set aside.
    private func claim(
        _ table: SinkTable, _ name: TargetNameFormat.Name
    ) throws(SinkFailure) -> SinkLedger.TableRecord? {
        if let record = records[table.id] { return record }
        guard let (oldID, old) = records.first(where: { $0.value.target == name && $0.key != table.id }) else {
            return nil
        }
        try server { () throws(PostgresError) in try ledger.forgetTable(oldID) }
        records[oldID] = nil
        if old.logID != ledgerLogID || !old.isSole {
            // Another log: the same table under another number (restored from a dump, say).
            return old.logID != ledgerLogID
                ? SinkLedger.TableRecord(
                    definition: old.definition, target: name, isSole: old.isSole, logID: old.logID,
                    owedKeys: old.owedKeys)
                : nil
        }
        let aside = TargetNameFormat.Name(
            namespace: name.namespace, table: Identifier.truncated(name.table, suffix: "_\(oldID.value)"))
        logger.warning(
            "a new table of the source has the name of an older one: the older one's copy is set aside",
            metadata: ["table": "\(name.description)", "copy": "\(aside.description)"])
        try forTable(table) { () throws(PostgresError) in
            try connection.execute(
                "ALTER TABLE IF EXISTS \(name.quoted) RENAME TO \(Quoting.identifier(aside.table))",
                "set \(name.description) aside")
        }
        if let oldTable = knownTable(oldID) { oldTable.target = nil }
        let moved = SinkLedger.TableRecord(
            definition: old.definition, target: aside, isSole: true, logID: old.logID, owedKeys: old.owedKeys)
        records[oldID] = moved
        try server { () throws(PostgresError) in try ledger.write(moved) }
        return nil
    }

    /// Creates the table, or changes it from its recorded definition, and records what it is now.
    private func bringUpToDate(
        _ table: SinkTable, _ record: SinkLedger.TableRecord?, _ name: TargetNameFormat.Name
    ) throws(SinkFailure) {
        let existing = try readCatalog(table, record?.target ?? name)
        var isSole = record?.isSole ?? false
        var owedKeys = record?.owedKeys ?? []
        if options.createsTables { try createTypes(table, name) }
        if existing == nil {
            if let record, record.logID == ledgerLogID { throw gone(table, record.target) }
            guard options.createsTables else { throw missing(table, name) }
            try create(table, name)
            isSole = true
            owedKeys = []
            table.isNew = isSnapshot
        } else if let existing {
            try evolve(table, from: record, to: name, existing)
        }
        try remember(
            table,
            SinkLedger.TableRecord(
                definition: table.relation, target: name, isSole: isSole, logID: ledgerLogID, owedKeys: owedKeys))
    }

    // MARK: Description

    private func describe(
        _ table: SinkTable, _ name: TargetNameFormat.Name, _ catalog: TargetCatalog
    ) throws(SinkFailure) -> TargetTable {
        let relation = table.relation
        var columns: [TargetTable.TargetColumn?] = []
        for column in relation.columns {
            guard let found = catalog.columns[column.name] else {
                throw .table(
                    TableRefusal(
                        table,
                        "\(name.description) has no column \(column.name); add it with ALTER TABLE \(name.quoted)"
                            + " ADD COLUMN \(Quoting.identifier(column.name)) \(column.typeName);", position: place.text
                    ))
            }
            columns.append(
                found.isGenerated
                    ? nil
                    : TargetTable.TargetColumn(
                        name: found.name, castType: found.castType, isGenerated: false,
                        hasExactEquality: found.hasExactEquality))
        }
        let key = SinkKey.columns(of: relation)
        let isUnique = catalog.uniqueKeys.contains(Set(key.map { relation.columns[$0].name }))
        if !isUnique && !key.isEmpty { try awaitKeys(table, name) }
        if !isUnique && !key.isEmpty && records[table.id]?.owedKeys.isEmpty != false {
            logger.warning(
                "the target's table has no unique index on the key: rows that are there already cannot be recognised",
                metadata: ["table": "\(name.description)"])
        }
        nextSerial += 1
        let target = TargetTable(name: name, columns: columns, key: key, keyIsUnique: isUnique, serial: nextSerial)
        target.sequenceColumns = catalog.columns.values.filter(\.ownsSequence).sorted { $0.name < $1.name }.map {
            (name: $0.name, isIndexed: $0.leadsIndex)
        }
        return target
    }
}

/// How rows of a relation are told apart.
enum SinkKey {
    /// Indexes of the key's columns: the replica identity, or the primary key where that is the whole row or nothing.
    /// Empty: rows have no key.
    static func columns(of relation: Relation) -> [Int] {
        switch relation.replicaIdentity {
        case .full, .nothing: relation.primaryKey
        case .primaryKey, .index:
            relation.identityColumns.isEmpty ? relation.primaryKey : relation.identityColumns
        }
    }
}

enum Identifier {
    /// PostgreSQL's longest name, in bytes (NAMEDATALEN - 1).
    static let limit = 63

    /// `name` with `suffix`, cut at a character so that both fit.
    static func truncated(_ name: String, suffix: String) -> String {
        var name = name
        while name.utf8.count + suffix.utf8.count > limit, !name.isEmpty { name.removeLast() }
        return name + suffix
    }
}
