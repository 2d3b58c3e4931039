internal import CLibPQ

/// Prepared statements sent one after the other without waiting for each answer (libpq's pipeline mode).
///
/// For statements with small answers only: libpq's blocking mode could otherwise wait for a server that waits for us.
extension PostgresConnection {
    func prepare(_ name: String, _ sql: String, _ operation: String) throws(PostgresError) {
        let result = PQprepare(handle, name, sql, 0, nil)
        defer { PQclear(result) }
        guard let result else { throw connectionError(operation) }
        guard PQresultStatus(result) == PGRES_COMMAND_OK else { throw Self.error(of: result, operation) }
    }

    func enterPipeline(_ operation: String) throws(PostgresError) {
        guard PQenterPipelineMode(handle) == 1 else { throw connectionError(operation) }
    }

    /// Queues a preparation.
    func sendPrepare(_ name: String, _ sql: String, _ operation: String) throws(PostgresError) {
        guard PQsendPrepare(handle, name, sql, 0, nil) == 1 else { throw connectionError(operation) }
    }

    /// Queues one execution. `values`: text that ends with a zero byte, or nil for null.
    func sendPrepared(
        _ name: UnsafePointer<CChar>, _ values: UnsafeBufferPointer<UnsafePointer<CChar>?>, _ operation: String
    ) throws(PostgresError) {
        let count = Int32(truncatingIfNeeded: values.count)
        guard PQsendQueryPrepared(handle, name, count, values.baseAddress, nil, nil, 0) == 1 else {
            throw connectionError(operation)
        }
    }

    /// Sends everything queued, waits for all answers and leaves pipeline mode. `answered` gets the number of each
    /// statement and of the rows that it touched. Returns the first statement that failed, with its error.
    func finishPipeline(
        _ operation: String, answered: (Int, Int) -> Void
    ) throws(PostgresError) -> (index: Int, error: PostgresError)? {
        guard PQpipelineSync(handle) == 1 else { throw connectionError(operation) }
        var failure: (index: Int, error: PostgresError)?
        var index = 0
        var isSynced = false
        while !isSynced {
            guard let result = PQgetResult(handle) else {
                // The end of one statement's answers.
                if isBroken { throw connectionError(operation) }
                index += 1
                continue
            }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC: isSynced = true
            case PGRES_PIPELINE_ABORTED: break
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK: answered(index, Self.touchedRows(result))
            default: if failure == nil { failure = (index, Self.error(of: result, operation)) }
            }
            if isBroken { throw connectionError(operation) }
        }
        guard PQexitPipelineMode(handle) == 1 else { throw connectionError(operation) }
        return failure
    }

    private static func touchedRows(_ result: OpaquePointer) -> Int {
        guard let text = PQcmdTuples(result) else { return 0 }
        var rows = 0
        var place = UnsafePointer(text)
        while (0x30...0x39).contains(place.pointee) {
            rows = rows &* 10 &+ Int(place.pointee &- 0x30)
            place += 1
        }
        return rows
    }
}
