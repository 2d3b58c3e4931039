import Foundation
import Glibc
import MillraceCore
import MillraceTesting

/// A small file system of its own, for as long as the object lives. Mounting is for root: without the right to, the test
/// fails.
final class SmallDisk {
    let folder: TemporaryFolder
    var dataDirectory: String { folder.path + "/data" }
    private var ballast: String { folder.path + "/ballast" }

    init(megabytes: Int) throws {
        folder = try TemporaryFolder("disk")
        do {
            try Subprocess.run(["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", folder.path])
        } catch {
            folder.remove()
            throw TestFailure(
                "these tests fill a file system of \(megabytes) MB and must be allowed to mount it (tmpfs): run them as "
                    + "root, in a container with CAP_SYS_ADMIN. \(error)")
        }
    }

    deinit {
        _ = try? Subprocess.run(["umount", "-l", folder.path])
        folder.remove()
    }

    /// Bytes that anybody may still write.
    var freeBytes: Int {
        var disk = statvfs()
        guard statvfs(folder.path, &disk) == 0 else { return 0 }
        return Int(disk.f_bavail) * Int(disk.f_frsize)
    }

    /// Somebody else's file takes all but `free` bytes.
    func fill(leaving free: Int) throws {
        let descriptor = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TestFailure("cannot write \(ballast)") }
        defer { close(descriptor) }
        var status = stat()
        fstat(descriptor, &status)
        let wanted = max(0, freeBytes - free)
        guard posix_fallocate(descriptor, off_t(status.st_size), off_t(wanted)) == 0 else {
            throw TestFailure("cannot fill \(folder.path) with \(wanted) bytes")
        }
    }

    /// To the last byte, also those that the server has set free meanwhile.
    func fillCompletely() throws {
        let descriptor = open(ballast, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TestFailure("cannot write \(ballast)") }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 0, count: 4096)
        while write(descriptor, block, block.count) > 0 {}
    }

    func giveBack() {
        unlink(ballast)
    }
}

extension Replication {
    /// Waits until `/health` says that the server is not well, and why.
    func waitForHealth(_ code: String, within timeout: Duration = .seconds(40)) throws {
        try eventually("/health names \(code)", within: timeout, state: { self.situation() }) {
            let answer = try millrace.request("GET", "/health")
            return answer.status == 500 && answer.body.contains(code) && answer.body.contains("unhealthy")
        }
    }

    func waitUntilHealthy(within timeout: Duration = .seconds(40)) throws {
        try eventually("/health is well again", within: timeout, state: { self.situation() }) {
            try millrace.request("GET", "/health").status == 200
        }
    }

    /// While the server writes, nothing is acknowledged: looks until its WAL has grown by so many bytes.
    func requireNothingAcknowledged(while sql: String) throws {
        // What was stored before is still being reported.
        var before = try confirmedFlushLSN()
        var settled = ContinuousClock.now
        try eventually("the slot stands still", within: .seconds(30)) {
            let now = try confirmedFlushLSN()
            if now != before {
                before = now
                settled = .now
            }
            return settled.duration(to: .now) > .seconds(1.2)
        }
        let begin = try currentWALLSN()
        var rounds = 0
        repeat {
            rounds += 1
            try execute(sql.replacingOccurrences(of: "ROUND", with: "\(rounds)"))
        } while try currentWALLSN().value < begin.value + 4 << 20
        // Twice the interval at which the source reports.
        let report = ContinuousClock.now + .seconds(1)
        while ContinuousClock.now < report {
            guard try confirmedFlushLSN() == before else {
                throw TestFailure("acknowledged beyond \(before as Any) although nothing could be stored")
            }
        }
    }
}
