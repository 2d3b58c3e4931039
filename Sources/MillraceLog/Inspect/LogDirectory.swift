#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The segment files of a log that somebody else may have open: only read.
enum LogDirectory {
    /// Names of the segments, oldest first.
    static func segments<Storage: LogStorage>(
        _ directory: String, _ storage: Storage
    ) throws(LogError) -> [String] {
        let names = try storage.list(directory)
        return names.filter { SegmentHeader.firstOffset(ofName: $0) != nil }.sorted()
    }

    /// Whether `name`, which was there when the directory was listed and could not be opened, was removed with all that
    /// was before it: by the retention of a running server.
    static func isRemoved<Storage: LogStorage>(
        _ name: String, _ error: LogError, _ directory: String, _ storage: Storage
    ) throws(LogError) -> Bool {
        guard case .io("open", _, ENOENT) = error, let oldest = try segments(directory, storage).first else {
            return false
        }
        return oldest > name
    }
}

/// What `millrace log` was told to look at.
package struct LogRange: Sendable {
    /// Log offsets; frames that lie wholly outside are left out.
    package var from: UInt64
    package var to: UInt64

    package init(from: UInt64 = 0, to: UInt64 = .max) {
        self.from = from
        self.to = to
    }
}
