internal import MillraceCore

/// Our bookkeeping in the target: tables of the schema `millrace`, written in the same transactions as the data.
struct SinkLedger {
    let connection: PostgresConnection
    /// Name of the sink and of the source: a sink that reads several sources has rows for each.
    let sink: String
    let source: String

    struct Suspension {
        var relation: RelationID
        var table: String
        var position: String
        var cursor: Cursor?
        var key: String?
        var sqlState: String?
        var message: String
        /// Not to be tried again at the next start, which comes by itself.
        var isHeld: Bool
    }

    /// What was recorded of a table when it was last attached.
    struct TableRecord {
        var definition: Relation
        var target: TargetNameFormat.Name
        /// Whether everything in the target came from this sink.
        var isSole: Bool
        var logID: UInt64
        /// What ALTER TABLE has to do when the load has ended (`ADD CONSTRAINT …`): keys that it does without.
        var owedKeys: [String] = []
    }

    private static let tables = """
        CREATE SCHEMA IF NOT EXISTS millrace;
        CREATE TABLE IF NOT EXISTS millrace.sink_cursor (
            sink text NOT NULL, source text NOT NULL, log_id text NOT NULL, cursor text,
            updated_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (sink, source)
        ) WITH (fillfactor = 50);
        CREATE TABLE IF NOT EXISTS millrace.sink_table (
            sink text NOT NULL, source text NOT NULL, relation_id bigint NOT NULL, source_table text NOT NULL,
            target_schema text NOT NULL, target_table text NOT NULL, sole_writer boolean NOT NULL, log_id text NOT NULL,
            definition bytea NOT NULL, owed_keys text[],
            updated_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now(),
            PRIMARY KEY (sink, source, relation_id)
        );
        ALTER TABLE millrace.sink_table ADD COLUMN IF NOT EXISTS owed_keys text[];
        CREATE TABLE IF NOT EXISTS millrace.suspended_table (
            sink text NOT NULL, source text NOT NULL, relation_id bigint NOT NULL, source_table text NOT NULL,
            position text NOT NULL, cursor text, row_key text, sqlstate text, message text NOT NULL,
            is_held boolean NOT NULL DEFAULT false,
            suspended_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now(),
            PRIMARY KEY (sink, source, relation_id)
        );
        """

    /// Number of the advisory lock under which the tables are made, by whatever sink comes first.
    private static let creationLock = "7814120385"

    func prepare() throws(PostgresError) {
        let isThere = try connection.execute(
            """
            SELECT EXISTS (SELECT FROM pg_attribute WHERE attname = 'owed_keys'
                AND attrelid = pg_catalog.to_regclass('millrace.sink_table'))
            """, "look for the sink's own tables")
        if isThere.scalar != "t" {
            try connection.execute(
                "BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(\(Self.creationLock)); \(Self.tables) COMMIT",
                "create the sink's own tables in the schema millrace")
        }
    }

    /// Makes this session the only writer of this sink and source. False while another one is.
    func lock() throws(PostgresError) -> Bool {
        do {
            try connection.execute("SET lock_timeout = '5s'", "limit the wait for the sink's lock")
            try connection.execute(
                "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 20260101))",
                ["millrace sink \(sink) source \(source)"], "lock the sink's cursor")
            try connection.execute("SET lock_timeout = 0", "lift the limit of waiting")
            return true
        } catch {
            if error.sqlState == "55P03" { return false }
            throw error
        }
    }

    // MARK: Cursor

    /// The cursor of this log; makes the row. Places in another log are forgotten with everything that hangs on them.
    func readCursor(logID: UInt64) throws(PostgresError) -> Cursor? {
        let log = String(logID, radix: 16)
        let rows = try connection.execute(
            "SELECT log_id, cursor FROM millrace.sink_cursor WHERE sink = $1 AND source = $2", [sink, source],
            "read the sink's cursor"
        ).rows
        if let row = rows.first, row.first == log { return row.last.flatMap { $0 }.flatMap { Cursor($0) } }
        try connection.execute("BEGIN", "begin")
        try connection.execute(
            "DELETE FROM millrace.suspended_table WHERE sink = $1 AND source = $2", [sink, source],
            "forget suspended tables of an older log")
        try connection.execute(
            """
            INSERT INTO millrace.sink_cursor (sink, source, log_id) VALUES ($1, $2, $3)
            ON CONFLICT (sink, source) DO UPDATE SET log_id = EXCLUDED.log_id, cursor = NULL, updated_at = now()
            """, [sink, source, log], "begin a cursor for this log")
        try connection.execute("COMMIT", "commit")
        return nil
    }

