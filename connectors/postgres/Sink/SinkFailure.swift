internal import MillraceCore

/// Why applying changes ended, before it is known what that means for the task.
enum SinkFailure: Error {
    /// Nothing to do with any one table: the connection, the disk of the target, our own bookkeeping.
    case server(PostgresError)
    /// The target refuses something of one table and will refuse it again: that table is suspended.
    case table(TableRefusal)
    /// The batch is not what a log may hold.
    case malformed(MalformedRecord)
    case connector(ConnectorError)
    /// What the open target transaction did must be committed before this can be done: the batch is applied again, one
    /// source transaction at a time.
    case needsCommit(ConnectorError)

    /// Whether smaller target transactions may get through: 53200 is also what a full lock table is called.
    var asksForLess: Bool {
        switch self {
        case .needsCommit: true
        case .server(let error): error.sqlState == "53200"
        case .table, .malformed, .connector: false
        }
    }

    var connectorError: ConnectorError {
        switch self {
        case .server(let error): error.bookkeepingFailure ?? error.connectorError
        case .table(let refusal):
            ConnectorError(
                .data, code: "refused_by_server", "\(refusal.tableName): \(refusal.message)",
                foreignCode: refusal.sqlState)
        case .malformed(let error):
            ConnectorError(.protocolViolation, code: "malformed_log", error.description)
        case .connector(let error), .needsCommit(let error): error
        }
    }
}

/// What the target refused of a table.
struct TableRefusal: Sendable {
    var relation: RelationID
    /// The source's `schema.table`.
    var tableName: String
    var sqlState: String?
    /// PostgreSQL's words, or ours; no values but the key's.
    var message: String
    /// `<commit LSN>:<ordinal>` of the change; nil where it was none in particular.
    var position: String?
    /// The refused row's key as `column=value, …`.
    var key: String?

    init(_ table: SinkTable, _ error: PostgresError, position: String? = nil, key: String? = nil) {
        relation = table.id
        tableName = table.name
        sqlState = error.sqlState
        // The detail of an error may quote a whole row; of key violations it names the key only.
        let detail = error.sqlState == "23505" || error.sqlState == "23503" ? error.detail : nil
        message =
            "cannot \(error.operation): \(error.message)" + (detail.map { " (\($0))" } ?? "")
            + (error.column.map { ", column \($0)" } ?? "") + (error.hint.map { "; \($0)" } ?? "")
        if error.sqlState == "42P01" { message += "; " + SinkTable.copyAgain }
        if error.sqlState == "42501" {
            message +=
                "; let the sink's role own the table, or GRANT it what is missing (CREATE ON SCHEMA for new tables)"
        }
        self.position = position
        self.key = key
    }

    init(_ table: SinkTable, _ message: String, position: String? = nil, key: String? = nil) {
        relation = table.id
        tableName = table.name
        self.message = message
        self.position = position
        self.key = key
    }
}

extension PostgresError {
    /// Somebody dropped the schema `millrace`, or a table of it: the next start makes them again and finds no cursor.
    fileprivate var bookkeepingFailure: ConnectorError? {
        guard sqlState == "42P01" || sqlState == "3F000", message.contains("millrace") else { return nil }
        return ConnectorError(
            .transient, code: "bookkeeping_missing",
            "the sink's own tables in the target are gone (\(message)): it begins again at the start of the change log",
            foreignCode: sqlState)
    }

    /// Whether the target refuses this of one table and will refuse it again: bad values, violated constraints, missing
    /// objects, limits of the server, what a trigger raised.
    var isRefusal: Bool {
        guard let sqlState, !isTransient else { return false }
        switch sqlState.prefix(2) {
        case "21", "22", "23", "2B", "2F", "38", "39", "3F", "42", "44", "54", "55", "0A", "P0", "XX": return true
        default: return false
        }
    }
}

/// Runs statements of our own bookkeeping: any error is the task's.
@discardableResult
func server<Result>(_ body: () throws(PostgresError) -> Result) throws(SinkFailure) -> Result {
    do { return try body() } catch { throw .server(error) }
}

/// Runs statements for one table: a refusal is that table's.
@discardableResult
func forTable<Result>(
    _ table: SinkTable, _ body: () throws(PostgresError) -> Result
) throws(SinkFailure) -> Result {
    do { return try body() } catch { throw error.isRefusal ? .table(TableRefusal(table, error)) : .server(error) }
}
