import ArgumentParser
import MillraceAdmin

@main
struct Millrace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "millrace",
        abstract: "Replicates PostgreSQL databases through a durable change log.",
        discussion: """
            Every option can also be given in the environment: --data-dir as MILLRACE_DATA_DIR, and so on.

            Exit codes: 0 done; 1 it failed, or findings were errors; 2 the configuration is wrong; 3 the data directory \
            cannot be used; 4 the address cannot be listened on; 5 the server does not answer; 64 wrong arguments. \
            A second SIGTERM or SIGINT ends the server at once with 128 + the signal.
            """,
        subcommands: [
            ServeCommand.self, CheckCommand.self, LogCommand.self, ConnectorCommand.self, VersionCommand.self,
        ])
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    func run() {
        Output.line("millrace \(Build.info.version) (\(Build.info.commit))")
    }
}