    /// Puts the cursor where somebody wants it. What suspended tables have not got comes again, or is not wanted any more.
    func setCursor(_ cursor: Cursor?) throws(PostgresError) {
        try connection.execute("BEGIN", "begin")
        try connection.execute(
            "DELETE FROM millrace.suspended_table WHERE sink = $1 AND source = $2", [sink, source],
            "forget suspended tables")
        try connection.execute(
            "UPDATE millrace.sink_cursor SET cursor = $1, updated_at = now() WHERE sink = $2 AND source = $3",
            [cursor?.description, sink, source], "set the sink's cursor")
        if cursor == nil {
            // Tables that were dropped are made again.
            try connection.execute(
                """
                DELETE FROM millrace.sink_table WHERE sink = $1 AND source = $2
                AND pg_catalog.to_regclass(pg_catalog.format('%I.%I', target_schema, target_table)) IS NULL
                """, [sink, source], "forget tables that are gone")
        }
        try connection.execute("COMMIT", "commit")
    }

    /// A commit that waits for the disk, and so makes sure of all commits before it.
    func settle() throws(PostgresError) {
        try connection.execute("BEGIN; SET LOCAL synchronous_commit = local", "begin")
        // A transaction that has written nothing would not wait.
        let touched = try connection.execute(
            "UPDATE millrace.sink_cursor SET updated_at = pg_catalog.now() WHERE sink = $1 AND source = $2",
            [sink, source], "touch the cursor")
        try connection.execute("COMMIT", "commit")
        guard touched.affectedRows == 1 else {
            throw PostgresError(
                sqlState: "40001", message: "the sink's row in millrace.sink_cursor was removed by others",
                operation: "make sure of commits")
        }
    }

    static let cursorStatement =
        "UPDATE millrace.sink_cursor SET cursor = $1, updated_at = pg_catalog.now()"
        + " WHERE sink = $2 AND source = $3 AND log_id = $4"

    // MARK: Tables

    func readTables() throws(PostgresError) -> [RelationID: TableRecord] {
        let result = try connection.execute(
            """
            SELECT relation_id, target_schema, target_table, sole_writer, log_id, encode(definition, 'hex'),
                array_to_string(owed_keys, E'\\n')
            FROM millrace.sink_table WHERE sink = $1 AND source = $2
            """, [sink, source], "read what is known of the tables")
        var records: [RelationID: TableRecord] = [:]
        for row in result.rows {
            guard row.count == 7, let id = row[0].flatMap({ UInt32($0) }), let namespace = row[1], let table = row[2],
                let log = row[4].flatMap({ UInt64($0, radix: 16) }), let hex = row[5],
                let definition = Self.relation(hex)
            else { continue }
            records[RelationID(id)] = TableRecord(
                definition: definition, target: .init(namespace: namespace, table: table), isSole: row[3] == "t",
                logID: log, owedKeys: (row[6] ?? "").split(separator: "\n").map(String.init))
        }
        return records
    }

    func write(_ record: TableRecord) throws(PostgresError) {
        var writer = ByteWriter()
        record.definition.encode(into: &writer)
        try connection.execute(
            """
            INSERT INTO millrace.sink_table
                (sink, source, relation_id, source_table, target_schema, target_table, sole_writer, log_id, definition,
                 owed_keys)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), string_to_array($10, E'\\n'))
            ON CONFLICT (sink, source, relation_id) DO UPDATE SET source_table = EXCLUDED.source_table,
                target_schema = EXCLUDED.target_schema, target_table = EXCLUDED.target_table,
                sole_writer = EXCLUDED.sole_writer, log_id = EXCLUDED.log_id, definition = EXCLUDED.definition,
                owed_keys = EXCLUDED.owed_keys, updated_at = now()
            """,
            [
                sink, source, "\(record.definition.id.value)", record.definition.qualifiedName,
                record.target.namespace, record.target.table, record.isSole ? "t" : "f",
                String(record.logID, radix: 16), Self.hex(writer.bytes),
                record.owedKeys.isEmpty ? nil : record.owedKeys.joined(separator: "\n"),
            ], "record the table")
    }

