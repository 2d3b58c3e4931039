import ArgumentParser
import Glibc
import MillraceCore
import MillraceLog

struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Look into the change log of a source; nothing is changed.",
        discussion: "DIR is the folder of one log, <data directory>/logs/<connector>. The server may be running.",
        subcommands: [Dump.self, Verify.self])

    struct RangeOptions: ParsableArguments {
        @Option(help: "Log offset to begin at; frames before it are left out.")
        var from: UInt64 = 0

        @Option(help: "Log offset to end at.")
        var to: UInt64 = .max
    }

    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print what is in a log, one record per line.")
        @Argument(help: "The folder of the log.") var dir: String
        @OptionGroup var range: RangeOptions
        @Flag(help: "Frames only, not their records.") var frames = false
        @Flag(help: "Show the values of rows and the content of messages.") var values = false

        func run() throws {
            // A pipe that is closed (`| head`) is the wished end.
            signal(SIGPIPE, SIG_DFL)
            try checkDirectory(dir)
            let options = LogDump<FileStorage>.Options(
                range: LogRange(from: range.from, to: range.to), records: !frames, values: values)
            do {
                try LogDump.run(directory: dir, storage: FileStorage(), options: options) { Output.line($0) }
            } catch {
                Output.error("\(error)")
                throw ExitCode.failure
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check everything in a log that can be checked.",
            discussion: "One line per finding, then a summary. Exit code 1 if there are findings.")
        @Argument(help: "The folder of the log.") var dir: String

        func run() throws {
            try checkDirectory(dir)
            let report: LogVerify<FileStorage>.Report
            do {
                report = try LogVerify.run(directory: dir, storage: FileStorage()) { Output.line($0) }
            } catch {
                Output.error("\(error)")
                throw ExitCode.failure
            }
            Output.line(
                "\(report.segments) segments, \(report.frames) frames, \(report.bytes) bytes, "
                    + "\(report.transactions) transactions, \(report.changes) changes, \(report.relations) relations, last "
                    + "commit \(report.lastCommitLSN): "
                    + (report.findings == 0 ? "sound" : "\(report.findings) findings"))
            if report.findings > 0 { throw ExitCode.failure }
        }
    }

    private static func checkDirectory(_ dir: String) throws {
        guard access(dir, R_OK | X_OK) == 0 else {
            Output.error("cannot read \(dir)")
            throw ExitCode.dataDirectory
        }
    }
}
