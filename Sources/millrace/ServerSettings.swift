import ArgumentParser
import Foundation
import MillraceAdmin

/// What `millrace serve` runs with: options, then the environment, then the file, then defaults.
struct ServerSettings {
    var dataDirectory = "./millrace-data"
    var host = "127.0.0.1"
    var port = 8083
    var isInsecureListenAllowed = false
    var logFormat = LogFormat.automatic
    var logLevel = LogLevel.info
    /// Connectors to create if they do not exist, in order.
    var connectors: [(name: String, config: [String: String])] = []

    /// Why settings cannot be used.
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    init(file: String?, options: (String) -> String?) throws {
        let environment = ProcessInfo.processInfo.environment
        func variable(_ name: String) -> String? {
            environment["MILLRACE_" + name.uppercased().replacingOccurrences(of: "-", with: "_")]
        }
        let document = try (file ?? variable("config")).map { try Self.read($0) }
        func value(_ name: String) throws -> String? {
            if let text = options(name) ?? variable(name) { return text }
            switch document?[name] {
            case nil, .null: return nil
            case .string(let text), .number(let text): return text
            case .bool(let flag): return flag ? "true" : "false"
            case .some(let other): throw Fault(description: "'\(name)' must be text, not \(other.kind)")
            }
        }
        if let text = try value("data-dir") { dataDirectory = text }
        if let text = try value("listen") { (host, port) = try Self.address(text) }
        if let text = try value("insecure-listen") { isInsecureListenAllowed = try Self.flag("insecure-listen", text) }
        if let text = try value("log-format") { logFormat = try Self.choice("log-format", text.lowercased()) }
        if let text = try value("log-level") { logLevel = try Self.choice("log-level", text.uppercased()) }
        connectors = try Self.connectors(document?["connectors"])
        guard isInsecureListenAllowed || Self.isLoopback(host) else {
            throw Fault(
                description:
                    "listening on \(host) would let everyone who can reach it read and change everything: there "
                    + "are no users and passwords yet. Use 127.0.0.1 behind a proxy that has them, or say "
                    + "--insecure-listen.")
        }
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1"
            || (host.hasPrefix("127.") && host.split(separator: ".").count == 4
                && host.split(separator: ".").allSatisfy { UInt8($0) != nil })
    }

    /// `HOST:PORT`, with an IPv6 address in brackets.
    static func address(_ text: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            colon != text.startIndex
        else { throw Fault(description: "'\(text)' is no HOST:PORT") }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host, Int(port))
    }

    private static func flag(_ name: String, _ text: String) throws -> Bool {
        switch text.lowercased() {
        case "true", "1", "yes": return true
        case "false", "0", "no", "": return false
        default: throw Fault(description: "'\(name)' must be true or false, not '\(text)'")
        }
    }

    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ text: String
    ) throws -> Choice where Choice.RawValue == String {
        guard let choice = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw Fault(description: "'\(name)' must be one of \(choices), not '\(text)'")
        }
        return choice
    }

    // MARK: The file

    private static let known = [
        "data-dir", "listen", "insecure-listen", "log-format", "log-level", "connectors",
    ]

    private static func read(_ path: String) throws -> JSONDocument {
        let document = try JSONFile.read(path)
        guard case .object(let members) = document else {
            throw Fault(description: "\(path) must hold an object, not \(document.kind)")
        }
        for member in members where !known.contains(member.name) {
            throw Fault(
                description: "\(path): unknown setting '\(member.name)'; there are \(known.joined(separator: ", "))")
        }
        return document
    }

    private static func connectors(
        _ document: JSONDocument?
    ) throws -> [(name: String, config: [String: String])] {
        guard let document, document != .null else { return [] }
        guard case .array(let elements) = document else {
            throw Fault(description: "'connectors' must be an array, not \(document.kind)")
        }
        return try elements.map { try ConnectorFile.connector($0) }
    }
}

/// JSON files that people write.
enum JSONFile {
    /// `-` is standard input.
    static func read(_ path: String) throws -> JSONDocument {
        let data: Data
        if path == "-" {
            data = FileHandle.standardInput.readDataToEndOfFile()
        } else if let contents = FileManager.default.contents(atPath: path) {
            data = contents
        } else {
            throw ServerSettings.Fault(description: "cannot read \(path)")
        }
        do {
            return try JSONParser.parse(Array(data))
        } catch {
            throw ServerSettings.Fault(
                description: "\(path) is not JSON: \(error.message) (line \(error.line), column \(error.column))")
        }
    }
}

/// A connector in a file: `{"name", "config"}` as it is posted, or the flat configuration with its `name`.
enum ConnectorFile {
    static func connector(_ document: JSONDocument) throws -> (name: String, config: [String: String]) {
        var config: [String: String] = [:]
        let flat = document["config"] ?? document
        guard case .object(let members) = flat else {
            throw ServerSettings.Fault(description: "a configuration must be an object, not \(flat.kind)")
        }
        for member in members {
            switch member.value {
            case .string(let text), .number(let text): config[member.name] = text
            case .bool(let value): config[member.name] = value ? "true" : "false"
            case .null, .array, .object:
                throw ServerSettings.Fault(
                    description: "the value of '\(member.name)' must be text, not \(member.value.kind)")
            }
        }
        if case .string(let name) = document["name"] ?? .null { config["name"] = name }
        return (config["name"] ?? "", config)
    }
}