    func forgetTable(_ id: RelationID) throws(PostgresError) {
        try connection.execute(
            "DELETE FROM millrace.sink_table WHERE sink = $1 AND source = $2 AND relation_id = $3",
            [sink, source, "\(id.value)"], "forget the table")
    }

    /// Whether another sink, or another table of the source, writes to the same target.
    func isShared(_ name: TargetNameFormat.Name, besides id: RelationID) throws(PostgresError) -> Bool {
        try connection.execute(
            """
            SELECT EXISTS (SELECT FROM millrace.sink_table WHERE target_schema = $1 AND target_table = $2
                AND NOT (sink = $3 AND source = $4 AND relation_id = $5))
            """, [name.namespace, name.table, sink, source, "\(id.value)"], "look who else writes to the table"
        ).scalar == "t"
    }

    /// The sink, not this one, that loads the table and will make its keys when it has done so.
    func sinkOwingKeys(_ name: TargetNameFormat.Name) throws(PostgresError) -> String? {
        try connection.execute(
            """
            SELECT sink FROM millrace.sink_table WHERE target_schema = $1 AND target_table = $2
                AND NOT (sink = $3 AND source = $4) AND owed_keys IS NOT NULL LIMIT 1
            """, [name.namespace, name.table, sink, source], "look who loads the table"
        ).scalar
    }

    // MARK: Suspended tables

    func readSuspensions() throws(PostgresError) -> [Suspension] {
        try connection.execute(
            """
            SELECT relation_id, source_table, position, cursor, row_key, sqlstate, message, is_held
            FROM millrace.suspended_table WHERE sink = $1 AND source = $2 ORDER BY relation_id
            """, [sink, source], "read the suspended tables"
        ).rows.compactMap { row in
            guard row.count == 8, let id = row[0].flatMap({ UInt32($0) }) else { return nil }
            return Suspension(
                relation: RelationID(id), table: row[1] ?? "", position: row[2] ?? "",
                cursor: row[3].flatMap { Cursor($0) }, key: row[4], sqlState: row[5], message: row[6] ?? "",
                isHeld: row[7] == "t")
        }
    }

    func write(_ suspension: Suspension) throws(PostgresError) {
        try connection.execute(
            """
            INSERT INTO millrace.suspended_table
                (sink, source, relation_id, source_table, position, cursor, row_key, sqlstate, message, is_held)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (sink, source, relation_id) DO UPDATE SET source_table = EXCLUDED.source_table,
                position = EXCLUDED.position, cursor = EXCLUDED.cursor, row_key = EXCLUDED.row_key,
                sqlstate = EXCLUDED.sqlstate, message = EXCLUDED.message, is_held = EXCLUDED.is_held, suspended_at = now()
            """,
            [
                sink, source, "\(suspension.relation.value)", suspension.table, suspension.position,
                suspension.cursor?.description, suspension.key, suspension.sqlState, suspension.message,
                suspension.isHeld ? "t" : "f",
            ], "record the suspended table")
    }

    /// The start that held tables wait for has come; the one after it tries them again.
    func releaseHeld() throws(PostgresError) {
        try connection.execute(
            "UPDATE millrace.suspended_table SET is_held = false WHERE sink = $1 AND source = $2 AND is_held",
            [sink, source], "release held tables")
    }

    /// A suspended table has been brought up to `cursor`.
    func moveSuspension(_ id: RelationID, to cursor: Cursor) throws(PostgresError) {
        try connection.execute(
            """
            UPDATE millrace.suspended_table SET cursor = $4
            WHERE sink = $1 AND source = $2 AND relation_id = $3
            """, [sink, source, "\(id.value)", cursor.description], "move the table's cursor")
    }

    func endSuspension(_ id: RelationID) throws(PostgresError) {
        try connection.execute(
            "DELETE FROM millrace.suspended_table WHERE sink = $1 AND source = $2 AND relation_id = $3",
            [sink, source, "\(id.value)"], "end the table's suspension")
    }

    // MARK: Bytes

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func relation(_ hex: String) -> Relation? {
        let digits = Array(hex.utf8)
        func value(_ digit: UInt8) -> UInt8 { digit >= 0x61 ? digit &- 0x57 : digit &- 0x30 }
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { value(digits[$0]) << 4 | value(digits[$0 + 1]) }
        return bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            return try? Relation.decode(&reader)
        }
    }
}
