import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The log on a real file system.
@Suite struct FileStorageTests {
    /// A new directory, removed behind `body`.
    func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/millrace-log-XXXXXX".utf8CString)
        guard let pointer = mkdtemp(&template) else { throw Failure("no temporary directory") }
        let path = String(cString: pointer)
        defer { remove(path) }
        try body(path)
    }

    func remove(_ path: String) {
        let storage = FileStorage()
        for name in (try? storage.list(path)) ?? [] where unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        rmdir(path)
    }

    @Test func logSurvivesOnDisk() throws {
        try withDirectory { base in
            let directory = base + "/logs/one"
            let options = LogOptions(segmentByteLimit: 2000, frameByteLimit: 300, spoolMemoryByteLimit: 100)
            let log = try FileChangeLog.open(directory: directory, options: options, storage: FileStorage())
            for number in 1...40 {
                try log.append(transaction(UInt64(number) * 100, ["row \(number)"], define: number == 1, state: "s"))
            }
            let spool = try log.makeSpool(xid: 3)
            for part in 0..<10 { try spool.append(rows(["spooled \(part)"])) }
            try log.append(spool, transactionInfo(5000, xid: 3))
            let end = try log.flush()
            let lines = try log.lines(byteLimit: 500)
            #expect(lines.filter { $0.hasPrefix("I") }.count == 50)
            #expect(log.segments.allSatisfy { $0.modificationTime > 1_600_000_000 })
            let again = try FileChangeLog.open(directory: directory, options: options, storage: FileStorage())
            #expect(again.durable == end)
            #expect(try again.lines() == lines)
            #expect(try again.trim(before: end.offset) > 0)
            try again.append(transaction(6000, ["last"]))
            try again.flush()
            let report = try LogVerify.run(directory: directory, storage: FileStorage()) { Issue.record("\($0)") }
            #expect(report.findings == 0)
        }
    }

    @Test func writesGoWhereTheyBelong() throws {
        try withDirectory { directory in
            let storage = FileStorage()
            let path = directory + "/file"
            let file = try storage.create(path)
            let (head, body) = (Array("head".utf8), Array("body!".utf8))
            try head.withUnsafeBytes { head in
                try body.withUnsafeBytes { body in
                    try storage.write(file, head, body, at: 3)
                    try storage.write(file, UnsafeRawBufferPointer(rebasing: head[..<0]), body, at: 100)
                    try storage.write(file, head, UnsafeRawBufferPointer(rebasing: body[..<0]), at: 0)
                }
            }
            #expect(try storage.size(file) == 105)
            var bytes = [UInt8](repeating: 1, count: 20)
            let count = try bytes.withUnsafeMutableBytes { try storage.read(file, into: $0, at: 0) }
            #expect(count == 20)
            #expect(Array(bytes[0..<12]) == Array("headeadbody!".utf8))
            try storage.sync(file)
            try storage.truncate(file, to: 7)
            let less = try bytes.withUnsafeMutableBytes { try storage.read(file, into: $0, at: 2) }
            #expect(less == 5)
            try storage.rename(path, to: directory + "/other")
            try storage.syncDirectory(directory)
            #expect(try storage.list(directory) == ["other"])
            #expect(logError { _ = try storage.open(path) } == .io(operation: "open", path: path, errno: ENOENT))
            #expect(
                logError { _ = try storage.create(directory + "/other") }
                    == .io(operation: "create", path: directory + "/other", errno: EEXIST))
        }
    }

    @Test func errorsNameTheOperationAndThePath() {
        let storage = FileStorage()
        let missing = "/nonexistent-directory"
        #expect(
            logError { _ = try storage.list(missing) } == .io(operation: "open directory", path: missing, errno: ENOENT)
        )
        #expect(logError { try storage.remove(missing) } == .io(operation: "remove", path: missing, errno: ENOENT))
        #expect(
            logError { try storage.syncDirectory(missing) }
                == .io(operation: "open directory", path: missing, errno: ENOENT))
        #expect(
            logError { try storage.rename(missing, to: missing + "2") }
                == .io(operation: "rename", path: missing, errno: ENOENT))
        #expect(
            logError { _ = try FileChangeLog.open(directory: "/etc/passwd/log", storage: storage) }
                == .io(operation: "make directory", path: "/etc/passwd/log", errno: ENOTDIR))
    }

    /// /dev/full refuses every write for want of space.
    @Test func fullDeviceIsNoSpace() throws {
        let storage = FileStorage()
        let file = try storage.open("/dev/full")
        let bytes = Array("x".utf8)
        let error = logError {
            try bytes.withUnsafeBytes { try storage.write(file, $0, UnsafeRawBufferPointer(rebasing: $0[..<0]), at: 0) }
        }
        #expect(error == .noSpace(path: "/dev/full"))
    }
}

@Suite struct LogErrorTests {
    @Test func everyErrorSaysWhatToDoInTheWordsOfTheContract() {
        let errors: [(LogError, ConnectorError.Kind, String)] = [
            (.io(operation: "write", path: "/x", errno: EIO), .transient, "log_io"),
            (.corrupt(path: "/x/0.seg", offset: 300, reason: "r"), .consistency, "log_corrupt"),
            (.noSpace(path: "/x"), .transient, "log_disk_full"),
            (.failed(reason: "r"), .transient, "log_failed"),
            (.cursor(reason: "r"), .consistency, "log_position_gone"),
            (.discarded, .transient, "log_discarded"),
            (.misuse(reason: "r"), .bug, "log_misuse"),
        ]
        for (error, kind, code) in errors {
            let mapped = error.connectorError
            #expect(mapped.kind == kind && mapped.code == code)
            #expect(!mapped.message.isEmpty)
        }
        #expect(
            LogError.corrupt(path: "/x/0.seg", offset: 300, reason: "r").description.contains(
                "/x/0.seg is damaged at byte 300"))
        #expect(LogError.io(operation: "write", path: "/x", errno: EIO).connectorError.foreignCode == String(EIO))
    }
}
