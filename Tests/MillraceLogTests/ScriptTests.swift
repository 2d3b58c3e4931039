import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

/// Log scripts: commands, and behind `----` what they print. Commands:
///
///     append <lsn> <row>...   a whole transaction; `define` as a row writes the definition of the table
///     begin <lsn> <row>...    a transaction without its end;  `end` ends it
///     spool <lsn> <row>...    a transaction through a spool file
///     state <text>            the source's state
///     flush | rollback | crash | reopen | trim | reset | dump | read | segments | verify
@Suite struct ScriptTests {
    @Test(arguments: LogScripts.all) func printsWhatIsExpected(script: LogScript) throws {
        var runner = try LogScriptRunner()
        var lines: [String] = []
        for command in script.commands {
            lines.append("> " + command)
            lines += try runner.run(command).map { "  " + $0 }
        }
        let actual = lines.joined(separator: "\n")
        #expect(actual == script.expected, "\(script.name) printed:\n\(actual)")
    }
}

/// One script: lines that begin with `>` are the commands, the others what they print.
struct LogScript: Sendable, CustomTestStringConvertible {
    var name: String
    var expected: String

    var commands: [String] {
        expected.split(separator: "\n").filter { $0.hasPrefix("> ") }.map { String($0.dropFirst(2)) }
    }

    var testDescription: String { name }
}

struct LogScriptRunner {
    private var storage = SimulatedStorage(seed: 42)
    private var log: SimulatedLog
    private var openRows: UInt64 = 0
    private let options = LogOptions(segmentByteLimit: 700, frameByteLimit: 200, spoolMemoryByteLimit: 0)

    init() throws {
        log = try SimulatedLog.open(directory: "/log", options: options, storage: storage)
    }

    mutating func run(_ command: String) throws -> [String] {
        let words = command.split(separator: " ").map(String.init)
        let arguments = Array(words.dropFirst())
        switch words[0] {
        case "append": try append(arguments, ends: true)
        case "begin": try append(arguments, ends: false)
        case "end":
            let buffer = RecordBuffer()
            buffer.commit(changeCount: openRows)
            try log.append(buffer)
        case "spool": try spool(arguments)
        case "state":
            let buffer = RecordBuffer()
            Array(arguments.joined(separator: " ").utf8).withUnsafeBytes { buffer.sourceState($0) }
            try log.append(buffer)
        case "flush":
            let cursor = try log.flush()
            return ["durable \(cursor.offset) \(cursor.commitLSN):\(cursor.ordinal)"]
        case "rollback": try log.rollBackOpenTransaction()
        case "crash":
            storage = storage.crash()
            return try reopen()
        case "reopen": return try reopen()
        case "trim": return ["freed \(try log.trim(before: log.durable.offset)) bytes"]
        case "reset": try log.reset()
        case "read": return try log.lines()
        case "segments": return log.segments.map { "\($0.name) \($0.start)-\($0.end)\($0.isSealed ? " sealed" : "")" }
        case "verify": return try verify()
        case "dump": return try dump(values: arguments == ["values"])
        default: throw Failure("unknown command \(command)")
        }
        return []
    }

    private func buffer(_ lsn: String, _ rows: [String]) -> (RecordBuffer, UInt64) {
        let buffer = RecordBuffer()
        buffer.begin(transactionInfo(UInt64(lsn) ?? 0))
        for row in rows {
            if row == "define" { buffer.relation(table(1)) } else { insert(row, into: table(1), buffer) }
        }
        return (buffer, buffer.changeCount)
    }

    private mutating func append(_ arguments: [String], ends: Bool) throws {
        let (buffer, count) = buffer(arguments[0], Array(arguments.dropFirst()))
        if ends { buffer.commit(changeCount: count) }
        openRows = count
        try log.append(buffer)
    }

    private func spool(_ arguments: [String]) throws {
        let spool = try log.makeSpool(xid: 9)
        for row in arguments.dropFirst() { try spool.append(rows([row])) }
        try log.append(spool, transactionInfo(UInt64(arguments[0]) ?? 0, xid: 9))
    }

    private mutating func reopen() throws -> [String] {
        log = try SimulatedLog.open(directory: "/log", options: options, storage: storage)
        let recovered = log.recovered
        let state = String(decoding: recovered.sourceState, as: UTF8.self)
        return [
            "last \(recovered.lastCommitLSN.map { "\($0):\(recovered.lastOrdinal)" } ?? "none")"
                + (state.isEmpty ? "" : " state \(state)")
        ]
    }

    private func verify() throws -> [String] {
        var lines: [String] = []
        let report = try LogVerify.run(directory: "/log", storage: storage) { lines.append($0) }
        return lines + [
            "\(report.findings) findings, \(report.segments) segments, \(report.frames) frames, "
                + "\(report.transactions) transactions, \(report.changes) changes, last \(report.lastCommitLSN)"
        ]
    }

    private func dump(values: Bool) throws -> [String] {
        var lines: [String] = []
        try LogDump.run(directory: "/log", storage: storage, options: .init(values: values)) { line in
            // The log's id is drawn at random.
            let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            if parts.first == "segment" {
                lines.append((parts[..<3] + ["…"] + parts[4...]).joined(separator: " "))
            } else {
                lines.append(line)
            }
        }
        return lines
    }
}
