import Foundation
import MillraceTesting

/// The Python programs of Tests/ConverterTests/Support, run by the virtual environment that scripts/setup.sh makes.
enum Python {
    private static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let folder = tests.appending(path: "ConverterTests/Support")

    static var interpreter: URL {
        if let path = ProcessInfo.processInfo.environment["MILLRACE_TEST_PYTHON"] { return URL(filePath: path) }
        return tests.appending(path: "../.venv-test/bin/python").standardized
    }

    static func process(_ script: String, _ arguments: [String]) throws -> Process {
        guard FileManager.default.isExecutableFile(atPath: interpreter.path) else {
            throw TestFailure("there is no \(interpreter.path); `make setup` makes it")
        }
        let process = Process()
        process.executableURL = interpreter
        process.arguments = [folder.appending(path: script).path] + arguments
        return process
    }

    /// What the program prints for the input, by lines. `timeout` kills it after two minutes, whatever happens.
    static func run(_ script: String, _ arguments: [String], input: String) throws -> [String] {
        let process = try process(script, arguments)
        let file = FileManager.default.temporaryDirectory.appending(path: "judge-\(UUID().uuidString)")
        try Data(input.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["120", interpreter.path] + (process.arguments ?? [])
        process.standardInput = try FileHandle(forReadingFrom: file)
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TestFailure("\(script) ends with \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// The stand-in for a schema registry, in a process of its own that ends with this object.
package final class RegistryProcess {
    package let url: String
    private let process: Process
    private let input = Pipe()

    package init(credentials: String? = nil) throws {
        process = try Python.process("registry.py", credentials.map { [$0] } ?? [])
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw TestFailure("registry.py does not start")
        }
        url = "http://127.0.0.1:\(port)"
    }

    deinit { stop() }

    package func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    package func get(_ path: String) throws -> Any {
        guard let address = URL(string: url + path) else { throw TestFailure("no URL") }
        return try JSONSerialization.jsonObject(with: Self.contents(of: URLArgument(address)))
    }

    package func refuseFurtherSchemas(of subject: String) throws {
        try setCompatibility("REFUSE", of: subject)
    }

    package func setCompatibility(_ level: String, of subject: String) throws {
        _ = try Self.contents(
            of: URLArgument("\(url)/config/\(subject)"), ["-X", "PUT", "-d", #"{"compatibility": "\#(level)"}"#])
    }

    private struct URLArgument {
        var text: String
        init(_ url: URL) { text = url.absoluteString }
        init(_ text: String) { self.text = text }
    }

    private static func contents(of url: URLArgument, _ options: [String] = []) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/curl")
        process.arguments = ["-sS", "--fail", "--max-time", "20"] + options + [url.text]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw TestFailure("\(url.text) does not answer") }
        return data
    }
}
