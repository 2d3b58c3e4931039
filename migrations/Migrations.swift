/// The SQL files beside this one, in the order in which they are applied. Forward only: a file that was ever released
/// is not changed again.
package enum Migrations {
    package struct Migration: Sendable {
        package let name: String
        package let sql: String
    }

    package static var catalog: [Migration] {
        [
            Migration(name: "catalog_0001", sql: String(decoding: PackageResources.catalog_0001_sql, as: UTF8.self))
        ]
    }
}
