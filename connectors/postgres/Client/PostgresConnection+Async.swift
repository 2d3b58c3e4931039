internal import CLibPQ

/// Commands that are sent now and whose answers are fetched later, so that the server works meanwhile.
extension PostgresConnection {
    /// What the server says next to commands that were sent.
    enum Answer {
        case result(QueryResult)
        /// Rows of a COPY TO follow: `nextCopyMessage`.
        case copyOut
        /// Everything has been answered.
        case end
    }

    /// Sends one or more commands without waiting. Each is answered by `nextAnswer`, until that says `end`.
    func send(_ sql: String, _ operation: String) throws(PostgresError) {
        guard PQsendQuery(handle, sql) == 1 else { throw connectionError(operation) }
    }

    /// Waits for the next answer. After an error, what followed in the same `send` was not run.
    func nextAnswer(_ operation: String) throws(PostgresError) -> Answer {
        guard let result = PQgetResult(handle) else { return .end }
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return .result(QueryResult(result))
        case PGRES_COPY_OUT: return .copyOut
        default:
            let error = Self.error(of: result, operation)
            // The connection is ready for commands again only when it has said that there is nothing more.
            while let rest = PQgetResult(handle) { PQclear(rest) }
            throw error
        }
    }

    /// Waits for the next message of a COPY TO, to be freed by the caller; nil at its end, behind which `nextAnswer` says
    /// whether it went well.
    @inline(__always)
    func nextCopyMessage(_ operation: String) throws(PostgresError) -> CopyMessage? {
        var memory: UnsafeMutablePointer<CChar>?
        let length = PQgetCopyData(handle, &memory, 0)
        if length > 0, let memory {
            return CopyMessage(
                memory: memory, bytes: UnsafeRawBufferPointer(start: memory, count: Int(length)))
        }
        guard length == -1 else { throw connectionError(operation) }
        return nil
    }
}

/// A message of COPY in libpq's memory.
struct CopyMessage {
    fileprivate let memory: UnsafeMutablePointer<CChar>
    let bytes: UnsafeRawBufferPointer

    @inline(__always)
    func free() { PQfreemem(memory) }
}
