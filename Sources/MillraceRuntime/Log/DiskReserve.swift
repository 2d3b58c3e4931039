#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Space that a change log leaves free on its disk: the catalog needs some to store cursors, and without these no sink
/// could let the log go that fills the disk.
enum DiskReserve {
    /// Enough for SQLite's journal several times over.
    static let byteCount: UInt64 = 16 << 20

    /// On small disks an eighth is kept.
    static func isReached(free: UInt64, capacity: UInt64, adding count: Int = 0) -> Bool {
        free < min(byteCount, capacity / 8) + UInt64(max(count, 0))
    }

    /// False also where the system does not say.
    static func isReached(on path: String, adding count: Int = 0) -> Bool {
        var disk = statvfs()
        guard statvfs(path, &disk) == 0 else { return false }
        let unit = UInt64(disk.f_frsize)
        return isReached(
            free: UInt64(disk.f_bavail) &* unit, capacity: UInt64(disk.f_blocks) &* unit, adding: count)
    }
}
