internal import CLibPQ
internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Who the server is (`IDENTIFY_SYSTEM`).
struct SystemIdentity: Hashable, Sendable {
    var systemIdentifier: String
    var timeline: UInt32
    /// End of the flushed WAL.
    var flushLSN: LSN
    var database: String
}

/// A slot that was just made.
struct CreatedSlot: Sendable {
    /// Streaming from here gives all that the snapshot does not hold, and nothing that it holds.
    var consistentPoint: LSN
    /// Name of the exported snapshot, valid as long as the connection lives and runs no other command.
    var snapshotName: String?
}

/// One message of the replication stream.
enum StreamMessage {
    /// `walStart`: LSN of the change; zero for messages that have none.
    case data(walStart: LSN, UnsafeRawBufferPointer)
    case keepalive(walEnd: LSN, replyRequested: Bool)
    case unknown(kind: UInt8)
}

/// A message in libpq's memory.
struct ReceivedMessage {
    fileprivate let memory: UnsafeMutablePointer<CChar>
    let content: StreamMessage

    init(memory: UnsafeMutablePointer<CChar>, content: StreamMessage) {
        self.memory = memory
        self.content = content
    }

    @inline(__always)
    func free() { PQfreemem(memory) }
}

/// A connection to a walsender (`replication=database`). Used by one thread.
final class ReplicationConnection {
    let connection: PostgresConnection
    /// Whether the other end is on this machine's Unix socket.
    let isLocal: Bool

    init(_ parameters: ConnectionParameters) throws(PostgresError) {
        var parameters = parameters
        parameters["replication"] = "database"
        connection = try PostgresConnection(parameters)
        isLocal = Self.isUnixSocket(connection.socket)
    }

    var serverVersion: Int { connection.serverVersion }

    // MARK: Commands

    func identifySystem() throws(PostgresError) -> SystemIdentity {
        let operation = "identify the server"
        let result = try connection.execute("IDENTIFY_SYSTEM", operation)
        guard let row = result.rows.first, row.count >= 4, let identifier = row[0],
            let timeline = row[1].flatMap({ UInt32($0) }), let flushed = row[2].flatMap({ LSN($0) })
        else { throw PostgresError(sqlState: "08P01", message: "unexpected answer", operation: operation) }
        return SystemIdentity(
            systemIdentifier: identifier, timeline: timeline, flushLSN: flushed, database: row[3] ?? "")
    }

    /// Where `timeline` branched off the one before it, and so on: (timeline, its end), oldest first, without the last.
    func timelineHistory(_ timeline: UInt32) throws(PostgresError) -> [(timeline: UInt32, end: LSN)] {
        guard timeline > 1 else { return [] }
        let result = try connection.execute("TIMELINE_HISTORY \(timeline)", "read the history of timeline \(timeline)")
        // The content is bytea without hex encoding: the file as it is.
        guard let row = result.rows.first, row.count >= 2, let content = row[1] else { return [] }
        return Self.parseTimelineHistory(content)
    }

    /// Lines `<timeline>\t<LSN>\t<reason>`; anything else is a comment.
    static func parseTimelineHistory(_ content: String) -> [(timeline: UInt32, end: LSN)] {
        content.split(whereSeparator: \.isNewline).compactMap { line in
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count >= 2, let timeline = UInt32(fields[0]), let end = LSN(fields[1]) else { return nil }
            return (timeline, end)
        }
    }

    /// How long the server waits for an answer of ours before it gives us up (`wal_sender_timeout`); nil for ever.
    func senderTimeout() throws(PostgresError) -> Duration? {
        let operation = "look up wal_sender_timeout"
        let text = try connection.execute("SHOW wal_sender_timeout", operation).scalar ?? ""
        return Self.parseTime(text)
    }

