#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The real disk.
package struct FileStorage: LogStorage {
    /// An open file; closed with the last reference.
    package final class File: Sendable {
        fileprivate let descriptor: Int32
        fileprivate let path: String

        fileprivate init(_ descriptor: Int32, _ path: String) {
            self.descriptor = descriptor
            self.path = path
        }

        deinit { _ = Self.closeDescriptor(descriptor) }

        private static func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
    }

    package init() {}

    package func list(_ directory: String) throws(LogError) -> [String] {
        guard let stream = opendir(directory) else { throw failure("open directory", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw failure("read directory", directory) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) {
                    String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    package func makeDirectory(_ directory: String) throws(LogError) {
        var path = directory.hasPrefix("/") ? "" : "."
        let parts = directory.split(separator: "/")
        var existing: [String] = []
        for (index, part) in parts.enumerated() {
            let parent = path.isEmpty ? "/" : path
            path += "/" + part
            if mkdir(path, 0o700) == 0 {
                try syncDirectory(parent)
            } else if errno != EEXIST {
                throw failure("make directory", path)
            } else if index >= parts.count - 2 {
                // It may have been made a moment ago by somebody who was killed before its name was durable. The data
                // directory itself is not ours to look after: its parent need not even be readable for us.
                existing.append(parent)
            }
        }
        for parent in existing { try syncDirectory(parent) }
    }

    package func create(_ path: String) throws(LogError) -> File {
        try openFile(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, "create")
    }

    package func open(_ path: String) throws(LogError) -> File {
        try openFile(path, O_RDWR | O_CLOEXEC, "open")
    }

    private func openFile(_ path: String, _ flags: Int32, _ operation: String) throws(LogError) -> File {
        while true {
            let descriptor = systemOpen(path, flags, 0o600)
            if descriptor >= 0 { return File(descriptor, path) }
            if errno != EINTR { throw failure(operation, path) }
        }
    }

    package func size(_ file: File) throws(LogError) -> UInt64 {
        UInt64(clamping: try status(file).st_size)
    }

    package func modificationTime(_ file: File) throws(LogError) -> Int64 {
        Int64(try status(file).st_mtim.tv_sec)
    }

    private func status(_ file: File) throws(LogError) -> stat {
        var status = stat()
        guard fstat(file.descriptor, &status) == 0 else { throw failure("stat", file.path) }
        return status
    }

    package func read(
        _ file: File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(LogError) -> Int {
        guard let base = buffer.baseAddress, let start = Int64(exactly: offset) else { return 0 }
        var done = 0
        while done < buffer.count {
            let count = pread(file.descriptor, base + done, buffer.count - done, Int(start) + done)
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw failure("read", file.path)
            }
        }
        return done
    }

    package func write(
        _ file: File, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(LogError) {
        var done = 0
        let total = head.count + body.count
        while done < total {
            let count = writeSome(file, head, body, from: done, at: Int(clamping: offset))
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                throw failure("write", file.path)
            }
        }
    }

    /// One pwritev of what is left behind the first `done` bytes.
    private func writeSome(
        _ file: File, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, from done: Int, at offset: Int
    ) -> Int {
        let headLeft = UnsafeRawBufferPointer(rebasing: head[min(done, head.count)...])
        let bodyLeft = UnsafeRawBufferPointer(rebasing: body[max(done - head.count, 0)...])
        let parts = (
            iovec(iov_base: UnsafeMutableRawPointer(mutating: headLeft.baseAddress), iov_len: headLeft.count),
            iovec(iov_base: UnsafeMutableRawPointer(mutating: bodyLeft.baseAddress), iov_len: bodyLeft.count)
        )
        return withUnsafePointer(to: parts) {
            $0.withMemoryRebound(to: iovec.self, capacity: 2) { pwritev(file.descriptor, $0, 2, offset + done) }
        }
    }

    package func sync(_ file: File) throws(LogError) {
        guard fdatasync(file.descriptor) == 0 else { throw failure("fdatasync", file.path) }
    }

    package func truncate(_ file: File, to size: UInt64) throws(LogError) {
        while ftruncate(file.descriptor, Int(clamping: size)) != 0 {
            if errno != EINTR { throw failure("truncate", file.path) }
        }
    }

    package func rename(_ path: String, to newPath: String) throws(LogError) {
        guard systemRename(path, newPath) == 0 else { throw failure("rename", path) }
    }

    package func remove(_ path: String) throws(LogError) {
        guard unlink(path) == 0 else { throw failure("remove", path) }
    }

    package func syncDirectory(_ directory: String) throws(LogError) {
        let descriptor = systemOpen(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open directory", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("fsync directory", directory) }
    }

    package func randomNumber() -> UInt64 { .random(in: 1...UInt64.max) }

    /// What `errno` says, read before anything else can change it.
    private func failure(_ operation: String, _ path: String) -> LogError {
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT
        // A failed fsync is never "try again", whatever its reason: what it lost is not known.
        if isFull && operation != "fdatasync" && operation != "fsync directory" { return .noSpace(path: path) }
        return .io(operation: operation, path: path, errno: code)
    }
}

// The methods above hide the system's functions of the same names.

private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 { open(path, flags, mode) }

private func systemRename(_ path: String, _ newPath: String) -> Int32 { rename(path, newPath) }
