import Foundation
import MillraceTesting
import Testing

/// The whole way from SQL to events, against what Debezium emitted for the same SQL and the same configuration.
@Suite(.serialized)
struct DebeziumRecordingTests {
    /// Every folder of recordings there is; `MILLRACE_RECORDINGS` names another folder of them.
    @Test(arguments: Scenario.names)
    func theFilesEqualTheRecording(_ name: String) throws {
        let scenario = try Scenario(name)
        let server = try Self.server.get()
        try server.execute("drop database if exists app with (force)")
        try server.execute("create database app template template0 encoding 'UTF8'")
        try server.execute(scenario.setup, database: "app")
        let millrace = try MillraceProcess()
        defer {
            millrace.kill9()
            dropSlot(server)
        }
        let folder = millrace.folder.path + "/files"
        try millrace.putConnector("inventory", scenario.sourceConfig(port: server.port))
        try millrace.putConnector(
            "files",
            [
                "connector.class": "file-sink", "source": "inventory", "path": folder, "rotate.interval.ms": "100",
            ])
        try eventually("streaming has begun", within: .seconds(30), state: { lastLines(of: millrace.logFile) }) {
            // Not by the slot, which is active while it is being made: a TRUNCATE would begin the load anew.
            try millrace.metric("millrace_source_phase").keys.contains { $0.contains("phase=\"streaming\"") }
        }
        for part in scenario.stream {
            try server.execute(part, database: "app")
            try waitUntilReceived(server, millrace)
        }
        let expected = scenario.expected
        let actual = try eventually(
            "\(expected.count) events are in files", within: .seconds(20),
            state: { "\((try? self.events(in: folder).count) ?? 0) events\n\(lastLines(of: millrace.logFile))" }
        ) { () -> [String]? in
            let events = try self.events(in: folder)
            return events.count >= expected.count ? events : nil
        }
        let differences = EventComparison.differences(expected: expected, actual: actual)
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }

    /// Not by a recording: how many there are is up to the clock.
    @Test func heartbeatsArriveWhileNothingHappens() throws {
        let server = try Self.server.get()
        try server.execute("drop database if exists app with (force)")
        try server.execute("create database app template template0 encoding 'UTF8'")
        let millrace = try MillraceProcess()
        defer {
            millrace.kill9()
            dropSlot(server)
        }
        let folder = millrace.folder.path + "/files"
        let config = try Scenario("01-basic-crud").sourceConfig(port: server.port)
        // Lists of prefixes are about other messages.
        let heartbeats = ["heartbeat.interval.ms": "100", "message.prefix.include.list": "none"]
        try millrace.putConnector("inventory", config.merging(heartbeats) { $1 })
        try millrace.putConnector(
            "files",
            ["connector.class": "file-sink", "source": "inventory", "path": folder, "rotate.interval.ms": "100"])
        let lines = try eventually(
            "three heartbeats are in files", within: .seconds(30), state: { lastLines(of: millrace.logFile) }
        ) { () -> [String]? in
            let lines = try self.events(in: folder)
            return lines.count >= 3 ? lines : nil
        }
        #expect(
            lines.allSatisfy {
                $0.hasPrefix(
                    #"{"topic":"__debezium-heartbeat.srv","partition":0,"key":{"serverName":"srv"},"value":{"ts_ms":"#)
            }, "\(lines)")
        // Each with a time of its own.
        #expect(Set(lines).count == lines.count)
    }

    /// A cluster of its own: the events name the database, so that it has to be `app`.
    private static let server = Result { try PostgresServer() }

    /// Everything that has been committed is durable in the log, and the source has said so.
    private func waitUntilReceived(_ server: PostgresServer, _ millrace: MillraceProcess) throws {
        let lsn = try server.query("select pg_current_wal_lsn()", database: "app")
        try eventually(
            "the source has acknowledged \(lsn)", within: .seconds(30), state: { lastLines(of: millrace.logFile) }
        ) {
            try server.query(
                "select confirmed_flush_lsn >= '\(lsn)'::pg_lsn from pg_replication_slots", database: "app") == "t"
        }
    }

    private func dropSlot(_ server: PostgresServer) {
        _ = try? eventually("the slot is free", within: .seconds(10)) {
            try server.query("select count(*) from pg_replication_slots where active") == "0"
        }
        _ = try? server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    }

    /// Lines of all finished files, in the order of their names.
    private func events(in folder: String) throws -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".jsonl") }.sorted().flatMap {
            readText(folder + "/" + $0).split(separator: "\n").map(String.init)
        }
    }
}

/// One directory of recordings.
private struct Scenario {
    let setup: String
    /// What stands between two `-- @@` lines runs in one connection; after each, events so far are waited for.
    let stream: [String]
    let expected: [String]
    private var config: [String: String]

    private static let own = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Recordings")
    private static let folder =
        ProcessInfo.processInfo.environment["MILLRACE_RECORDINGS"].map { URL(filePath: $0) } ?? own

    static let names: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: folder.path + "/\($0)/expected.jsonl") }.sorted()
    }()

    init(_ name: String) throws {
        let folder = Self.folder.appending(path: name)
        func text(_ file: String) throws -> String {
            String(decoding: try Data(contentsOf: folder.appending(path: file)), as: UTF8.self)
        }
        setup = try text("setup.sql")
        expected = try text("expected.jsonl").split(separator: "\n").map(String.init)
        var parts = [""]
        for line in try text("stream.sql").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("-- @@") { parts.append("") } else { parts[parts.count - 1] += line + "\n" }
        }
        stream = parts.filter { !$0.allSatisfy(\.isWhitespace) }
        let defaults = try Data(contentsOf: Self.own.appending(path: "connector-defaults.json"))
        config = try JSONDecoder().decode([String: String].self, from: defaults)
        for line in try text("connector.properties").split(separator: "\n") {
            let property = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if property.count == 2 { config[String(property[0])] = String(property[1]) }
        }
    }

    func sourceConfig(port: Int) -> [String: String] {
        config.merging(["database.port": "\(port)", "status.update.interval.ms": "200"]) { $1 }
    }
}
