import Foundation
package import Glibc
import MillraceCore

/// A throw-away PostgreSQL cluster: its own folder under /tmp, Unix socket and free TCP port, superuser `postgres` without
/// a password, `wal_level=logical`. Runs as the system user `postgres` when the tests run as root.
package final class PostgresServer: Sendable {
    package enum StopMode: Sendable {
        /// Waits for clients.
        case smart
        /// Throws clients out.
        case fast
        /// No checkpoint: the next start recovers from WAL.
        case immediate

        fileprivate var signal: Int32 {
            switch self {
            case .smart: SIGTERM
            case .fast: SIGINT
            case .immediate: SIGQUIT
            }
        }
    }

    package let port: Int
    package let folder: TemporaryFolder
    private let process = Monitor<Subprocess?>(nil)
    private let databases = Monitor(0)

    package var dataDirectory: String { folder.path + "/data" }
    package var logFile: String { folder.path + "/server.log" }
    /// The folder of the Unix socket, for `host=` of libpq.
    package var socketFolder: String { folder.path }

    /// Makes a cluster and starts it. `settings` come behind the defaults in postgresql.conf. Without `fsync` a crash of
    /// the machine (not of the server) would lose data, which no test needs; a benchmark does.
    package init(settings: [String: String] = [:], fsync: Bool = false) throws {
        folder = try TemporaryFolder("pg")
        port = try freePort()
        chmod(folder.path, 0o755)
        var configuration: [String: String] = [
            "listen_addresses": "'127.0.0.1'", "port": "\(port)", "unix_socket_directories": "'\(folder.path)'",
            "wal_level": "logical", "max_wal_senders": "60", "max_replication_slots": "60", "max_connections": "150",
            "fsync": fsync ? "on" : "off", "full_page_writes": "off",
            "shared_buffers": "64MB", "max_wal_size": "1GB", "autovacuum": "off", "wal_sender_timeout": "30s",
            "log_line_prefix": "'%m [%p] %d '", "TimeZone": "'UTC'", "timezone_abbreviations": "'Default'",
            "log_statement": "'none'", "jit": "off",
        ]
        for (name, value) in settings { configuration[name] = value }
        do {
            try PostgresServer.own(folder.path)
            try Subprocess.run(
                PostgresServer.asOwner([
                    PostgresServer.program("initdb"), "-D", dataDirectory, "-U", "postgres", "-A", "trust",
                    "-E", "UTF8", "--locale=C.UTF-8", "-N",
                ]), environment: ["LC_ALL": "C.UTF-8"])
            let lines = configuration.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)\n" }.joined()
            try append(lines, to: dataDirectory + "/postgresql.conf")
            try start()
        } catch {
            stop(.immediate)
            folder.remove()
            throw error
        }
    }

    /// A physical standby of `primary`, streaming from it.
    package init(standbyOf primary: PostgresServer) throws {
        folder = try TemporaryFolder("pg")
        port = try freePort()
        chmod(folder.path, 0o755)
        do {
            try PostgresServer.own(folder.path)
            try Subprocess.run(
                PostgresServer.asOwner([
                    PostgresServer.program("pg_basebackup"), "-D", dataDirectory, "-R", "-X", "stream", "-c", "fast",
                    "-h", primary.socketFolder, "-p", "\(primary.port)", "-U", "postgres",
                ]))
            // The last line of a name counts.
            try append(
                "port = \(port)\nunix_socket_directories = '\(folder.path)'\n", to: dataDirectory + "/postgresql.conf")
            try start()
        } catch {
            stop(.immediate)
            folder.remove()
            throw error
        }
    }

    deinit {
        stop(.immediate)
        folder.remove()
    }

    // MARK: Backup

    /// Copies the data folder of the stopped server, in place of an earlier copy.
    package func backUp() throws {
        try Subprocess.run(["rm", "-rf", folder.path + "/backup"])
        try Subprocess.run(["cp", "-a", dataDirectory, folder.path + "/backup"])
    }

    /// Puts the copy in the place of the data folder of the stopped server.
    package func restore() throws {
        try Subprocess.run(["rm", "-rf", dataDirectory])
        try Subprocess.run(["cp", "-a", folder.path + "/backup", dataDirectory])
    }

    /// Copies a replication slot of `other` into this stopped server: what tools do before a standby is promoted.
    package func takeSlot(_ name: String, from other: PostgresServer) throws {
        try Subprocess.run([
            "cp", "-a", "\(other.dataDirectory)/pg_replslot/\(name)", "\(dataDirectory)/pg_replslot/",
        ])
    }

    /// Makes the stopped server a standby that follows nobody.
    package func becomeStandby() throws {
        try Subprocess.run(PostgresServer.asOwner(["touch", dataDirectory + "/standby.signal"]))
    }

    /// Ends recovery and waits for that.
    package func promote() throws {
        guard try query("select pg_promote(true, 60)") == "t" else { throw TestFailure("the standby is not promoted") }
    }

    // MARK: Life cycle

    /// Starts the server and waits until it takes queries.
    package func start() throws {
        // After a kill -9 the old backends hold the shared memory until they notice.
        let started = try eventually("PostgreSQL starts", within: .seconds(60), state: { lastLines(of: self.logFile) })
        {
            () -> Subprocess? in
            let server = try Subprocess(
                PostgresServer.asOwner([PostgresServer.program("postgres"), "-D", dataDirectory]),
                environment: ["LC_ALL": "C.UTF-8", "TZ": "UTC"], output: logFile, errorOutput: logFile,
                killSignal: SIGQUIT)
            return try eventually(
                "PostgreSQL takes queries", within: .seconds(60), state: { lastLines(of: self.logFile) }
            ) { () -> Subprocess?? in
                if (try? query("select 1")) == "1" { return .some(server) }
                return server.isRunning ? nil : .some(nil)
            }
        }
        process.update { $0 = started }
    }

    /// Stops the server and waits for its end.
    package func stop(_ mode: StopMode) {
        guard
            let running = process.update({ server in
                defer { server = nil }
                return server
            })
        else { return }
        running.send(SIGCONT)
        running.send(mode.signal)
        if running.waitForExit(within: .seconds(60)) == nil { kill9(running) }
    }

    /// Asks the server to stop and does not wait: `stop` does that.
    package func beginStop(_ mode: StopMode) {
        process.read { $0 }?.send(mode.signal)
    }

    package func restart(_ mode: StopMode) throws {
        stop(mode)
        try start()
    }

    /// kill -9 of the server and all its processes.
    package func kill9() {
        guard
            let running = process.update({ server in
                defer { server = nil }
                return server
            })
        else { return }
        kill9(running)
    }

    private func kill9(_ running: Subprocess) {
        let children = childProcesses(of: running.pid)
        running.send(SIGKILL)
        for child in children { kill(child, SIGKILL) }
        _ = running.waitForExit(within: .seconds(30))
    }

    /// Freezes every process of the server: connections stay open, nothing answers.
    package func pause() {
        guard let running = process.read({ $0 }) else { return }
        running.send(SIGSTOP)
        for child in childProcesses(of: running.pid) { kill(child, SIGSTOP) }
    }

    package func resume() {
        guard let running = process.read({ $0 }) else { return }
        for child in childProcesses(of: running.pid) { kill(child, SIGCONT) }
        running.send(SIGCONT)
    }

    package var isRunning: Bool { process.read { $0?.isRunning ?? false } }

    // MARK: SQL

    /// Makes a database with a name that no other test has, and returns the name.
    package func makeDatabase(_ purpose: String = "db", template: String = "template0") throws -> String {
        let number = databases.update { count in
            count += 1
            return count
        }
        let name = "\(purpose)_\(number)"
        try execute("create database \"\(name)\" template \(template) encoding 'UTF8'")
        return name
    }

    /// Runs statements with psql, each on its own unless the text opens a transaction; throws at the first error.
    @discardableResult
    package func execute(_ sql: String, database: String = "postgres", timeout: Duration = .seconds(120)) throws
        -> String
    {
        let output = try Subprocess.run(
            psqlArguments(database: database) + ["-f", "-"], environment: PostgresServer.clientEnvironment, input: sql,
            timeout: timeout)
        return output.hasSuffix("\n") ? String(output.dropLast()) : output
    }

    /// The text of a query's result: columns separated by `|`, rows by line ends, nulls empty.
    package func query(_ sql: String, database: String = "postgres", timeout: Duration = .seconds(120)) throws -> String
    {
        try execute(sql, database: database, timeout: timeout)
    }

    /// The same as rows of columns.
    package func rows(_ sql: String, database: String = "postgres") throws -> [[String]] {
        try query(sql, database: database).split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.isEmpty }.map { $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init) }
    }

    /// Starts statements that run beside the test (a writer). The output lies in the server's folder.
    package func spawn(_ sql: String, database: String) throws -> Subprocess {
        let file = folder.path + "/spawn-\(UInt64.random(in: 0...UInt64.max)).sql"
        try Data(sql.utf8).write(to: URL(fileURLWithPath: file))
        return try Subprocess(
            psqlArguments(database: database) + ["-f", file], environment: PostgresServer.clientEnvironment,
            output: file + ".out", errorOutput: file + ".err")
    }

    /// psql, unaligned and without headings, at this server.
    package func psqlArguments(database: String) -> [String] {
        [
            PostgresServer.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", socketFolder,
            "-p", "\(port)", "-U", "postgres", "-d", database,
        ]
    }

    /// Adds lines to pg_hba.conf, before all others, and reloads.
    package func prependHostBasedAuthentication(_ lines: String) throws {
        let path = dataDirectory + "/pg_hba.conf"
        let old = readText(path)
        try write(lines + "\n" + old, to: path)
        try execute("select pg_reload_conf()")
    }

    /// The same output format for every session, so that texts can be compared.
    private static let clientEnvironment = [
        "PGOPTIONS": "-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3"
            + " -c client_min_messages=warning",
        "PGCLIENTENCODING": "UTF8", "PGCONNECT_TIMEOUT": "10",
    ]

    // MARK: Programs

    /// A program of the newest PostgreSQL there is; `MILLRACE_PG_BIN` names another folder.
    package static func program(_ name: String) -> String {
        binaryFolder + "/" + name
    }

    private static let binaryFolder: String = {
        if let chosen = ProcessInfo.processInfo.environment["MILLRACE_PG_BIN"] { return chosen }
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let newest = versions.compactMap { Int($0) }.sorted().last {
            FileManager.default.isExecutableFile(atPath: "\(root)/\($0)/bin/postgres")
        }
        return newest.map { "\(root)/\($0)/bin" } ?? "/usr/local/pgsql/bin"
    }()

    /// PostgreSQL refuses to run as root.
    package static func asOwner(_ arguments: [String]) -> [String] {
        guard geteuid() == 0 else { return arguments }
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] + arguments
    }

    private static func own(_ path: String) throws {
        guard geteuid() == 0 else { return }
        try Subprocess.run(["chown", "postgres:postgres", path])
    }

    private func append(_ text: String, to path: String) throws {
        try write(readText(path) + text, to: path)
    }

    /// Writes over a file in place: owner and mode stay.
    private func write(_ text: String, to path: String) throws {
        guard let file = FileHandle(forWritingAtPath: path) else { throw TestFailure("cannot write \(path)") }
        defer { try? file.close() }
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(text.utf8))
    }
}

/// The processes whose parent is `pid`.
package func childProcesses(of pid: pid_t) -> [pid_t] {
    readText("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { pid_t($0) }
}

/// A TCP port on the loopback that nobody listens on, below those that the system gives to outgoing connections.
package func freePort() throws -> Int {
    for _ in 0..<200 {
        let port = Int.random(in: 20_000..<32_000)
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard handle >= 0 else { break }
        defer { close(handle) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if bound == 0 { return port }
    }
    throw TestFailure("no free port between 20000 and 32000")
}
