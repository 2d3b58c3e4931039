import ArgumentParser
import MillraceAdmin
import MillraceCore

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a connector's JSON file: its properties, and the system that they name.",
        discussion: "One finding per line. Exit code 0: nothing wrong; 1: there are errors; 2: no configuration.")

    @Argument(help: "The file as it would be posted, or the flat configuration; - for standard input.")
    var file: String

    @Flag(help: "Check the properties only; connect to nothing.")
    var offline = false

    func run() async throws {
        let checker = ConfigChecker(plugins: Build.plugins, version: Build.info.version)
        let report: ConfigReport
        do {
            var config = try ConnectorFile.connector(try JSONFile.read(file)).config
            if config["name"] == nil { config["name"] = "check" }
            let properties = try checker.properties(config)
            report = offline ? properties : try await checker.preflight(properties, config)
        } catch let error as AdminError {
            Output.error(error.message)
            throw ExitCode.badConfiguration
        } catch let fault as ServerSettings.Fault {
            Output.error(fault.description)
            throw ExitCode.badConfiguration
        }
        for entry in report.entries {
            for error in entry.errors { Output.line("error    \(entry.key.name): \(Self.oneLine(error))") }
        }
        for warning in report.warnings { Output.line("warning  \(Self.oneLine(warning.message))") }
        if !report.errors.isEmpty { throw ExitCode.failure }
        Output.line("ok       \(report.name): no errors")
    }

    private static func oneLine(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: " — ")
    }
}
