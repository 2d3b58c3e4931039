import Foundation

/// Python programs of this folder, run by the virtual environment that scripts/setup.sh makes.
enum Python {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Support")

    static var interpreter: URL {
        if let path = ProcessInfo.processInfo.environment["MILLRACE_TEST_PYTHON"] { return URL(filePath: path) }
        return folder.appending(path: "../../../.venv-test/bin/python").standardized
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static func process(_ script: String, _ arguments: [String]) throws -> Process {
        guard FileManager.default.isExecutableFile(atPath: interpreter.path) else {
            throw Failure(description: "there is no \(interpreter.path); `make setup` makes it")
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
            throw Failure(description: "\(script) ends with \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// The stand-in for a schema registry, in a process of its own that ends with this object.
final class RegistryProcess {
    let url: String
    private let process: Process
    private let input = Pipe()

    init(credentials: String? = nil) throws {
        process = try Python.process("registry.py", credentials.map { [$0] } ?? [])
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Python.Failure(description: "registry.py does not start")
        }
        url = "http://127.0.0.1:\(port)"
    }

    deinit { stop() }

    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    func get(_ path: String) throws -> Any {
        guard let address = URL(string: url + path) else { throw Python.Failure(description: "no URL") }
        return try JSONSerialization.jsonObject(with: Self.contents(of: URLArgument(address)))
    }

    func refuseFurtherSchemas(of subject: String) throws {
        _ = try Self.contents(
            of: URLArgument("\(url)/config/\(subject)"), ["-X", "PUT", "-d", #"{"compatibility": "REFUSE"}"#])
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
        guard process.terminationStatus == 0 else { throw Python.Failure(description: "\(url.text) does not answer") }
        return data
    }
}
