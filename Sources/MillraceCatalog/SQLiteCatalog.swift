import Foundation
import GRDB
package import MillraceCore

/// The catalog in one SQLite file, readable by its owner only (it holds passwords).
package final class SQLiteCatalog: Catalog {
    private let database: DatabaseQueue

    /// Opens or creates the file. Refuses one that a newer server has written.
    package init(path: String) throws(ConnectorError) {
        try SQLiteCatalog.createPrivateFile(path)
        database = try SQLiteCatalog.mapped("open") {
            var configuration = Configuration()
            configuration.journalMode = .wal
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            // A cursor or a connector that was reported as stored must survive a power cut. GRDB sets NORMAL for WAL,
            // so this comes behind it; the queue keeps its one connection.
            try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            return queue
        }
        try migrate()
    }

    private func migrate() throws(ConnectorError) {
        var migrator = CatalogSchema.migrator
        migrator.eraseDatabaseOnSchemaChange = false
        let isNewer = try Self.mapped("read") { [database, migrator] in
            try database.read { try migrator.hasBeenSuperseded($0) }
        }
        guard !isNewer else {
            throw ConnectorError(
                .configuration, code: "catalog_newer", "the catalog was written by a newer version of Millrace",
                hint: "start that version, or use another --data-dir")
        }
        try Self.mapped("migrate") { [database, migrator] in try migrator.migrate(database) }
    }

    package func close() {
        try? database.close()
    }

    // MARK: Connectors

    package func connectors() throws(ConnectorError) -> [StoredConnector] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT name, config, target_state, is_deleted FROM connector ORDER BY id"
            ).map { row in
                StoredConnector(
                    name: row["name"], config: try ConfigText.decode(row["config"]), targetState: row["target_state"],
                    isDeleted: row["is_deleted"])
            }
        }
    }

    package func insert(_ connector: StoredConnector) throws(ConnectorError) {
        try write { database in
            try database.execute(
                sql: "INSERT INTO connector (name, config, target_state) VALUES (?, ?, ?)",
                arguments: [connector.name, try ConfigText.encode(connector.config), connector.targetState])
        }
    }

    package func setConfig(_ config: [String: String], of name: String) throws(ConnectorError) {
        try write { database in
            try database.execute(
                sql: "UPDATE connector SET config = ? WHERE name = ?", arguments: [try ConfigText.encode(config), name])
        }
    }

    package func setTargetState(_ state: String, of name: String) throws(ConnectorError) {
        try execute("UPDATE connector SET target_state = ? WHERE name = ?", [state, name])
    }

    package func beginDeletion(of name: String) throws(ConnectorError) {
        try execute("UPDATE connector SET is_deleted = 1 WHERE name = ?", [name])
    }

    package func finishDeletion(of name: String) throws(ConnectorError) {
        try execute("DELETE FROM connector WHERE name = ?", [name])
    }

    // MARK: Cursors

    package func cursors(onSource source: String) throws(ConnectorError) -> [String: MillraceCore.Cursor] {
        let texts = try read { database in
            try Row.fetchAll(
                database, sql: "SELECT sink, cursor FROM sink_cursor WHERE source = ?", arguments: [source]
            ).map { (sink: $0["sink"] as String, cursor: $0["cursor"] as String) }
        }
        var cursors: [String: MillraceCore.Cursor] = [:]
        for (sink, text) in texts {
            guard let cursor = MillraceCore.Cursor(text) else {
                throw ConnectorError(
                    .consistency, code: "catalog_damaged", "the stored cursor of \(sink) on \(source) cannot be read")
            }
            cursors[sink] = cursor
        }
        return cursors
    }

    package func setCursor(_ cursor: MillraceCore.Cursor?, sink: String, source: String) throws(ConnectorError) {
        guard let cursor else {
            return try execute("DELETE FROM sink_cursor WHERE sink = ? AND source = ?", [sink, source])
        }
        try execute(
            "INSERT INTO sink_cursor (sink, source, cursor) VALUES (?, ?, ?)"
                + " ON CONFLICT (sink, source) DO UPDATE SET cursor = excluded.cursor",
            [sink, source, cursor.description])
    }

    // MARK: Topics

    package func topics(of connector: String) throws(ConnectorError) -> [String] {
        try read { database in
            try String.fetchAll(
                database, sql: "SELECT name FROM topic WHERE connector = ? ORDER BY name", arguments: [connector])
        }
    }

    package func addTopics(_ topics: Set<String>, of connector: String) throws(ConnectorError) {
        guard !topics.isEmpty else { return }
        try write { database in
            for topic in topics {
                try database.execute(
                    sql: "INSERT INTO topic (connector, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    arguments: [connector, topic])
            }
        }
    }

    package func removeTopics(of connector: String) throws(ConnectorError) {
        try execute("DELETE FROM topic WHERE connector = ?", [connector])
    }

    // MARK: Offsets

    package func sourceOffsets(of connector: String) throws(ConnectorError) -> [StoredOffset] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT partition, offset FROM source_offset WHERE connector = ? ORDER BY partition",
                arguments: [connector]
            ).map { StoredOffset(partition: $0["partition"], offset: $0["offset"]) }
        }
    }

    package func setSourceOffset(
        _ offset: String?, partition: String, of connector: String
    ) throws(ConnectorError) {
        guard let offset else {
            return try execute(
                "DELETE FROM source_offset WHERE connector = ? AND partition = ?", [connector, partition])
        }
        try execute(
            "INSERT INTO source_offset (connector, partition, offset) VALUES (?, ?, ?)"
                + " ON CONFLICT (connector, partition) DO UPDATE SET offset = excluded.offset",
            [connector, partition, offset])
    }

    // MARK: Access

    private func execute(_ sql: String, _ arguments: StatementArguments) throws(ConnectorError) {
        try write { try $0.execute(sql: sql, arguments: arguments) }
    }

    private func read<Result>(_ body: (Database) throws -> Result) throws(ConnectorError) -> Result {
        try Self.mapped("read") { try database.read(body) }
    }

    private func write(_ body: (Database) throws -> Void) throws(ConnectorError) {
        try Self.mapped("write") { try database.write(body) }
    }
}

extension SQLiteCatalog {
    /// A setting of the connection, for tests.
    func pragma(_ name: String) throws -> String? {
        try read { try String.fetchOne($0, sql: "PRAGMA \(name)") }
    }
}
