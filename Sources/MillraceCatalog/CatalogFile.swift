import Foundation
import GRDB
import Migrations
import MillraceCore

enum CatalogSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for migration in Migrations.catalog {
            migrator.registerMigration(migration.name) { try $0.execute(sql: migration.sql) }
        }
        return migrator
    }
}

/// A connector's properties as JSON with sorted names, so that equal configurations are equal texts.
enum ConfigText {
    static func encode(_ config: [String: String]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(config), as: UTF8.self)
    }

    static func decode(_ text: String) throws -> [String: String] {
        try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
    }
}

extension SQLiteCatalog {
    /// SQLite would create the file with the process' umask; its journal files take over the mode of the main file.
    static func createPrivateFile(_ path: String) throws(ConnectorError) {
        let file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw ConnectorError(
                .configuration, code: "catalog_unavailable", "cannot open \(path): \(String(cString: strerror(errno)))",
                hint: "make the data directory writable for the user that runs Millrace")
        }
        fchmod(file, 0o600)
        Foundation.close(file)
    }

    /// SQLite's errors in our words. A full or failing disk may get better, so a task that could not store its cursor
    /// tries again; a damaged file does not.
    static func mapped<Result>(
        _ action: String, _ body: () throws -> Result
    ) throws(ConnectorError) -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            let isDamaged = [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
            throw ConnectorError(
                isDamaged ? .consistency : .transient, code: isDamaged ? "catalog_damaged" : "catalog_unavailable",
                "cannot \(action) the catalog: \(error.message ?? "SQLite error")",
                foreignCode: "SQLite \(error.extendedResultCode.rawValue)")
        } catch {
            throw ConnectorError(.consistency, code: "catalog_damaged", "cannot \(action) the catalog: \(error)")
        }
    }
}
