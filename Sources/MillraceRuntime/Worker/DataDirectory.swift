import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The one directory in which a server keeps everything. Held by one process at a time.
final class DataDirectory: Sendable {
    let path: String
    private let lock: Int32

    /// Makes the directory if there is none, and locks it for as long as this object (or the process) lives.
    init(_ path: String) throws(ConnectorError) {
        self.path = path
        try Self.makePrivateDirectory(path)
        lock = try Self.lock(path + "/lock")
    }

    deinit {
        close(lock)
    }

    var catalogFile: String { path + "/catalog.sqlite" }

    func logDirectory(of connector: String) -> String {
        path + "/logs/" + Self.fileName(for: connector)
    }

    func hasLog(of connector: String) -> Bool {
        access(logDirectory(of: connector), F_OK) == 0
    }

    /// Removes a connector's log with everything in it. Nothing to do is success.
    func removeLog(of connector: String) throws(ConnectorError) {
        try Self.removeTree(logDirectory(of: connector))
    }

    private static func removeTree(_ path: String) throws(ConnectorError) {
        // A symbolic link is removed, not followed.
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM, let handle = opendir(path) else { throw error("remove", path) }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { try removeTree(path + "/" + name) }
        }
        guard rmdir(path) == 0 || errno == ENOENT else { throw error("remove", path) }
    }

    /// A connector's name as a file name: bytes other than letters, digits, `-`, `_` and inner dots as `%XX`.
    static func fileName(for name: String) -> String {
        var result = ""
        for (index, byte) in name.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ".") where index > 0:
                result.append(".")
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return result
    }

    private static func makePrivateDirectory(_ path: String) throws(ConnectorError) {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else { throw error("make", made) }
        }
        let logs = path + "/logs"
        guard mkdir(logs, 0o700) == 0 || errno == EEXIST else { throw error("make", logs) }
    }

    private static func lock(_ file: String) throws(ConnectorError) -> Int32 {
        let descriptor = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw error("open", file) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            let failure = error("lock", file)
            var text = [UInt8](repeating: 0, count: 32)
            let count = read(descriptor, &text, text.count)
            close(descriptor)
            guard isHeld else { throw failure }
            let holder = String(decoding: text.prefix(max(count, 0)), as: UTF8.self).trimmed
            throw ConnectorError(
                .configuration, code: "data_directory_in_use",
                "\(file) is held by another server" + (holder.isEmpty ? "" : " (process \(holder))"),
                hint: "stop that server, or give this one its own --data-dir")
        }
        let text = "\(getpid())\n"
        // The number is for people; the lock itself is what counts.
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.utf8.count, 0)
        return descriptor
    }

    private static func error(_ action: String, _ path: String) -> ConnectorError {
        let code = errno
        return ConnectorError(
            .configuration, code: "data_directory", "cannot \(action) \(path): \(String(cString: strerror(code)))",
            foreignCode: String(code))
    }
}
