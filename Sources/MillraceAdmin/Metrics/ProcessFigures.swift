#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the kernel says about this process.
struct ProcessFigures {
    /// Bytes of memory that are resident; nil where the kernel does not tell.
    var residentBytes: UInt64?
    var threads: UInt64?
    var openFiles: UInt64?
    var cpuSeconds: Double

    init() {
        let pages = Self.read("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
        residentBytes = pages.map { $0 * UInt64(sysconf(Int32(_SC_PAGESIZE))) }
        threads = Self.read("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("Threads:") }
            .flatMap { UInt64($0.dropFirst(8).filter(\.isNumber)) }
        openFiles = Self.countEntries("/proc/self/fd")
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        cpuSeconds = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer in
            let count = Glibc.read(file, buffer.baseAddress, buffer.count)
            return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
        }
    }

    private static func countEntries(_ path: String) -> UInt64? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var count: UInt64 = 0
        while readdir(folder) != nil { count += 1 }
        // Without `.`, `..` and the folder itself.
        return count > 3 ? count - 3 : 0
    }
}
