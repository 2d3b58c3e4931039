internal import MillraceCore

/// Which columns of a table its publication sends.
enum PublishedColumns {
    /// All but the generated ones: servers before 18, and later ones by default.
    case ordinary
    /// Stored generated columns too: `publish_generated_columns = stored` (18).
    case withGenerated
    /// The publication's column list, by attribute numbers.
    case listed(Set<Int16>)

    func contains(_ attribute: Catalog.Attribute) -> Bool {
        switch self {
        case .ordinary: attribute.generation == nil
        case .withGenerated: attribute.generation != UInt8(ascii: "v")
        case .listed(let numbers): numbers.contains(attribute.number)
        }
    }
}

/// Makes relations from the catalog alone (full load) or from a message of the stream and the catalog.
struct RelationBuilder {
    let options: SourceOptions
    let catalog: Catalog

    /// As the first message about an unchanged table would have it.
    func relation(_ table: Catalog.Table, published: PublishedColumns) -> CapturedRelation {
        let attributes = table.attributes.filter { !$0.isDropped && published.contains($0) }
        let identity = table.identityAttributes
        let columns = attributes.map { column($0, isReplicaIdentity: identity.contains($0.number)) }
        let computed = computedColumns(table, columns, previous: nil)
        let relation = Relation(
            id: RelationID(table.oid), namespace: table.name.schema, name: table.name.table,
            topic: options.topic(of: table.name), replicaIdentity: table.replicaIdentity, columns: columns,
            primaryKey: Self.positions(of: table.primaryKey, in: columns) ?? [],
            types: catalog.types.definitions(of: (columns + computed).lazy.map(\.typeOID)), computedColumns: computed)
        return capture(relation, options.tables.captures(table.name, ancestors: table.ancestors))
    }

    /// A table as it was when `message` was sent, which may be some DDL ago.
    func relation(_ message: PgOutputRelation, previous: CapturedRelation?) -> CapturedRelation {
        let table = catalog.tables[message.oid]
        let attributes = ColumnAlignment.align(
            message.columns, with: table?.attributes ?? [], previous: previous?.relation)
        let columns = message.columns.indices.map { index in
            column(
                message.columns[index], attributes[index], typeName(message, index, previous?.relation),
                previous?.relation)
        }
        let computed = computedColumns(table, columns, previous: previous?.relation)
        let identity = ReplicaIdentity(rawValue: message.replicaIdentity) ?? .primaryKey
        let name = TableName(schema: message.namespace, table: message.name)
        let relation = Relation(
            id: RelationID(message.oid), namespace: message.namespace, name: message.name,
            topic: options.topic(of: name), replicaIdentity: identity, columns: columns,
            primaryKey: primaryKey(columns, identity, table, previous?.relation),
            types: types(columns + computed, previous?.relation), computedColumns: computed)
        return capture(relation, captures(name, table, previous))
    }

    // MARK: Parts

    private func capture(_ relation: Relation, _ isCaptured: Bool) -> CapturedRelation {
        guard let kept = options.columns.projection(of: relation) else {
            return CapturedRelation(relation: relation, isCaptured: isCaptured)
        }
        var projected = ColumnFilter.project(relation, to: kept)
        projected = Relation(
            id: projected.id, namespace: projected.namespace, name: projected.name, topic: projected.topic,
            replicaIdentity: projected.replicaIdentity, columns: projected.columns, primaryKey: projected.primaryKey,
            types: catalog.types.definitions(of: (projected.columns + projected.computedColumns).lazy.map(\.typeOID)),
            computedColumns: projected.computedColumns)
        return CapturedRelation(relation: projected, isCaptured: isCaptured, projection: kept)
    }

    private func captures(_ name: TableName, _ table: Catalog.Table?, _ previous: CapturedRelation?) -> Bool {
        if let table { return options.tables.captures(name, ancestors: table.ancestors) }
        // The table is gone, and with it what it was a partition of.
        if let previous, previous.relation.namespace == name.schema, previous.relation.name == name.table {
            return previous.isCaptured
        }
        return options.tables.captures(name)
    }

    /// The generated columns that are not among those sent. While the catalog is ahead of the message they may be made of
    /// columns that the message does not have yet: then they stay as they were, and the message that follows the change
    /// brings the new ones.
    private func computedColumns(_ table: Catalog.Table?, _ columns: [Column], previous: Relation?) -> [Column] {
        let known = previous?.computedColumns ?? []
        guard let table else { return known }
        let plain = table.attributes.filter { !$0.isDropped && $0.generation == nil }
        let sent = Dictionary(columns.map { ($0.attributeNumber, $0) }, uniquingKeysWith: { first, _ in first })
        let isCurrent = plain.allSatisfy { sent[$0.number]?.name == $0.name && sent[$0.number]?.typeOID == $0.typeOID }
        guard isCurrent || previous == nil else { return known }
        return table.attributes.filter {
            !$0.isDropped && $0.generation == UInt8(ascii: "s") && sent[$0.number] == nil
                && options.columns.passes("\(table.name.schema).\(table.name.table).\($0.name)")
        }.map { column($0, isReplicaIdentity: false) }
    }

