import MillraceCore
import MillraceTesting

@testable import PostgresConnector

/// One server for all tests of this module that only need SQL; each test has a database of its own.
enum CatalogTestServer {
    static let shared = Result { try PostgresServer() }
}

/// A database for one test.
struct TestDatabase {
    let server: PostgresServer
    let name: String

    init(_ sql: String = "", server: PostgresServer? = nil) throws {
        self.server = try server ?? CatalogTestServer.shared.get()
        name = try self.server.makeDatabase("catalog")
        if !sql.isEmpty { try execute(sql) }
    }

    func execute(_ sql: String) throws {
        try server.execute(sql, database: name)
    }

    func scalar(_ sql: String) throws -> String {
        try server.query(sql, database: name)
    }

    func config(_ values: [String: String] = [:]) -> ConnectorConfig {
        var config = [
            "connector.class": "postgres", "database.hostname": "127.0.0.1", "database.port": "\(server.port)",
            "database.user": "postgres", "database.dbname": name, "topic.prefix": "srv", "slot.name": "slot_\(name)",
            "publication.name": "pub",
        ]
        config.merge(values) { $1 }
        return ConnectorConfig(config)
    }

    func options(_ values: [String: String] = [:]) throws -> SourceOptions {
        try SourceOptions(config(values))
    }

    func connect() throws -> PostgresConnection {
        try options().connect()
    }

    func oid(_ table: String) throws -> UInt32 {
        try UInt32(scalar("SELECT '\(table)'::regclass::oid")) ?? 0
    }

    /// The message that pgoutput would send now (logicalrep_write_rel in proto.c).
    func message(_ table: String) throws -> PgOutputRelation {
        let rows = try server.rows(
            """
            SELECT c.oid, n.nspname, c.relname, ascii(c.relreplident::text), a.attname, a.atttypid, a.atttypmod,
                c.relreplident = 'f' OR coalesce(a.attnum = ANY (i.indkey), false)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indimmediate
                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
            WHERE c.oid = '\(table)'::regclass ORDER BY a.attnum
            """, database: name)
        guard let first = rows.first else { throw TestFailure("no table \(table)") }
        return PgOutputRelation(
            oid: UInt32(first[0]) ?? 0, namespace: first[1], name: first[2], replicaIdentity: UInt8(first[3]) ?? 0,
            columns: rows.map {
                PgOutputRelation.Column(
                    isKey: $0[7] == "t", name: $0[4], typeOID: UInt32($0[5]) ?? 0, typeModifier: Int32($0[6]) ?? -1)
            })
    }

    func describe(
        _ message: PgOutputRelation, previous: CapturedRelation? = nil, _ values: [String: String] = [:]
    ) throws -> CapturedRelation {
        try RelationDescriber(options(values)).describe(message, previous: previous)
    }

    /// The relation as the full load has it.
    func loaded(_ table: String, _ values: [String: String] = [:]) throws -> CapturedRelation {
        let connection = try connect()
        let oid = try oid(table)
        let catalog = try Catalog.read(connection, tables: [oid])
        guard let found = catalog.tables[oid] else { throw TestFailure("no table \(table)") }
        return try RelationBuilder(options: options(values), catalog: catalog).relation(found, published: .ordinary)
    }
}
