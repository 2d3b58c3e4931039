import MillraceCore

extension PostgresSourceDefinition {
    /// The group `Postgres`: connection, slot and publication.
    static let databaseKeys: [ConfigKey] = [
        ConfigKey(
            "topic.prefix", .string, importance: .high, group: postgres, order: 1, width: .medium,
            displayName: "Topic prefix", needsValue: true, check: ConfigCheck.topicPrefix,
            "Name of this source. Every topic is called <topic.prefix>.<schema>.<table>. Must not change once "
                + "the connector has run."),
        ConfigKey(
            "database.hostname", .string, importance: .high, group: postgres, order: 2, width: .medium,
            displayName: "Hostname", needsValue: true,
            "Host name, address or socket directory of the PostgreSQL server."),
        ConfigKey(
            "database.port", .int, default: "5432", importance: .high, group: postgres, order: 3, width: .short,
            displayName: "Port", check: ConfigCheck.integer,
            "TCP port of the PostgreSQL server."),
        ConfigKey(
            "database.user", .string, importance: .high, group: postgres, order: 4, width: .short,
            displayName: "User", needsValue: true,
            "Role to connect as. It needs LOGIN, REPLICATION and SELECT on the tables."),
        ConfigKey(
            "database.password", .password, importance: .high, group: postgres, order: 5, width: .short,
            displayName: "Password",
            "Password of that role."),
        ConfigKey(
            "database.dbname", .string, importance: .high, group: postgres, order: 6, width: .medium,
            displayName: "Database", needsValue: true,
            "Database to read."),
        ConfigKey(
            "database.query.timeout.ms", .int, default: "600000", importance: .low, group: postgres, order: 7,
            displayName: "Query timeout", withoutEffect: "queries of our own are short, and end with the connection",
            check: ConfigCheck.nonNegativeInteger,
            "Longest time that one of our own queries may take, in milliseconds; 0 for no limit. The full "
                + "load is not limited by it."),
        ConfigKey(
            "plugin.name", .string, default: "decoderbufs", group: postgres, order: 8, width: .medium,
            displayName: "Plugin", allowedValues: ["decoderbufs", "pgoutput"],
            valueWarnings: ["decoderbufs": "pgoutput is used instead"],
            "Output plug-in of the slot. Millrace always uses pgoutput; decoderbufs is accepted with a "
                + "warning."),
        ConfigKey(
            "slot.name", .string, default: "debezium", group: postgres, order: 9, width: .medium,
            displayName: "Slot", check: ConfigCheck.slotName,
            "Name of the replication slot. Created if it is missing when the connector first starts."),
        ConfigKey(
            "publication.name", .string, default: "dbz_publication", group: postgres, order: 10, width: .medium,
            displayName: "Publication",
            "Name of the publication that says which tables are streamed."),
        ConfigKey(
            "publication.autocreate.mode", .string, default: "all_tables", group: postgres, order: 11,
            width: .medium, displayName: "Publication Auto Create Mode",
            allowedValues: ["no_tables", "filtered", "disabled", "all_tables"],
            "What to do if the publication does not exist: all_tables creates it for all tables, filtered for "
                + "the tables that the filters select, no_tables without tables, disabled refuses to start."),
        ConfigKey(
            "replica.identity.autoset.values", .string, group: postgres, order: 12, width: .long,
            displayName: "Replica Identity Auto Set Values",
            withoutEffect: "replica identities are not changed by Millrace; use ALTER TABLE … REPLICA IDENTITY …",
            "Replica identities to set at start, as <table expression>:<DEFAULT|FULL|NOTHING|INDEX name>."),
        ConfigKey(
            "slot.drop.on.stop", .boolean, default: "false", group: postgres, order: 13,
            displayName: "Drop slot on stop",
            "Whether an orderly stop drops the slot. For tests: afterwards only a new full load is consistent."),
        ConfigKey(
            "slot.failover", .boolean, default: "false", group: postgres, order: 14,
            displayName: "Create failover slot",
            "Whether the slot is created as a failover slot (PostgreSQL 17 and later)."),
        ConfigKey(
            "slot.stream.params", .string, importance: .low, group: postgres, order: 15, width: .long,
            displayName: "Optional parameters to pass to the logical decoder when the stream is started.",
            withoutEffect: "Millrace sets the options of pgoutput itself",
            "Further options for the output plug-in as name=value, separated by semicolons."),
        ConfigKey(
            "database.initial.statements", .string, importance: .low, group: postgres, order: 16, width: .long,
            displayName: "Initial statements",
            "SQL statements to run on every new connection, separated by semicolons; write two for one."),
        ConfigKey(
            "database.sslmode", .string, default: "prefer", group: postgres, order: 17, width: .medium,
            displayName: "SSL mode",
            allowedValues: ["allow", "prefer", "disable", "verify-ca", "require", "verify-full"],
            "As libpq: disable, allow, prefer, require, verify-ca or verify-full."),
        ConfigKey(
            "database.sslcert", .string, group: postgres, order: 18, width: .long,
            displayName: "SSL Client Certificate",
            "Path of the client certificate."),
        ConfigKey(
            "database.sslpassword", .password, group: postgres, order: 19, width: .medium,
            displayName: "SSL Client Key Password",
            "Passphrase of the client key."),
        ConfigKey(
            "database.sslrootcert", .string, group: postgres, order: 20, width: .long,
            displayName: "SSL Root Certificate",
            "Path of the certificates that the server is checked against."),
        ConfigKey(
            "database.sslkey", .string, group: postgres, order: 21, width: .long, displayName: "SSL Client Key",
            "Path of the client key."),
        ConfigKey(
            "slot.max.retries", .int, default: "6", importance: .low, group: postgres, order: 22,
            displayName: "Retry count", check: ConfigCheck.nonNegativeInteger,
            "How often to try again at once if the slot is still in use by an earlier connection."),
        ConfigKey(
            "slot.retry.delay.ms", .long, default: "10000", importance: .low, group: postgres, order: 23,
            displayName: "Retry delay", check: ConfigCheck.nonNegativeLong,
            "Pause between these attempts, in milliseconds."),
        ConfigKey(
            "database.sslfactory", .string, group: postgres, order: 24, width: .long,
            displayName: "SSL Root Certificate",
            withoutEffect: "a Java class cannot be used here; TLS is set by database.sslmode and its companions",
            "Java class that makes TLS sockets."),
        ConfigKey(
            "status.update.interval.ms", .int, default: "10000", group: postgres, order: 25, width: .short,
            displayName: "Status update interval (ms)", check: ConfigCheck.positiveInteger,
            "How often the server is told how far changes are durable, in milliseconds."),
        ConfigKey(
            "lsn.flush.timeout.ms", .long, default: "30000", group: postgres, order: 26, width: .short,
            displayName: "LSN flush timeout (ms)",
            withoutEffect: "positions are reported without waiting for an answer",
            "How long a flush of the LSN may take in Debezium."),
        ConfigKey(
            "lsn.flush.timeout.action", .string, default: "fail", group: postgres, order: 27, width: .medium,
            displayName: "LSN flush timeout action", allowedValues: ["fail", "warn", "ignore"],
            withoutEffect: "positions are reported without waiting for an answer",
            "What Debezium does when that takes longer."),
        ConfigKey(
            "database.tcpKeepAlive", .boolean, default: "true", group: postgres, order: 28, width: .short,
            displayName: "TCP keep-alive probe",
            "Whether TCP keep-alive probes find dead connections."),
        ConfigKey(
            "xmin.fetch.interval.ms", .long, default: "0", group: postgres, order: 29, width: .short,
            displayName: "Xmin fetch interval (ms)", withoutEffect: "the xmin of the slot is not put into events",
            check: ConfigCheck.nonNegativeLong,
            "How often Debezium reads the xmin of its slot; 0 for never."),
        ConfigKey(
            "skipped.operations", .list, default: "t", importance: .low, group: postgres, order: 30, width: .short,
            displayName: "Skipped Operations",
            "Operations that are left out: c, u, d, t, comma-separated, or none. Unless it is set none is: to skip "
                + "truncates, Debezium's default, would leave a copied table unequal."),
        ConfigKey(
            "lsn.flush.mode", .string, importance: .low, group: postgres, order: 31, width: .short,
            displayName: "LSN flush mode", allowedValues: ["connector_and_driver", "connector", "manual"],
            withoutEffect: "the flush position is moved by Millrace after fsync, and only then",
            "Who moves the flush position of the slot. Millrace does, after fsync, and only then."),
        ConfigKey(
            "flush.lsn.source", .boolean, default: "true", importance: .low, group: postgres, order: 32,
            width: .short, displayName: "Boolean to determine if Debezium should flush LSN in the source database",
            withoutEffect: "the flush position is moved by Millrace after fsync, and only then",
            "Old form of lsn.flush.mode."),
    ]
}
