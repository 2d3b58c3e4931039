internal import Logging
internal import MillraceCore

/// Sequences of the target, so that it can take writes of its own once it is promoted.
extension ChangeApplier {
    /// Sets the sequences of tables that got rows to at least their column's largest value; never back. `all`: also where
    /// that means reading the whole table.
    func syncSequences(all: Bool) throws(PostgresError) {
        for table in allTables where table.sequencesAreOld {
            guard let target = table.target else { continue }
            var isDone = true
            for (column, isIndexed) in target.sequenceColumns {
                guard isIndexed || all else {
                    isDone = false
                    continue
                }
                try syncSequence(target, column)
            }
            table.sequencesAreOld = !isDone
        }
    }

    private func syncSequence(_ target: TargetTable, _ column: String) throws(PostgresError) {
        do {
            try connection.execute(
                """
                SELECT setval(s::regclass, m) FROM (
                    SELECT pg_get_serial_sequence($1, $2) AS s,
                        (SELECT max(\(Quoting.identifier(column)))::bigint FROM \(target.quoted)) AS m) AS x
                WHERE s IS NOT NULL AND m > 0 AND m > COALESCE(pg_sequence_last_value(s::regclass), 0)
                """, [target.quoted, column], "set the sequence of \(target.name.description)")
        } catch {
            guard error.isRefusal || error.sqlState == "42501" else { throw error }
            logger.warning(
                "cannot set a sequence",
                metadata: ["table": "\(target.name.description)", "column": "\(column)", "error": "\(error.message)"])
        }
    }
}
