import ArgumentParser
import Foundation
import MillraceAdmin
import MillraceRuntime

struct ConnectorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connector", abstract: "Work with the connectors of a running server.",
        subcommands: [
            List.self, Create.self, Status.self, Config.self, Pause.self, Resume.self, Stop.self, Restart.self,
            Delete.self,
        ])

    struct ServerOption: ParsableArguments {
        @Option(help: "Where the server listens (default: http://127.0.0.1:8083).")
        var server: String?

        func client() throws -> RestClient {
            try RestClient(server ?? ProcessInfo.processInfo.environment["MILLRACE_SERVER"] ?? "http://127.0.0.1:8083")
        }
    }

    static func path(_ name: String, _ rest: String = "") -> String {
        "/connectors/" + AdminRequest.percentEncoded(segment: name) + rest
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the connectors.")
        @OptionGroup var server: ServerOption

        func run() throws {
            let answer = try server.client().send("GET", "/connectors?expand=status&expand=info").document
            guard case .object(let members) = answer else { return }
            let rows = members.map { member in
                let status = member.value["status"]
                return [
                    member.name, status?["type"].shown ?? "", status?["connector"]?["state"].shown ?? "",
                    StatusPage.taskStates(status), member.value["info"]?["config"]?["connector.class"].shown ?? "",
                ]
            }
            Output.table(["NAME", "TYPE", "STATE", "TASKS", "CLASS"], rows)
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a connector from a JSON file, or change it if it exists.")
        @OptionGroup var server: ServerOption
        @Argument(help: "The file as it would be posted, or the flat configuration; - for standard input.")
        var file: String
        @Flag(help: "Change the connector if it exists.")
        var replace = false

        func run() throws {
            let connector: (name: String, config: [String: String])
            do {
                connector = try ConnectorFile.connector(try JSONFile.read(file))
            } catch let fault as ServerSettings.Fault {
                Output.error(fault.description)
                throw ExitCode.badConfiguration
            }
            let config = JSONTree.object(
                connector.config.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })
            if replace {
                _ = try server.client().send("PUT", path(connector.name, "/config"), body: config)
            } else {
                _ = try server.client().send(
                    "POST", "/connectors", body: ["name": .string(connector.name), "config": config])
            }
            Output.line("\(connector.name): stored")
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what a connector does, table by table.")
        @OptionGroup var server: ServerOption
        @Argument(help: "The connector; all of them if it is left out.")
        var name: String?

        func run() throws {
            let client = try server.client()
            var names = name.map { [$0] } ?? []
            if name == nil, case .array(let all) = try client.send("GET", "/connectors").document {
                names = all.map { Optional($0).shown }
            }
            for name in names {
                let status = try client.send("GET", path(name, "/status")).document
                let details = try client.send("GET", "/v1" + path(name, "/details")).document
                StatusPage.show(status: status, details: details)
            }
        }
    }

    struct Config: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a connector's configuration, or change it.")
        @OptionGroup var server: ServerOption
        @Argument var name: String
        @Argument(help: "KEY=VALUE sets a property, KEY= removes it.")
        var changes: [String] = []

        func run() throws {
            var members: [JSONTree.Member] = []
            for change in changes {
                let halves = change.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard halves.count == 2, !halves[0].isEmpty else {
                    throw ValidationError("'\(change)' is no KEY=VALUE")
                }
                members.append(.init(String(halves[0]), halves[1].isEmpty ? .null : .string(String(halves[1]))))
            }
            let client = try server.client()
            if !members.isEmpty { _ = try client.send("PATCH", path(name, "/config"), body: .object(members)) }
            guard case .object(let config) = try client.send("GET", path(name, "/config")).document else { return }
            Output.table(["PROPERTY", "VALUE"], config.map { [$0.name, Optional($0.value).shown] })
        }
    }
}

/// The commands that only name a connector.
extension ConnectorCommand {
    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Pause a connector; it keeps its tasks.")
        @OptionGroup var server: ServerOption
        @Argument var name: String

        func run() throws {
            _ = try server.client().send("PUT", path(name, "/pause"))
            Output.line("\(name): pausing")
        }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a paused or stopped connector go on.")
        @OptionGroup var server: ServerOption
        @Argument var name: String

        func run() throws {
            _ = try server.client().send("PUT", path(name, "/resume"))
            Output.line("\(name): resuming")
        }
    }

    struct Stop: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stop a connector; its tasks are given up.")
        @OptionGroup var server: ServerOption
        @Argument var name: String

        func run() throws {
            _ = try server.client().send("PUT", path(name, "/stop"))
            Output.line("\(name): stopped")
        }
    }

    struct Restart: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Restart a connector and its tasks.")
        @OptionGroup var server: ServerOption
        @Argument var name: String
        @Flag(help: "Only what has failed.")
        var onlyFailed = false

        func run() throws {
            _ = try server.client().send(
                "POST", path(name, "/restart?includeTasks=true&onlyFailed=\(onlyFailed)"))
            Output.line("\(name): restarting")
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a connector and what is stored for it.")
        @OptionGroup var server: ServerOption
        @Argument var name: String

        func run() throws {
            _ = try server.client().send("DELETE", path(name))
            Output.line("\(name): deleted")
        }
    }
}
