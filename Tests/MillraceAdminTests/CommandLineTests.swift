import Foundation
import MillraceAdmin
import MillraceTesting
import Testing

/// The binary as people use it. Nothing here needs a database: the connectors are file sinks that wait for a source.
@Suite(.serialized) struct CommandLineTests {
    struct Ended {
        var status: Int32?
        var output: String
        var errors: String
    }

    private func run(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
    ) throws -> Ended {
        let folder = try TemporaryFolder("cli")
        defer { folder.remove() }
        if let input { try Data(input.utf8).write(to: URL(fileURLWithPath: folder.path + "/in")) }
        let process = try Subprocess(
            [MillraceProcess.binary] + arguments, environment: environment,
            input: input == nil ? "/dev/null" : folder.path + "/in", output: folder.path + "/out",
            errorOutput: folder.path + "/err")
        let status = process.waitForExit(within: .seconds(20))
        process.send(SIGKILL)
        return Ended(
            status: status, output: readText(folder.path + "/out"), errors: readText(folder.path + "/err"))
    }

    private static func fileSink(_ name: String, in folder: TemporaryFolder) -> String {
        #"{"name": "\#(name)", "config": {"connector.class": "file-sink", "source": "later", "path": "\#(folder.path)"}}"#
    }

    // MARK: Refusals

    @Test(arguments: [
        (["serve", "--listen", "0.0.0.0:1"], 2, "--insecure-listen"),
        (["serve", "--listen", "nonsense"], 2, "HOST:PORT"),
        (["serve", "--log-level", "loud"], 2, "log-level"), (["serve", "--config", "/none"], 2, "/none"),
        (["log", "verify", "/none"], 3, "/none"), (["log", "dump", "/none"], 3, "/none"),
        (["connector", "list", "--server", "http://127.0.0.1:1"], 5, "is the server running"),
        (["connector", "list", "--server", "ftp://x"], 64, "http://"), (["nonsense"], 64, "nonsense"),
        (["check", "/none"], 2, "/none"),
    ])
    func mistakesHaveTheirExitCodes(arguments: [String], status: Int32, words: String) throws {
        let ended = try run(arguments)
        #expect(ended.status == status)
        #expect(ended.errors.contains(words), "\(ended.errors)")
    }

    @Test(arguments: [
        (#"{"nonsense": 1}"#, "nonsense"), ("[", "not JSON"), ("[]", "must hold an object"),
        (#"{"listen": []}"#, "listen"), (#"{"insecure-listen": "perhaps"}"#, "insecure-listen"),
        (#"{"connectors": {}}"#, "connectors"), (#"{"connectors": [{"name": "x", "config": {"a": [1]}}]}"#, "'a'"),
        (#"{"connectors": [{"name": "x", "config": {"connector.class": "none"}}]}"#, "none"),
        (#"{"connectors": [{"name": "x", "config": {"connector.class": "file-sink"}}]}"#, "path"),
    ])
    func wrongSettingsAreNamed(file: String, words: String) throws {
        let folder = try TemporaryFolder("settings")
        defer { folder.remove() }
        try Data(file.utf8).write(to: URL(fileURLWithPath: folder.path + "/settings.json"))
        let ended = try run(["serve", "--config", folder.path + "/settings.json", "--data-dir", folder.path + "/data"])
        #expect(ended.status == 2)
        #expect(ended.errors.contains(words), "\(ended.errors)")
    }

    @Test func checkSaysWhatIsWrongLineByLine() throws {
        let good = try run(["check", "-", "--offline"], input: Self.fileSink("x", in: try TemporaryFolder("sink")))
        #expect(good.status == 0, "\(good.output)\(good.errors)")
        let bad = try run(
            ["check", "-", "--offline"],
            input: #"{"connector.class": "postgres", "snapshot.mode": "x", "slot.nmae": "a", "no.such": "b"}"#)
        #expect(bad.status == 1)
        let lines = bad.output.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("error    snapshot.mode: ") })
        #expect(lines.contains { $0.hasPrefix("error    slot.name: ") && $0.contains("slot.nmae") })
        #expect(lines.contains { $0.hasPrefix("error    topic.prefix: ") })
        #expect(lines.contains { $0.hasPrefix("warning  no.such") })
    }

    // MARK: A server

    @Test func connectorsAreManagedFromTheCommandLine() throws {
        let folder = try TemporaryFolder("sink")
        defer { folder.remove() }
        try Data(#"{"log-level": "debug", "connectors": [\#(Self.fileSink("early", in: folder))]}"#.utf8)
            .write(to: URL(fileURLWithPath: folder.path + "/settings.json"))
        let server = try MillraceProcess(arguments: ["--config", folder.path + "/settings.json"])
        let environment = ["MILLRACE_SERVER": "http://127.0.0.1:\(server.port)"]
        func expect(_ arguments: [String], _ words: String, status: Int32 = 0, input: String? = nil) throws {
            let ended = try run(["connector"] + arguments, input: input, environment: environment)
            #expect(ended.status == status, "\(arguments): \(ended.output)\(ended.errors)")
            #expect((ended.output + ended.errors).contains(words), "\(arguments): \(ended.output)\(ended.errors)")
        }
        try eventually("the connector of the settings is there") {
            try server.request("GET", "/connectors").body == "[\"early\"]"
        }
        let sink = Self.fileSink("odd näme", in: folder)
        try expect(["create", "-"], "odd näme: stored", input: sink)
        try expect(["create", "-"], "already exists", status: 1, input: sink)
        try expect(["create", "-", "--replace"], "odd näme: stored", input: sink)
        try expect(["list"], "odd näme  sink")
        try expect(["status"], "early  sink")
        try expect(["status", "none"], "none", status: 1)
        try expect(["config", "odd näme", "format=csv"], "csv")
        try expect(["config", "odd näme", "format="], "file-sink")
        try expect(["config", "odd näme", "format"], "KEY=VALUE", status: 64)
        for command in ["pause", "resume", "restart", "stop", "delete"] {
            try expect([command, "odd näme"], "odd näme")
        }
        try expect(["delete", "odd näme"], "not found", status: 1)

        let second = try run(["serve", "--data-dir", server.dataDirectory, "--listen", "127.0.0.1:0"])
        #expect(second.status == 3)
        let taken = try run(["serve", "--data-dir", folder.path + "/other", "--listen", "127.0.0.1:\(server.port)"])
        #expect(taken.status == 4)
        #expect(server.terminate() == 0)
        #expect(!readText(server.logFile).isEmpty)
        for line in readText(server.logFile).split(separator: "\n") where line.hasPrefix("{") {
            #expect(throws: Never.self) { try JSONParser.parse(Array(line.utf8)) }
        }
    }

    @Test func theSecondSignalEndsTheServerAtOnce() throws {
        let server = try MillraceProcess()
        guard let pid = server.pid else { throw TestFailure("no server") }
        // Both signals are there before the server can act on the first.
        server.pause()
        kill(pid, SIGTERM)
        kill(pid, SIGINT)
        server.resume()
        try eventually("the server has ended", within: .seconds(5)) { !server.isRunning }
        #expect(server.terminate() == 128 + SIGINT || server.terminate() == 128 + SIGTERM)
    }
}
