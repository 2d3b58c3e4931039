internal import MillraceCore

/// What a source needs of its tables and its publication.
struct PreflightTables {
    private let options: SourceOptions
    private let server: PreflightServer
    private let list: TableList
    private let captured: [TableList.Entry]
    private let publication: PublicationRow?
    /// Names in the stream; nil where there is no publication yet.
    private let published: Set<TableName>?
    private let restrictions: [UInt32: PublicationRow.Restriction]

    init(
        _ options: SourceOptions, _ connection: PostgresConnection, _ server: PreflightServer
    ) throws(PostgresError) {
        self.options = options
        self.server = server
        list = try TableList.read(connection)
        captured = list.captured(options.tables)
        publication = try PublicationRow.read(options.publicationName, connection)
        published = try publication?.publishedTables(options.publicationName, connection)
        restrictions = try publication?.restrictions(connection) ?? [:]
    }

    func findings() -> [ConfigFinding] {
        if captured.isEmpty { return noTables() }
        return publicationFindings() + privileges() + replicaIdentity() + unlogged() + generatedColumns() + guardrail()
    }

    private func noTables() -> [ConfigFinding] {
        // A publication that is filled later, or one for all tables, may begin with nothing.
        let isRestricted = !options.tables.isUnrestricted
        return [
            ConfigFinding(
                isRestricted ? "table.include.list" : nil,
                "no table of the database \(options.databaseName) is captured"
                    + (isRestricted ? ": the lists are regular expressions for whole names schema.table" : " yet"),
                severity: isRestricted || options.publicationAutocreateMode == .filtered ? .error : .warning)
        ] + unlogged()
    }

    // MARK: Publication

    private func publicationFindings() -> [ConfigFinding] {
        guard let publication, let published else { return missingPublication() }
        var findings = Publication.warnings(publication, options).map {
            ConfigFinding("publication.name", $0, severity: .warning)
        }
        findings += unpublished(publication, published)
        let restricted = captured.filter { restrictions[$0.oid] != nil }
        if !restricted.isEmpty {
            findings.append(
                ConfigFinding(
                    "publication.name",
                    "the publication \(options.publicationName) has row filters or column lists for \(names(restricted)): "
                        + "what they leave out is missing in the full load too", severity: .warning))
        }
        return findings + hiddenPartitions(published)
    }

    /// Partitions that are captured by their own names while the publication shows them under that of their root.
    private func hiddenPartitions(_ published: Set<TableName>) -> [ConfigFinding] {
        let capturedNames = Set(captured.map(\.name))
        let hidden = captured.filter { entry in
            let shown = list.ancestors(of: entry.oid).filter { published.contains($0) }
            return !published.contains(entry.name) && !shown.isEmpty && !shown.contains { capturedNames.contains($0) }
        }
        guard !hidden.isEmpty else { return [] }
        let name = options.publicationName
        return [
            ConfigFinding(
                "publication.name",
                "the publication \(name) shows changes of \(names(hidden)) as those of the partitioned table, which is not "
                    + "captured: capture that one, or ALTER PUBLICATION \(Quoting.identifier(name)) "
                    + "SET (publish_via_partition_root = false);",
                severity: hidden.count == captured.count ? .error : .warning)
        ]
    }

    private func missingPublication() -> [ConfigFinding] {
        let name = Quoting.identifier(options.publicationName)
        let tables = "CREATE PUBLICATION \(name) FOR TABLE \(list(captured));"
        switch options.publicationAutocreateMode {
        case .disabled:
            return [
                ConfigFinding(
                    "publication.name",
                    "the publication \(options.publicationName) does not exist and publication.autocreate.mode is disabled: "
                        + tables)
            ]
        case .allTables where !server.isSuperuser:
            return [
                ConfigFinding(
                    "publication.autocreate.mode",
                    "only a superuser can make a publication for all tables: set it to filtered, or as a superuser: "
                        + "CREATE PUBLICATION \(name) FOR ALL TABLES;")
            ]
        case .filtered, .noTables, .allTables:
            if !server.mayCreateInDatabase {
                return [
                    ConfigFinding(
                        "database.user",
                        "the role \(server.role) may not make a publication: GRANT CREATE ON DATABASE "
                            + "\(Quoting.identifier(options.databaseName)) TO \(Quoting.identifier(server.role));")
                ]
            }
            return options.publicationAutocreateMode == .filtered ? unowned(captured) : []
        }
    }

    private func unpublished(_ publication: PublicationRow, _ published: Set<TableName>) -> [ConfigFinding] {
        // Roots of partitioned tables and their partitions are both captured; the stream has one of the two.
        let missing = captured.filter { entry in
            !published.contains(entry.name) && !list.ancestors(of: entry.oid).contains { published.contains($0) }
                && !list.leaves(of: entry.oid).contains { published.contains($0.name) }
                && !(entry.kind == UInt8(ascii: "p") && list.leaves(of: entry.oid).isEmpty)
        }
        guard !missing.isEmpty else { return [] }
        if options.publicationAutocreateMode == .filtered, !publication.isForAllTables { return unowned(missing) }
        let name = options.publicationName
        return [
            ConfigFinding(
                "publication.name",
                "the publication \(name) does not have the captured \(missing.count == 1 ? "table" : "tables") "
                    + "\(names(missing)): ALTER PUBLICATION \(Quoting.identifier(name)) ADD TABLE \(list(missing));",
                severity: missing.count == captured.count ? .error : .warning)
        ]
    }

