import Migrations
import Testing

@testable import MillraceCatalog

@Suite struct MigrationDigestTests {
    /// FNV-1a of each migration that was ever released. A test that fails here says: do not edit that file, add one.
    static let released: [(name: String, digest: UInt64)] = [
        ("catalog_0001", 0xA37BCA3943E0B25E)
    ]

    @Test func releasedMigrationsHaveNotChanged() {
        #expect(Migrations.catalog.map(\.name) == Self.released.map(\.name))
        for (migration, released) in zip(Migrations.catalog, Self.released) {
            #expect(digest(migration.sql) == released.digest, "\(migration.name) was edited")
        }
    }

    private func digest(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
