internal import Logging
internal import MillraceCore

/// Labels of enumerations that rows bring before a definition does: ALTER TYPE … ADD VALUE does not make the source
/// describe its tables again, so that the first that is heard of a label is the target's refusal of a row with it.
extension ChangeApplier {
    /// Adds the label for which a row of the table was refused, in a session of its own, so that it can be used at once.
    /// Outside a transaction. True if there is a label now that was not there: the batch is worth another try.
    ///
    /// Where the label stands among the others is not known yet; it goes to the end, as it does on the source unless
    /// BEFORE or AFTER was said there.
    func learnLabel(_ refusal: TableRefusal) throws(SinkFailure) -> Bool {
        guard options.followsSchema, refusal.sqlState == "22P02", let table = knownTable(refusal.relation),
            let label = Self.quotedLabel(refusal.message)
        else { return false }
        for type in table.relation.types {
            guard case .enumeration = type.kind, refusal.message.contains(type.name) else { continue }
            let isMissing = try server { () throws(PostgresError) in
                try connection.execute(
                    """
                    SELECT NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = t.oid AND e.enumlabel = $3)
                    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                    WHERE n.nspname = $1 AND t.typname = $2 AND t.typtype = 'e'
                    """, [type.namespace, type.name, label], "look for the label"
                ).scalar == "t"
            }
            guard isMissing else { continue }
            let quoted = Quoting.qualified(type.namespace, type.name)
            let sql = "ALTER TYPE \(quoted) ADD VALUE IF NOT EXISTS \(Quoting.literal(label))"
            do {
                let other = try PostgresConnection(connection.parameters)
                try other.execute("SET lock_timeout = '10s'", "limit the wait")
                try other.execute(sql, "follow the labels of \(type.namespace).\(type.name)")
            } catch {
                logger.warning("cannot add a label", metadata: ["sql": "\(sql)", "error": "\(error)"])
                return false
            }
            logger.info("added a label that a row brought", metadata: ["sql": "\(sql)"])
            return true
        }
        return false
    }

    /// The label in `invalid input value for enum mood: "label"` (enum_in, enum.c), in whatever language. Nil where it is
    /// not certain which it is: a label that was added by mistake could not be taken back.
    static func quotedLabel(_ message: String) -> String? {
        let colons = message.ranges(of: ": \"")
        guard colons.count == 1, let colon = colons.first, let end = message.lastIndex(of: "\""),
            colon.upperBound <= end
        else { return nil }
        return String(message[colon.upperBound..<end])
    }
}
