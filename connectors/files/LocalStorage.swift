package import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files on a local disk.
package final class LocalStorage: FileStorage {
    package init() {}

    package func createDirectory(_ path: String) throws(ConnectorError) {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw Self.failure("create directory", path)
        }
        try createDirectory(String(path[..<slash]))
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw Self.failure("create directory", path) }
        try syncDirectory(String(path[..<slash]))
    }

    package func list(_ directory: String) throws(ConnectorError) -> [String] {
        guard let handle = opendir(directory) else { throw Self.failure("list", directory) }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            // SAFETY of the read: d_name is a zero-terminated array inside the entry.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    package func open(_ path: String, truncating: Bool) throws(ConnectorError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncating ? O_TRUNC : 0)
        let file = systemOpen(path, flags, 0o644)
        guard file >= 0 else { throw Self.failure("open", path) }
        return file
    }

    package func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = systemWrite(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw Self.failure("write", nil) }
            rest = rest.dropFirst(written)
        }
    }

    package func sync(_ file: Int32) throws(ConnectorError) {
        // Never tried again on the same descriptor: the pages may be gone. The file is written anew from the log.
        guard fsync(file) == 0 else { throw Self.failure("fsync", nil) }
    }

    package func close(_ file: Int32) {
        _ = systemClose(file)
    }

    package func rename(_ from: String, _ to: String) throws(ConnectorError) {
        guard systemRename(from, to) == 0 else { throw Self.failure("rename", from) }
    }

    package func remove(_ path: String) throws(ConnectorError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw Self.failure("remove", path) }
    }

    package func syncDirectory(_ path: String) throws(ConnectorError) {
        let directory = systemOpen(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw Self.failure("open", path) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw Self.failure("fsync", path) }
    }

    package func read(_ path: String) throws(ConnectorError) -> [UInt8]? {
        let file = systemOpen(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw Self.failure("open", path)
        }
        defer { close(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = systemRead(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure("read", path) }
            if count == 0 { return content }
            content += chunk[..<count]
        }
    }

    package func lock(_ path: String) throws(ConnectorError) -> Int32? {
        let file = systemOpen(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Self.failure("open", path) }
        if flock(file, LOCK_EX | LOCK_NB) == 0 { return file }
        let isHeld = errno == EWOULDBLOCK
        let failure = Self.failure("lock", path)
        close(file)
        if isHeld { return nil }
        throw failure
    }

    /// What `errno` says. A full disk or a broken one may be mended while we wait; privileges are for somebody to change.
    private static func failure(_ action: String, _ path: String?) -> ConnectorError {
        let number = errno
        let kind: ConnectorError.Kind =
            [EACCES, EPERM, EROFS, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP].contains(number) ? .configuration : .transient
        let code = number == ENOSPC || number == EDQUOT ? "disk_full" : "file_error"
        return ConnectorError(
            kind, code: code, "cannot \(action)\(path.map { " \($0)" } ?? ""): \(String(cString: strerror(number)))",
            hint: code == "disk_full" ? "make room below the sink's path; it goes on by itself" : nil,
            foreignCode: "errno \(number)")
    }
}

// The methods above have the names of the calls that they stand for.

private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 { open(path, flags, mode) }
private func systemClose(_ file: Int32) -> Int32 { close(file) }
private func systemRename(_ from: String, _ to: String) -> Int32 { rename(from, to) }

private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int { write(file, bytes, count) }

private func systemRead(_ file: Int32, _ bytes: inout [UInt8], _ count: Int) -> Int { read(file, &bytes, count) }
