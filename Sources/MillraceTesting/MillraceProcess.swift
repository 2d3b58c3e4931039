import Foundation
package import Glibc
import MillraceCore

/// A `millrace serve` of its own: the binary of this build, its own data folder and port.
package final class MillraceProcess: Sendable {
    package let port: Int
    package let folder: TemporaryFolder
    private let arguments: [String]
    private let process = Monitor<Subprocess?>(nil)

    package let dataDirectory: String
    package var logFile: String { folder.path + "/millrace.log" }

    /// Starts the server and waits until /health answers. The data directory is one of its own unless given.
    package init(arguments: [String] = [], dataDirectory: String? = nil) throws {
        folder = try TemporaryFolder("server")
        self.dataDirectory = dataDirectory ?? folder.path + "/data"
        port = try freePort()
        self.arguments = arguments
        do {
            try start()
        } catch {
            kill9()
            folder.remove()
            throw error
        }
    }

    deinit {
        kill9()
        folder.remove()
    }

    /// The binary that was built together with the running tests; `MILLRACE_BINARY` names another one.
    package static let binary: String = {
        if let chosen = ProcessInfo.processInfo.environment["MILLRACE_BINARY"] { return chosen }
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().path + "/millrace"
    }()

    // MARK: Life cycle

    package func start() throws {
        let server = try spawn()
        process.update { $0 = server }
        try eventually("millrace answers", within: .seconds(30), state: { lastLines(of: self.logFile) }) {
            guard server.isRunning else {
                throw TestFailure("millrace ended while starting:\n\(lastLines(of: logFile))")
            }
            return (try? request("GET", "/health"))?.status == 200
        }
    }

    /// Starts a second server on the same data folder, with another port, without waiting for anything.
    package func spawnSecond(errorOutput: String) throws -> Subprocess {
        try spawn(port: freePort(), output: errorOutput)
    }

    private func spawn(port: Int? = nil, output: String? = nil) throws -> Subprocess {
        guard FileManager.default.isExecutableFile(atPath: MillraceProcess.binary) else {
            throw TestFailure("no server at \(MillraceProcess.binary): build it first, or set MILLRACE_BINARY")
        }
        return try Subprocess(
            [
                MillraceProcess.binary, "serve", "--data-dir", dataDirectory,
                "--listen", "127.0.0.1:\(port ?? self.port)",
            ] + arguments,
            output: output ?? logFile, errorOutput: output ?? logFile)
    }

    package func kill9() {
        let running = process.update { server in
            defer { server = nil }
            return server
        }
        running?.send(SIGKILL)
        _ = running?.waitForExit(within: .seconds(30))
    }

    /// SIGTERM; returns the exit status, nil when it still runs after `timeout`.
    package func terminate(within timeout: Duration = .seconds(10)) -> Int32? {
        let running = process.read { $0 }
        running?.send(SIGTERM)
        return running?.waitForExit(within: timeout)
    }

    /// kill -9 and start again.
    package func crashAndRestart() throws {
        kill9()
        try start()
    }

    package func pause() { process.read { $0 }?.send(SIGSTOP) }
    package func resume() { process.read { $0 }?.send(SIGCONT) }
    package var isRunning: Bool { process.read { $0?.isRunning ?? false } }
    package var pid: pid_t? { process.read { $0?.pid } }

    /// Bytes of memory in use now and at the most, from /proc.
    package func residentBytes() -> (now: Int, peak: Int) {
        guard let pid else { return (0, 0) }
        var values: [Substring: Int] = [:]
        for line in readText("/proc/\(pid)/status").split(separator: "\n") {
            let parts = line.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\t" })
            if parts.count >= 2, let kilobytes = Int(parts[1]) { values[parts[0]] = kilobytes * 1024 }
        }
        return (values["VmRSS"] ?? 0, values["VmHWM"] ?? 0)
    }

    // MARK: REST

    package func request(
        _ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) throws -> HTTPResponse {
        try exchangeHTTP(method, port: port, path, body: body, headers: headers, timeout: timeout)
    }

    /// Creates or changes a connector.
    package func putConnector(_ name: String, _ config: [String: String]) throws {
        let answer = try request("PUT", "/connectors/\(name)/config", body: jsonText(config))
        guard answer.status == 200 || answer.status == 201 else {
            throw TestFailure("connector \(name) was refused, \(answer.status): \(answer.body)")
        }
    }

    package func deleteConnector(_ name: String) throws {
        let answer = try request("DELETE", "/connectors/\(name)")
        guard answer.status == 204 else {
            throw TestFailure("connector \(name) was not deleted, \(answer.status): \(answer.body)")
        }
    }

    package func status(_ name: String) throws -> JSONNode {
        try request("GET", "/connectors/\(name)/status").json
    }

    /// States of the tasks, e.g. `["RUNNING"]`.
    package func taskStates(_ name: String) throws -> [String] {
        try status(name)["tasks"].array.compactMap { $0["state"].string }
    }

    /// Waits until every task of a connector is in `state`, and returns the status document.
    @discardableResult
    package func waitForTasks(_ name: String, _ state: String, within timeout: Duration = .seconds(30)) throws
        -> JSONNode
    {
        try eventually(
            "tasks of \(name) are \(state)", within: timeout,
            state: { "\((try? self.status(name)).map(String.init(describing:)) ?? "")\n\(lastLines(of: self.logFile))" }
        ) { () -> JSONNode? in
            let document = try status(name)
            let states = document["tasks"].array.compactMap { $0["state"].string }
            return !states.isEmpty && states.allSatisfy { $0 == state } ? document : nil
        }
    }

    /// The values of a metric in the Prometheus text, by label set as it is written (`{a="b"}`, empty for none).
    package func metric(_ name: String) throws -> [String: Double] {
        var values: [String: Double] = [:]
        let page = try request("GET", "/metrics", headers: ["Accept": "text/plain"])
        guard page.status == 200 else { throw TestFailure("no metrics, \(page.status): \(page.body)") }
        for line in page.body.split(separator: "\n") where line.hasPrefix(name) {
            let rest = line.dropFirst(name.count)
            guard rest.first == "{" || rest.first == " ", let space = rest.lastIndex(of: " "),
                let value = Double(rest[rest.index(after: space)...])
            else { continue }
            values[String(rest[..<space])] = value
        }
        return values
    }
}