    /// A time as SHOW prints it: `1min`, `30s`, `500ms`, `0`. Nil for none, and for what it is not.
    static func parseTime(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits), number > 0, number < 1_000_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "us": return .microseconds(number)
        case "ms", "": return .milliseconds(number)
        case "s": return .seconds(number)
        case "min": return .seconds(number * 60)
        case "h": return .seconds(number * 3_600)
        case "d": return .seconds(number * 86_400)
        default: return nil
        }
    }

    /// Makes a logical slot for pgoutput. Waits until all transactions that are running now have ended.
    func createSlot(
        _ name: String, isTemporary: Bool = false, exportsSnapshot: Bool, isFailover: Bool = false
    ) throws(PostgresError) -> CreatedSlot {
        let operation = "create the replication slot \(name)"
        var sql =
            "CREATE_REPLICATION_SLOT \(Quoting.identifier(name))\(isTemporary ? " TEMPORARY" : "") LOGICAL pgoutput"
        if isFailover && serverVersion >= 170_000 {
            sql += " (FAILOVER true, SNAPSHOT '\(exportsSnapshot ? "export" : "nothing")')"
        } else {
            // The old form: understood by every version that we support.
            sql += exportsSnapshot ? " EXPORT_SNAPSHOT" : " NOEXPORT_SNAPSHOT"
        }
        let result = try connection.execute(sql, operation)
        guard let row = result.rows.first, row.count >= 3, let point = row[1].flatMap({ LSN($0) }) else {
            throw PostgresError(sqlState: "08P01", message: "unexpected answer", operation: operation)
        }
        return CreatedSlot(consistentPoint: point, snapshotName: row[2])
    }

    func dropSlot(_ name: String) throws(PostgresError) {
        try connection.execute(
            "DROP_REPLICATION_SLOT \(Quoting.identifier(name))", "drop the replication slot \(name)")
    }

    /// Starts streaming; from then on only `receive` and `send`. `wholeTransactions`: none is sent before its commit.
    func startStreaming(
        slot: String, publication: String, from start: LSN, wholeTransactions: Bool = false
    ) throws(PostgresError) {
        try connection.startCopyOut(
            Self.startCommand(
                slot: slot, publication: publication, from: start, serverVersion: serverVersion,
                wholeTransactions: wholeTransactions),
            "start streaming from the replication slot \(slot)")
    }

    static func startCommand(
        slot: String, publication: String, from start: LSN, serverVersion: Int, wholeTransactions: Bool = false
    ) -> String {
        let options = pluginOptions(publication: publication, serverVersion: serverVersion)
            .filter { !wholeTransactions || $0.name != "streaming" }
            .map { "\($0.name) \(literal($0.value))" }.joined(separator: ", ")
        return "START_REPLICATION SLOT \(Quoting.identifier(slot)) LOGICAL \(start) (\(options))"
    }

    /// Options of pgoutput, the same for every way to read it.
    static func pluginOptions(publication: String, serverVersion: Int) -> [(name: String, value: String)] {
        // Protocol 2 brought streaming of transactions in progress (14), 3 two-phase commit (15), 4 parallel apply (16).
        let version = serverVersion >= 160_000 ? 4 : serverVersion >= 150_000 ? 3 : serverVersion >= 140_000 ? 2 : 1
        // publication_names is a list of SQL identifiers inside a string.
        var options = [
            (name: "proto_version", value: "\(version)"),
            (name: "publication_names", value: Quoting.identifier(publication)),
        ]
        if version >= 2 { options += [(name: "messages", value: "true"), (name: "streaming", value: "on")] }
        return options
    }

    /// A string in the replication grammar, which knows no backslash (repl_scanner.l).
    private static func literal(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    // MARK: The stream

    /// Reads what the socket holds into libpq's buffer, without waiting.
    @inline(__always)
    func consumeInput() throws(PostgresError) {
        guard PQconsumeInput(connection.handle) == 1 else { throw connection.connectionError("receive changes") }
    }

    /// The next message that has arrived whole, to be freed by the caller; nil if there is none just now.
    @inline(__always)
    func next() throws(PostgresError) -> ReceivedMessage? {
        var message: UnsafeMutablePointer<CChar>?
        let length = PQgetCopyData(connection.handle, &message, 1)
        if length == 0 { return nil }
        guard length > 0, let message else { throw streamEnd(length) }
        return ReceivedMessage(
            memory: message, content: Self.parse(UnsafeRawBufferPointer(start: message, count: Int(length))))
    }

    /// Takes the wrapping off a message of the replication stream.
    @inline(__always)
    static func parse(_ bytes: UnsafeRawBufferPointer) -> StreamMessage {
        guard let kind = bytes.first else { return .unknown(kind: 0) }
        if kind == UInt8(ascii: "w"), bytes.count > 25 {
            let start = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
            return .data(walStart: LSN(start), UnsafeRawBufferPointer(rebasing: bytes[25...]))
        }
        if kind == UInt8(ascii: "k"), bytes.count >= 18 {
            let end = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
            return .keepalive(walEnd: LSN(end), replyRequested: bytes[17] != 0)
        }
        return .unknown(kind: kind)
    }

    func send(_ message: [UInt8]) throws(PostgresError) {
        let sent = message.withUnsafeBytes { bytes in
            PQputCopyData(connection.handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
        }
        guard sent == 1, PQflush(connection.handle) == 0 else {
            throw connection.connectionError("send a standby status update")
        }
    }

    /// Ends the stream in an orderly way: what was sent before is processed by the server.
    func endStreaming() {
        guard PQputCopyEnd(connection.handle, nil) == 1, PQflush(connection.handle) == 0 else { return }
        // The server answers CopyDone when it has read ours; changes that it sent before are skipped. Bounded: a server
        // that does not answer is left.
        var message: UnsafeMutablePointer<CChar>?
        for _ in 0..<200 {
            let length = PQgetCopyData(connection.handle, &message, 1)
            if length > 0 {
                PQfreemem(message)
                continue
            }
            if length < 0 { return }
            var descriptor = pollfd(fd: connection.socket, events: Int16(POLLIN), revents: 0)
            guard poll(&descriptor, 1, 20) >= 0, PQconsumeInput(connection.handle) == 1 else { return }
        }
    }

    /// Why there are no more messages: -1 the server ended the stream, -2 the connection failed.
    private func streamEnd(_ length: Int32) -> PostgresError {
        let operation = "receive changes"
        guard length == -1 else { return connection.connectionError(operation) }
        while let result = PQgetResult(connection.handle) {
            defer { PQclear(result) }
            if PQresultStatus(result) == PGRES_FATAL_ERROR {
                return PostgresConnection.error(of: result, operation)
            }
            if PQresultStatus(result) == PGRES_COPY_BOTH { break }
        }
        // Shut down, or told to end: 57P01 is what it says where it still can.
        return PostgresError(sqlState: "57P01", message: "the server ended the stream", operation: operation)
    }

    private static func isUnixSocket(_ socket: Int32) -> Bool {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return status == 0 && address.ss_family == sa_family_t(AF_UNIX)
    }
}
