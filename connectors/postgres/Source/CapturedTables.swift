package import MillraceCore

/// The tables to load: those that are captured and published, in the order in which they are loaded.
///
/// Meant to be called after the publication is there and the slot's snapshot is taken. Two queries, and one more for every
/// thousand tables.
package func capturedTables(
    _ options: SourceOptions, _ connection: PostgresConnection
) throws(ConnectorError) -> [CapturedTable] {
    do {
        guard let publication = try PublicationRow.read(options.publicationName, connection) else {
            throw Publication.missing(options)
        }
        let published = try publication.publishedTables(options.publicationName, connection)
        let list = try TableList.read(connection, withSizes: true)
        let entries = list.captured(options.tables).filter { entry in
            published.contains(entry.name) && options.snapshotTables?.matches(entry.name.qualified) != false
        }
        let restrictions = try publication.restrictions(connection)
        var tables: [CapturedTable] = []
        for start in stride(from: 0, to: entries.count, by: 1000) {
            let chunk = entries[start..<min(start + 1000, entries.count)]
            let catalog = try Catalog.read(connection, tables: chunk.map(\.oid))
            let builder = RelationBuilder(options: options, catalog: catalog)
            for entry in chunk {
                guard let table = catalog.tables[entry.oid] else { continue }
                tables.append(
                    capturedTable(table, builder, restrictions[entry.oid], publication, list.leaves(of: entry.oid)))
            }
        }
        return ordered(tables, options.snapshotOrder)
    } catch let error as PostgresError {
        throw error.connectorError
    } catch let error as ConnectorError {
        throw error
    } catch {
        throw ConnectorError(.bug, code: "unexpected_error", "\(error)")
    }
}

private func capturedTable(
    _ table: Catalog.Table, _ builder: RelationBuilder, _ restriction: PublicationRow.Restriction?,
    _ publication: PublicationRow, _ leaves: [CapturedTable.Leaf]
) -> CapturedTable {
    let published: PublishedColumns =
        if let columns = restriction?.columns { .listed(columns) } else {
            publication.publishesGeneratedColumns ? .withGenerated : .ordinary
        }
    return CapturedTable(
        oid: table.oid, name: table.name, kind: table.kind,
        relation: builder.relation(table, published: published), leaves: leaves,
        rowFilter: restriction?.rowFilter, estimatedRows: table.estimatedRows)
}

private func ordered(_ tables: [CapturedTable], _ order: SnapshotOrder) -> [CapturedTable] {
    switch order {
    case .byName: tables
    case .ascending: tables.sorted { ($0.estimatedRows ?? 0) < ($1.estimatedRows ?? 0) }
    case .descending: tables.sorted { ($0.estimatedRows ?? 0) > ($1.estimatedRows ?? 0) }
    }
}
