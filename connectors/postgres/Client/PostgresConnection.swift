internal import CLibPQ
internal import MillraceCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// One libpq connection. Used by one thread at a time; `interrupt` may be called from any.
// SAFETY: the connection's owner is one thread; `interrupt` touches only the canceller and the socket number, which are
// set once, and closing waits for it (`interrupting`).
package final class PostgresConnection: @unchecked Sendable {
    let handle: OpaquePointer
    private let canceller: Canceller?
    private let isOpen: Monitor<Bool>
    package let parameters: ConnectionParameters

    /// Connects, with the pinned session settings; blocks for at most `connect_timeout`.
    package init(_ parameters: ConnectionParameters) throws(PostgresError) {
        let pinned = parameters.pinned()
        self.parameters = parameters
        let keywords = Array(pinned.values.keys)
        let values = keywords.map { pinned.values[$0] ?? "" }
        let connection = Self.withCStrings(keywords) { keywords in
            Self.withCStrings(values) { values in PQconnectdbParams(keywords, values, 0) }
        }
        guard let connection else {
            throw PostgresError(sqlState: nil, message: "out of memory", operation: "connect")
        }
        guard PQstatus(connection) == CONNECTION_OK else {
            let message = Self.message(of: connection)
            let state = Self.sqlState(ofConnectFailure: message)
            PQfinish(connection)
            throw PostgresError(sqlState: state, message: message, operation: "connect to \(parameters.description)")
        }
        // Notices would go to stderr, past our logs.
        PQsetNoticeProcessor(connection, { _, _ in }, nil)
        handle = connection
        canceller = PQgetCancel(connection).map { Canceller($0) }
        isOpen = Monitor(true)
    }

    deinit {
        isOpen.update { $0 = false }
        PQfinish(handle)
    }

    /// Server version as a number: 150018 for 15.18.
    package var serverVersion: Int { Int(PQserverVersion(handle)) }
    package var socket: Int32 { PQsocket(handle) }
    package var isBroken: Bool { PQstatus(handle) == CONNECTION_BAD }
    package var isInTransaction: Bool { PQtransactionStatus(handle) != PQTRANS_IDLE }
    package var backendPID: Int { Int(PQbackendPID(handle)) }

    // MARK: Queries

    /// Runs one or more commands without parameters; the result is the last one's.
    @discardableResult
    package func execute(_ sql: String, _ operation: String) throws(PostgresError) -> QueryResult {
        try finish(PQexec(handle, sql), operation)
    }

    /// Runs one command with text parameters `$1`, `$2` ….
    @discardableResult
    package func execute(
        _ sql: String, _ parameters: [String?], _ operation: String
    ) throws(PostgresError) -> QueryResult {
        let result = Self.withOptionalCStrings(parameters) { values in
            PQexecParams(handle, sql, Int32(parameters.count), nil, values, nil, nil, 0)
        }
        return try finish(result, operation)
    }

    private func finish(_ result: OpaquePointer?, _ operation: String) throws(PostgresError) -> QueryResult {
        defer { PQclear(result) }
        guard let result else { throw connectionError(operation) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
            return QueryResult(result)
        default:
            throw Self.error(of: result, operation)
        }
    }

    // MARK: COPY

    /// Starts a COPY … TO STDOUT (or, on a replication connection, START_REPLICATION).
    package func startCopyOut(_ sql: String, _ operation: String) throws(PostgresError) {
        let result = PQexec(handle, sql)
        defer { PQclear(result) }
        guard let result else { throw connectionError(operation) }
        let status = PQresultStatus(result)
        guard status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH else { throw Self.error(of: result, operation) }
    }

    /// The next row of a COPY TO, valid inside `body`; false at the end (the command has then been checked for success).
    package func nextCopyRow(
        _ operation: String, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(PostgresError) -> Bool {
        var row: UnsafeMutablePointer<CChar>?
        let length = PQgetCopyData(handle, &row, 0)
        if length > 0, let row {
            body(UnsafeRawBufferPointer(start: row, count: Int(length)))
            PQfreemem(row)
            return true
        }
        guard length == -1 else { throw connectionError(operation) }
        try finishCopy(operation)
        return false
    }

    /// Starts a COPY … FROM STDIN.
    package func startCopyIn(_ sql: String, _ operation: String) throws(PostgresError) {
        let result = PQexec(handle, sql)
        defer { PQclear(result) }
        guard let result else { throw connectionError(operation) }
        guard PQresultStatus(result) == PGRES_COPY_IN else { throw Self.error(of: result, operation) }
    }

    /// Sends data of a COPY FROM; rows need not be aligned with calls.
    package func putCopyData(_ bytes: UnsafeRawBufferPointer, _ operation: String) throws(PostgresError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = min(rest.count, 1 << 20)
            let base = rest.baseAddress?.assumingMemoryBound(to: CChar.self)
            guard PQputCopyData(handle, base, Int32(count)) == 1 else { throw connectionError(operation) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Ends a COPY FROM; `failure` makes the server abort it. Returns the number of rows.
    @discardableResult
    package func endCopyIn(failure: String? = nil, _ operation: String) throws(PostgresError) -> Int {
        let sent = failure.map { PQputCopyEnd(handle, $0) } ?? PQputCopyEnd(handle, nil)
        guard sent == 1 else { throw connectionError(operation) }
        return try finishCopy(operation)
    }

    @discardableResult
    private func finishCopy(_ operation: String) throws(PostgresError) -> Int {
        var rows = 0
        var failure: PostgresError?
        while let result = PQgetResult(handle) {
            let status = PQresultStatus(result)
            if status == PGRES_COMMAND_OK {
                rows = QueryResult(result).affectedRows
            } else if status != PGRES_TUPLES_OK, failure == nil {
                failure = Self.error(of: result, operation)
            }
            PQclear(result)
            if status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH { break }
        }
        if let failure { throw failure }
        return rows
    }

    // MARK: Interruption

    /// Cancels what the server is doing for this connection, then cuts the socket, so that a blocked call returns with an
    /// error. The connection is of no use afterwards. Takes no longer than a second, whatever the server does.
    package func interrupt() {
        isOpen.update { open in
            guard open else { return }
            canceller?.cancel(waitingFor: .seconds(1))
            let socket = PQsocket(handle)
            if socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    /// libpq's cancel request opens a connection of its own and waits for the server without a limit.
    // SAFETY: the pointer is set once, libpq allows its use from any thread, and whoever uses it holds the object.
    private final class Canceller: @unchecked Sendable {
        private let handle: OpaquePointer

        init(_ handle: OpaquePointer) {
            self.handle = handle
        }

        deinit {
            PQfreeCancel(handle)
        }

        func cancel(waitingFor limit: Duration) {
            let thread = WorkerThread("pg cancel") { [self] in
                var buffer = [CChar](repeating: 0, count: 256)
                PQcancel(handle, &buffer, Int32(buffer.count))
            }
            thread.join(for: limit)
        }
    }

    // MARK: Errors

    /// What libpq says of the connection itself.
    func connectionError(_ operation: String) -> PostgresError {
        PostgresError(sqlState: nil, message: Self.message(of: handle), operation: operation)
    }

    static func error(of result: OpaquePointer, _ operation: String) -> PostgresError {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue ?? 0)).map { String(cString: $0) }
        }
        let message = field("M") ?? PQresultErrorMessage(result).map { String(cString: $0) } ?? "unexpected result"
        var error = PostgresError(sqlState: field("C"), message: message.trimmed, operation: operation)
        error.detail = field("D")
        error.hint = field("H")
        error.schema = field("s")
        error.table = field("t")
        error.column = field("c")
        error.constraint = field("n")
        error.context = field("W")
        return error
    }

    private static func message(of connection: OpaquePointer) -> String {
        let text = PQerrorMessage(connection).map { String(cString: $0) } ?? ""
        return text.split(whereSeparator: \.isNewline).map { $0.trimmed }.joined(separator: "; ")
    }

    /// libpq does not hand out the SQLSTATE of a failed connect; the message tells the permanent ones from the others.
    private static func sqlState(ofConnectFailure message: String) -> String? {
        if message.contains("password authentication failed") || message.contains("no password supplied") {
            return "28P01"
        }
        if message.contains("no pg_hba.conf entry") || message.contains("pg_hba.conf rejects") { return "28000" }
        if message.contains("role \"") && message.contains("does not exist") { return "28000" }
        if message.contains("database \"") && message.contains("does not exist") { return "3D000" }
        if message.contains("too many clients") || message.contains("remaining connection slots") { return "53300" }
        if message.contains("the database system is starting up") { return "57P03" }
        return nil
    }

    // MARK: C strings

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        withOptionalCStrings(strings.map(Optional.some)) { body($0) }
    }

    /// The strings as a null-terminated array of C strings, valid inside `body`.
    static func withOptionalCStrings<Result>(
        _ strings: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        var copies: [UnsafeMutablePointer<CChar>?] = strings.map { $0.map { strdup($0) } ?? nil }
        defer { for copy in copies { free(copy) } }
        copies.append(nil)
        return copies.withUnsafeBufferPointer { copies in
            copies.withMemoryRebound(to: UnsafePointer<CChar>?.self) { pointers in
                var empty: UnsafePointer<CChar>?
                return pointers.baseAddress.map(body) ?? withUnsafePointer(to: &empty, body)
            }
        }
    }
}
