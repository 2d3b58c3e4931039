import Foundation
package import Glibc
import MillraceCore

/// What a test's helper could not do, with what the program said.
package struct TestFailure: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// A program that a test runs. Its output goes to files, so that it never waits for a reader.
///
/// Whatever is still running when the test process ends, however it ends, is killed by `Reaper`.
package final class Subprocess: Sendable {
    package let pid: pid_t
    private let arguments: [String]
    /// Exit status as the shell would show it (128 + signal for a kill), nil while it runs.
    private let exitStatus = Monitor<Int32?>(nil)
    private let waiter = Monitor<WorkerThread?>(nil)

    /// Starts `arguments[0]`, looked up in PATH. `input`, `output`, `errorOutput` are paths of files; `output` and
    /// `errorOutput` are appended to. `killSignal` is what the reaper sends if the program outlives the tests.
    package init(
        _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null",
        output: String = "/dev/null", errorOutput: String = "/dev/null", killSignal: Int32 = SIGKILL
    ) throws {
        self.arguments = arguments
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        if errorOutput == output {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, errorOutput, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        }
        closeOthers(&actions)
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        var argv = copyForC(arguments)
        var envp = copyForC(variables.map { "\($0.key)=\($0.value)" })
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let status = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, &envp)
        guard status == 0 else {
            throw TestFailure("cannot start \(arguments[0]): \(String(cString: strerror(status)))")
        }
        self.pid = pid
        Reaper.shared.watch(pid, signal: killSignal)
        waiter.update { $0 = WorkerThread("waitpid") { [self] in awaitExit() } }
    }

    private func awaitExit() {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        Reaper.shared.forget(pid)
        let signal = status & 0x7F
        exitStatus.update { $0 = signal == 0 ? (status >> 8) & 0xFF : 128 + signal }
    }

    package var isRunning: Bool { exitStatus.read { $0 == nil } }

    /// Exit status as the shell would show it; nil when the program still runs after `timeout`.
    package func waitForExit(within timeout: Duration) -> Int32? {
        exitStatus.wait(for: timeout) { $0 }
    }

    package func send(_ signal: Int32) {
        exitStatus.read { if $0 == nil { kill(pid, signal) } }
    }

    /// Runs a program to its end and returns what it wrote to standard output. Throws with the error output when it fails.
    @discardableResult
    package static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
        timeout: Duration = .seconds(120), accepting: Set<Int32> = [0]
    ) throws -> String {
        let folder = try TemporaryFolder("run")
        defer { folder.remove() }
        var inputPath = "/dev/null"
        if let input {
            inputPath = folder.path + "/in"
            try Data(input.utf8).write(to: URL(fileURLWithPath: inputPath))
        }
        let process = try Subprocess(
            arguments, environment: environment, input: inputPath, output: folder.path + "/out",
            errorOutput: folder.path + "/err")
        guard let status = process.waitForExit(within: timeout) else {
            process.send(SIGKILL)
            _ = process.waitForExit(within: .seconds(10))
            throw TestFailure("\(arguments[0]) did not end within \(timeout)")
        }
        let output = readText(folder.path + "/out")
        guard accepting.contains(status) else {
            throw TestFailure(
                "\(arguments.joined(separator: " ")) ended with \(status): \(readText(folder.path + "/err"))\(output)")
        }
        return output
    }
}

/// The test's own descriptors (sockets, locked files) must not live on in a server. Closing what is not open is no error.
func closeOthers(_ actions: inout posix_spawn_file_actions_t) {
    for descriptor in Int32(3)..<512 { posix_spawn_file_actions_addclose(&actions, descriptor) }
}

/// Null-terminated array of C strings, each to be freed.
func copyForC(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
    var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { (text: String) in strdup(text) }
    pointers.append(nil)
    return pointers
}

/// A folder under /tmp which anybody may enter, removed by `remove` or after the tests. `MILLRACE_KEEP=1` keeps it.
package struct TemporaryFolder: Sendable {
    package let path: String

    package init(_ purpose: String) throws {
        var template = Array("/tmp/millrace-\(purpose)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("cannot make a folder under /tmp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
        Reaper.shared.watch(folder: path)
    }

    package func remove() {
        if ProcessInfo.processInfo.environment["MILLRACE_KEEP"] == nil {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
}

/// The text of a file, empty where there is none.
package func readText(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
}

/// The last lines of a file, for messages of failed tests.
package func lastLines(of path: String, count: Int = 30) -> String {
    readText(path).split(separator: "\n").suffix(count).joined(separator: "\n")
}

/// Waits until `condition` returns something, looking again every 20 ms; throws after `timeout`, naming what was awaited
/// and what `state` says then.
@discardableResult
package func eventually<Result>(
    _ what: String, within timeout: Duration = .seconds(30), state: () -> String = { "" },
    condition: () throws -> Result?
) throws -> Result {
    let deadline = ContinuousClock.now + timeout
    while true {
        if let result = try condition() { return result }
        if ContinuousClock.now >= deadline { throw TestFailure("not within \(timeout): \(what)\n\(state())") }
        poll(nil, 0, 20)
    }
}

/// As above, for a condition that is true or false.
package func eventually(
    _ what: String, within timeout: Duration = .seconds(30), state: () -> String = { "" },
    condition: () throws -> Bool
) throws {
    try eventually(what, within: timeout, state: state) { try condition() ? true : nil as Bool? }
}
