internal import MillraceCore

extension PostgresError {
    /// What an error means that the walsender reported, while it was asked to stream or while it streamed.
    /// `position`: the end of what is durable here.
    func streamingFailure(_ options: SourceOptions, position: LSN) -> ConnectorError {
        if sqlState == "42704" && message.contains("publication") {
            return publicationGap(options, position)
        }
        if sqlState == "XX000" && message.contains("invalid memory alloc request size") {
            return ConnectorError(
                .data, code: "row_too_large",
                "the server cannot decode a row behind \(position): \(message) (a value of more than about 512 MB of bytea, "
                    + "or 1 GB of text)",
                hint: Self.skipStatement(options, "past that row")
                    + ": its transaction is then missing; copy the table again afterwards", foreignCode: sqlState)
        }
        if sqlState == "42704" && message.contains("slot") {
            return ConnectorError(
                .consistency, code: "slot_missing",
                "the replication slot \(options.slotName) is gone; the change log ends at \(position)",
                hint: "a new slot would begin behind a gap, so the tables must be loaded again: " + Slot.reload,
                foreignCode: sqlState)
        }
        // The second: a slot that was copied to a standby whose WAL does not reach back so far.
        let isLost = sqlState == "55000" && Self.slotIsLost(message + (detail ?? ""))
        if isLost || sqlState == "58P01" && message.contains("has already been removed") {
            return ConnectorError(
                .consistency, code: "slot_lost",
                "the replication slot \(options.slotName) can no longer be used: \(message)"
                    + (detail.map { " (\($0))" } ?? "") + "; the change log ends at \(position)",
                hint:
                    "changes are missing, so the tables must be loaded again: \(Slot.dropStatement(options.slotName)) on "
                    + "the source, then " + Slot.reload, foreignCode: sqlState)
        }
        if sqlState == "55006" {
            return Slot.active(options.slotName, message, foreignCode: sqlState)
        }
        return connectorError
    }

    private static func slotIsLost(_ message: String) -> Bool {
        message.contains("can no longer get changes") || message.contains("invalidated")
            || message.contains("exceeded the maximum reserved size")
    }

    /// The server looks the publication up as it was when the change was made: one that was made later, or dropped and
    /// made again, does not count for the changes between.
    private func publicationGap(_ options: SourceOptions, _ position: LSN) -> ConnectorError {
        ConnectorError(
            .consistency, code: "publication_gap",
            "\(message): it did not exist yet, or was dropped for a while, when the changes behind \(position) were made, "
                + "and the server cannot decode them" + (context.map { " (\($0))" } ?? ""),
            hint: "either load the tables again: \(Slot.reload); or give those changes up: "
                + Self.skipStatement(options, "past the time at which the publication was made"),
            foreignCode: sqlState)
    }

    private static func skipStatement(_ options: SourceOptions, _ place: String) -> String {
        "SELECT pg_replication_slot_advance(\(Quoting.literal(options.slotName)), '<an LSN \(place)>');"
            + " and reset the connector's offsets"
    }
}