    private func column(_ attribute: Catalog.Attribute, isReplicaIdentity: Bool) -> Column {
        Column(
            name: attribute.name, attributeNumber: attribute.number, typeOID: attribute.typeOID,
            typeModifier: attribute.typeModifier, typeName: attribute.typeName, isNotNull: attribute.isNotNull,
            isReplicaIdentity: isReplicaIdentity, isGenerated: attribute.generation != nil,
            identity: attribute.identity, defaultExpression: attribute.defaultExpression)
    }

    private func column(
        _ sent: PgOutputRelation.Column, _ match: ColumnAlignment.Match, _ typeName: String, _ previous: Relation?
    ) -> Column {
        var column = Column(
            name: sent.name, attributeNumber: match.number, typeOID: sent.typeOID, typeModifier: sent.typeModifier,
            typeName: typeName, isReplicaIdentity: sent.isKey)
        if let attribute = match.attribute, !attribute.isDropped {
            column.isNotNull = attribute.isNotNull
            column.isGenerated = attribute.generation != nil
            column.identity = attribute.identity
            column.defaultExpression = attribute.typeOID == sent.typeOID ? attribute.defaultExpression : nil
        } else if let old = previous?.columns.first(where: { $0.name == sent.name }) {
            column.isNotNull = old.isNotNull
            column.isGenerated = old.isGenerated
            column.identity = old.identity
            column.defaultExpression = old.typeOID == sent.typeOID ? old.defaultExpression : nil
        }
        return column
    }

    /// A type that has been dropped since is known only from before, or not at all: then its values are text.
    private func typeName(_ message: PgOutputRelation, _ index: Int, _ previous: Relation?) -> String {
        if catalog.messageTypeNames.indices.contains(index), let name = catalog.messageTypeNames[index] { return name }
        let sent = message.columns[index]
        let old = previous?.columns.first { $0.typeOID == sent.typeOID && $0.typeModifier == sent.typeModifier }
        return old?.typeName ?? "text"
    }

    private func types(_ columns: [Column], _ previous: Relation?) -> [TypeDefinition] {
        let known = catalog.types.definitions(of: columns.lazy.map(\.typeOID))
        let used = Set(columns.map(\.typeOID)).subtracting(known.map(\.oid))
        guard let previous, previous.types.contains(where: { used.contains($0.oid) }) else { return known }
        // Types dropped since: as they were, with what they needed.
        let names = Set(known.map(\.oid))
        return previous.types.filter { !names.contains($0.oid) } + known
    }

    // MARK: Primary key

    /// The catalog's key if it can be the one that the message means, else the previous one, else what the message marks.
    private func primaryKey(
        _ columns: [Column], _ identity: ReplicaIdentity, _ table: Catalog.Table?, _ previous: Relation?
    ) -> [Int] {
        let marked = columns.indices.filter { columns[$0].isReplicaIdentity }
        let current = table.flatMap { Self.positions(of: $0.primaryKey, in: columns) } ?? []
        let old = previous.flatMap { previous in
            Self.positions(ofNames: previous.primaryKey.map { previous.columns[$0].name }, in: columns)
        }
        guard identity == .primaryKey else {
            if table != nil { return current }
            return old ?? []
        }
        // The marked columns are the key itself, but for a deferrable one.
        if marked.isEmpty { return table?.isKeyDeferrable == true ? current : [] }
        if Set(current) == Set(marked) { return current }
        if let old, Set(old) == Set(marked) { return old }
        return marked
    }

    /// Indexes of the columns with these attribute numbers; nil if one is not there, or for none.
    private static func positions(of numbers: [Int16], in columns: [Column]) -> [Int]? {
        let positions = numbers.compactMap { number in columns.firstIndex { $0.attributeNumber == number } }
        return positions.count == numbers.count && !numbers.isEmpty ? positions : nil
    }

    private static func positions(ofNames names: [String], in columns: [Column]) -> [Int]? {
        let positions = names.compactMap { name in columns.firstIndex { $0.name == name } }
        return positions.count == names.count && !names.isEmpty ? positions : nil
    }
}