    private func unowned(_ tables: [TableList.Entry]) -> [ConfigFinding] {
        let unowned = tables.filter { !$0.isOwned }
        guard !unowned.isEmpty else { return [] }
        let name = Quoting.identifier(options.publicationName)
        let verb = publication == nil ? "CREATE PUBLICATION \(name) FOR TABLE" : "ALTER PUBLICATION \(name) ADD TABLE"
        return [
            ConfigFinding(
                "publication.autocreate.mode",
                "the role \(server.role) does not own \(names(unowned)), as it must to publish them: as their owner or a "
                    + "superuser: \(verb) \(list(unowned)); or GRANT the owner's role TO \(Quoting.identifier(server.role));"
            )
        ]
    }

    // MARK: Tables

    private func privileges() -> [ConfigFinding] {
        if options.snapshotMode == .noData { return [] }
        // The partitions of a table are read one by one.
        let read = leaves()
        let denied = read.filter { !(options.columns.isUnrestricted ? $0.isReadable : $0.isPartlyReadable) }
        guard !denied.isEmpty else { return [] }
        let role = Quoting.identifier(server.role)
        let schemas = Set(denied.map(\.name.schema)).sorted().map { Quoting.identifier($0) }.joined(separator: ", ")
        return [
            ConfigFinding(
                "database.user",
                "the role \(server.role) may not read \(names(denied)): GRANT USAGE ON SCHEMA \(schemas) TO \(role); "
                    + "GRANT SELECT ON \(list(denied)) TO \(role);")
        ]
    }

    private func replicaIdentity() -> [ConfigFinding] {
        let broken = leaves().filter { entry in
            entry.replicaIdentity != ReplicaIdentity.full.rawValue && !entry.hasIdentity
        }
        guard !broken.isEmpty else { return [] }
        let statements = broken.prefix(Self.shown).map { "ALTER TABLE \($0.name.quoted) REPLICA IDENTITY FULL;" }
        return [
            ConfigFinding(
                "table.include.list",
                "\(names(broken)) \(broken.count == 1 ? "has" : "have") no replica identity (no primary key): once published, every "
                    + "UPDATE and DELETE of your application there fails. Add a primary key, or: "
                    + statements.joined(separator: " "), severity: .warning)
        ]
    }

    private func unlogged() -> [ConfigFinding] {
        let unlogged = list.entries.values.filter {
            $0.persistence == UInt8(ascii: "u") && list.isCaptured($0, options.tables)
        }.sorted { $0.name < $1.name }
        guard !unlogged.isEmpty else { return [] }
        let statements = unlogged.prefix(Self.shown).map { "ALTER TABLE \($0.name.quoted) SET LOGGED;" }
        return [
            ConfigFinding(
                "table.include.list",
                "\(names(unlogged)) \(unlogged.count == 1 ? "is" : "are") unlogged: neither loaded nor followed. To change that: "
                    + statements.joined(separator: " "), severity: .warning)
        ]
    }

    private func generatedColumns() -> [ConfigFinding] {
        if publication?.publishesGeneratedColumns == true { return [] }
        let tables = captured.filter(\.hasGeneratedColumns)
        guard !tables.isEmpty else { return [] }
        let remedy =
            server.version >= 180_000 && publication != nil
            ? ": ALTER PUBLICATION \(Quoting.identifier(options.publicationName)) SET (publish_generated_columns = stored);"
            : ": the server does not publish them"
        return [
            ConfigFinding(
                "table.include.list",
                "the generated columns of \(names(tables)) are left out of the full load and of the stream\(remedy)",
                severity: .warning)
        ]
    }

    private func guardrail() -> [ConfigFinding] {
        guard options.maximumTables > 0, captured.count > options.maximumTables else { return [] }
        return [
            ConfigFinding(
                "guardrail.collections.max",
                "\(captured.count) tables are captured, more than guardrail.collections.max allows (\(options.maximumTables))",
                severity: options.refusesMoreTables ? .error : .warning)
        ]
    }

    // MARK: Lists

    private static let shown = 10

    /// The captured tables that hold rows themselves, each once.
    private func leaves() -> [TableList.Entry] {
        var seen: Set<UInt32> = []
        return captured.flatMap { list.leaves(of: $0.oid) }.compactMap { leaf in
            seen.insert(leaf.oid).inserted ? list.entries[leaf.oid] : nil
        }
    }

    private func names(_ tables: [TableList.Entry]) -> String {
        let shown = tables.prefix(Self.shown).map(\.name.qualified).joined(separator: ", ")
        return tables.count > Self.shown ? "\(shown) and \(tables.count - Self.shown) more" : shown
    }

    private func list(_ tables: [TableList.Entry]) -> String {
        let shown = tables.prefix(Self.shown).map(\.name.quoted).joined(separator: ", ")
        return tables.count > Self.shown ? "\(shown), …" : shown
    }
}
