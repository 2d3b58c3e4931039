package import MillraceCore

/// The properties of the source `postgres`: names, defaults and order of Debezium's PostgreSQL connector (3.6), so that
/// its configurations can be used as they are, then our own.
package enum PostgresSourceDefinition {
    package static let definition = ConfigDefinition(
        keys: databaseKeys + connectorKeys + valueKeys + eventKeys + logKeys,
        unlistedKeys: unlistedKeys,
        knownPrefixes: [
            "snapshot.select.statement.overrides.",
            // Of Kafka Connect's workers, of Debezium's other connectors and of its embedded engine.
            "offset.storage", "offset.flush.", "database.history.", "schema.history.internal", "consumer.", "producer.",
            "debezium.",
            "converters.", "post.processors.", "driver.", "internal.", "signal.", "notification.",
            "column.mask.hash.", "column.mask.with.", "column.truncate.to.",
        ],
        style: .debezium)

    /// Values of an enumeration that exist in Debezium only.
    static func notImplemented(_ values: String...) -> @Sendable (String) -> String? {
        { value in values.contains(value.trimmed.lowercased()) ? "\(value) is not implemented" : nil }
    }

    private static let topicDelimiter: @Sendable (String) -> String? = { value in
        [".", "-", "_"].contains(value) ? nil : "A dot, a hyphen or an underscore is expected"
    }

    static let postgres = "Postgres"
    static let connector = "Connector"
    static let events = "Events"

    /// Millrace's own: the change log of this source.
    static let logKeys: [ConfigKey] = [
        ConfigKey(
            "log.segment.bytes", .long, default: "67108864", group: connector, order: 61, width: .short,
            displayName: "Size of a segment of the change log", check: ConfigCheck.positiveLong,
            "Bytes after which the change log begins a new segment file. Segments are the unit of deletion."),
        ConfigKey(
            "log.retention.bytes", .long, default: "1073741824", group: connector, order: 62, width: .short,
            displayName: "History to keep, in bytes", check: ConfigCheck.long,
            "Bytes of change log to keep beyond what sinks still need, so that a new sink can be fed from history; "
                + "-1 for no limit."),
        ConfigKey(
            "log.retention.ms", .long, default: "604800000", group: connector, order: 63, width: .short,
            displayName: "History to keep, by age", check: ConfigCheck.long,
            "Age in milliseconds up to which changes are kept beyond what sinks still need; -1 for no limit."),
        ConfigKey(
            "log.max.bytes", .long, default: "0", group: connector, order: 64, width: .short,
            displayName: "Largest change log", check: ConfigCheck.nonNegativeLong,
            "Bytes of change log at which nothing more is taken from the source until sinks have caught up; 0 for no "
                + "limit but the disk. Nothing is dropped: the server keeps its WAL meanwhile."),
    ]

    /// Further properties: Millrace's own for dead connections and for catching up, and those that the reports of Debezium's
    /// connector leave out.
    static let unlistedKeys: [ConfigKey] = [
        ConfigKey(
            "tcp.timeout.ms", .long, default: "60000", check: ConfigCheck.positiveLong,
            "How long the server's machine may give no sign of life before a connection is given up."),
        ConfigKey(
            "receive.timeout.ms", .long, default: "120000", check: ConfigCheck.positiveLong,
            "How long the stream of changes may be silent before it is begun again; the server is asked for a sign of "
                + "life at half of it."),
        ConfigKey(
            "catchup.threshold.bytes", .long, default: "67108864", check: ConfigCheck.positiveLong,
            "Bytes of WAL that wait in the slot at a connect, from which on they are read by calls of "
                + "pg_logical_slot_get_binary_changes on temporary copies of the slot, several times as fast as through the "
                + "walsender. Twice as many while streaming."),
        ConfigKey(
            "catchup.temp.bytes", .long, default: "536870912", check: ConfigCheck.nonNegativeLong,
            "Bytes of temporary files that catching up may use on the source's server, all sessions together."),
        ConfigKey(
            "catchup.max.threads", .int, default: "2", check: ConfigCheck.nonNegativeInteger,
            "Sessions that decode a backlog at the same time, one free replication slot each; 0 reads everything through the "
                + "walsender."),
        ConfigKey("task.id", .string, "Set by Kafka Connect."),
        ConfigKey(
            "database.connection.factory.class", .class, withoutEffect: "a Java class cannot be used here",
            "Java class that makes connections."),
        ConfigKey(
            "skip.messages.without.change", .boolean, default: "false",
            "Whether events leave out updates that change no column which they show; needs REPLICA IDENTITY FULL."),
        ConfigKey("money.fraction.digits", .short, default: "2", "Digits behind the point that money has in events."),
        ConfigKey(
            "topic.delimiter", .string, default: ".", check: topicDelimiter,
            "What stands between the parts of a topic's name: a dot, a hyphen or an underscore."),
        ConfigKey("topic.cache.size", .int, default: "10000", "Names of topics kept in memory by Debezium."),
        ConfigKey("topic.transaction", .string, default: "transaction", "Last part of the transaction topic's name."),
        ConfigKey(
            "topic.heartbeat.prefix", .string, default: "__debezium-heartbeat",
            "First part of the heartbeat topic's name: <topic.heartbeat.prefix>.<topic.prefix>."),
        ConfigKey(
            "topic.heartbeat.name", .string, "Name of the heartbeat topic, in place of the one made of its prefix."),
        ConfigKey(
            "field.name.adjustment.mode", .string, default: "none", allowedValues: ["none", "avro", "avro_unicode"],
            "How names of fields are adjusted for Avro."),
        ConfigKey(
            "event.converting.failure.handling.mode", .string, default: "warn",
            allowedValues: ["fail", "warn", "skip"],
            withoutEffect: "a value that cannot be converted is an error; nothing is skipped",
            "What Debezium does with a value that it cannot convert."),
        ConfigKey(
            "offset.mismatch.strategy", .string, default: "no_validation",
            allowedValues: ["no_validation", "trust_offset", "trust_slot", "trust_greater_lsn"],
            withoutEffect: "the stored position and the slot's are always compared; a gap is refused",
            "What Debezium does if the slot and the stored position differ."),
        ConfigKey("read.only", .boolean, default: "false", "Whether the source must not be written to."),
        ConfigKey(
            "poll.dispatch.interval.ms", .long, default: "0", "Pause between polls in Debezium."),
    ]
}
