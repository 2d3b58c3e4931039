package import MillraceCore

/// The properties of `postgres-sink`: Debezium's JDBC sink connector's names wherever a property means the same.
package enum PostgresSinkDefinition {
    package static let definition = ConfigDefinition(
        keys: connectionKeys + writeKeys + schemaKeys,
        unlistedKeys: unlistedKeys,
        knownPrefixes: ["connection.pool.", "hibernate.", "dialect."],
        carriesEvents: false)

    private static let connection = "Connection"
    private static let writing = "Writing"
    private static let schema = "Schema"

    private static let connectionKeys: [ConfigKey] = [
        ConfigKey(
            "connection.url", .string, required: true, importance: .high, group: connection, order: 1, width: .long,
            displayName: "URL of the target database", check: checkURL,
            "The target: postgresql://host:port/database, with libpq's parameters behind a question mark "
                + "(?sslmode=require), or the same as a JDBC URL (jdbc:postgresql://…)."),
        ConfigKey(
            "connection.username", .string, importance: .high, group: connection, order: 2, width: .medium,
            displayName: "User", "Role to connect as; what the URL says where this is not set."),
        ConfigKey(
            "connection.password", .password, importance: .high, group: connection, order: 3, width: .medium,
            displayName: "Password", "Password of the role; what the URL says where this is not set."),
    ]

    private static let writeKeys: [ConfigKey] = [
        ConfigKey(
            "insert.mode", .string, default: "upsert", importance: .high, group: writing, order: 1, width: .short,
            displayName: "Insert mode", allowedValues: ["upsert", "insert", "update"],
            "What becomes of rows that are there already, or missing. upsert: an insert takes the place of a row with "
                + "the same key, and an update of a missing row inserts it. insert: a row that is there already stops its "
                + "table. update: inserts only update rows that are there."),
        ConfigKey(
            "delete.enabled", .boolean, default: "true", group: writing, order: 2, width: .short,
            displayName: "Apply deletes", check: ConfigCheck.boolean, "Whether deletes of the source are applied."),
        ConfigKey(
            "truncate.enabled", .boolean, default: "true", group: writing, order: 3, width: .short,
            displayName: "Apply truncates", check: ConfigCheck.boolean, "Whether truncates of the source are applied."),
        ConfigKey(
            "primary.key.mode", .string, default: "record_key", group: writing, order: 4, width: .short,
            displayName: "Where keys come from", check: checkKeyMode,
            "record_key: the primary key, or else the replica identity, of the source's table. The only mode there is: the "
                + "others of Debezium's connector answer questions that rows of PostgreSQL do not raise."),
        ConfigKey(
            "primary.key.fields", .list, group: writing, order: 5, width: .long, displayName: "Key columns",
            check: { value in
                value.trimmed.isEmpty ? nil : "only the source's own key columns can be used: leave it empty"
            }, "Must be empty: keys are those of the source."),
        ConfigKey(
            "batch.size", .int, default: "500", importance: .low, group: writing, order: 6, width: .short,
            displayName: "Batch size", check: ConfigCheck.positiveInteger,
            "Accepted for configurations of Debezium's connector. Batches hold whole transactions and are measured in "
                + "bytes here."),
        ConfigKey(
            "flush.max.retries", .int, default: "5", importance: .low, group: writing, order: 7, width: .short,
            displayName: "Retries", check: ConfigCheck.nonNegativeInteger,
            "Accepted for configurations of Debezium's connector. What may pass by itself (a lost connection, a deadlock) "
                + "is tried again for as long as it takes."),
        ConfigKey(
            "flush.retry.delay.ms", .long, default: "1000", importance: .low, group: writing, order: 8, width: .short,
            displayName: "Pause between retries", check: ConfigCheck.nonNegativeLong,
            "Accepted for configurations of Debezium's connector. Pauses grow from one retry to the next."),
    ]

    private static let schemaKeys: [ConfigKey] = [
        ConfigKey(
            "auto.create", .boolean, default: "true", importance: .high, group: schema, order: 1, width: .short,
            displayName: "Create what is missing", check: ConfigCheck.boolean,
            "Whether schemas, types, sequences and tables that the target lacks are created."),
        ConfigKey(
            "schema.evolution", .string, default: "basic", importance: .high, group: schema, order: 2, width: .short,
            displayName: "Follow changes of tables", allowedValues: ["basic", "none"],
            "basic: columns are added, dropped, renamed and retyped as on the source, in the same transaction as the rows "
                + "that need it. none: a table whose source has changed is stopped, with the SQL that mends it."),
        ConfigKey(
            "collection.name.format", .string, default: "${source.schema}.${source.table}", group: schema, order: 3,
            width: .long, displayName: "Names of tables", check: { TargetNameFormat.fault(in: $0) },
            "Name of the target table. ${source.db}, ${source.schema}, ${source.table} and ${topic} (with _ for dots) are replaced; the text "
                + "before the first dot of the pattern is the schema (public where there is none)."),
        ConfigKey(
            "quote.identifiers", .boolean, default: "true", importance: .low, group: schema, order: 4, width: .short,
            displayName: "Quote names",
            check: { value in
                value.trimmed.lowercased() == "true"
                    ? nil : "names are always quoted, so that they are those of the source: must be true"
            }, "Must be true: tables and columns have exactly the names that they have on the source."),
        ConfigKey(
            "use.time.zone", .string, default: "UTC", importance: .low, group: schema, order: 5, width: .short,
            displayName: "Time zone",
            check: { value in
                ["utc", "gmt", "z", "etc/utc"].contains(value.trimmed.lowercased())
                    ? nil : "values keep the instant that they have on the source, whatever the zone: must be UTC"
            }, "Must be UTC. Timestamps with time zone are instants; those without are copied as they stand."),
    ]

    /// Millrace's own for dead connections, and further properties of Debezium's connector.
    private static let unlistedKeys: [ConfigKey] = [
        ConfigKey(
            "tcp.timeout.ms", .long, default: "60000", check: ConfigCheck.positiveLong,
            "How long the target's machine may give no sign of life before a connection is given up."),
        ConfigKey(
            "table.name.format", .string, check: { TargetNameFormat.fault(in: $0) },
            "Old name of collection.name.format."),
        ConfigKey(
            "use.reduction.buffer", .boolean, default: "false",
            "Changes of one row within a batch are always reduced to their outcome."),
        ConfigKey(
            "connection.provider", .class, withoutEffect: "a Java class cannot be used here", "Java connection pool."),
        ConfigKey(
            "connection.restart.on.errors", .boolean, default: "true", withoutEffect: "connections are always renewed",
            "Whether a lost connection is made again."),
        ConfigKey("field.include.list", .string, check: refuseFieldList, "Not supported: filter at the source."),
        ConfigKey("field.exclude.list", .string, check: refuseFieldList, "Not supported: filter at the source."),
        ConfigKey(
            "column.naming.strategy", .class, withoutEffect: "columns keep their names",
            "Java class that names columns."),
        ConfigKey(
            "collection.naming.strategy", .class, withoutEffect: "collection.name.format names tables",
            "Java class that names tables."),
        ConfigKey(
            "table.naming.strategy", .class, withoutEffect: "collection.name.format names tables",
            "Old name of collection.naming.strategy."),
    ]

    private static let checkURL: @Sendable (String) -> String? = { value in
        TargetURL.fault(in: value)
    }

    private static let checkKeyMode: @Sendable (String) -> String? = { value in
        value.trimmed.lowercased() == "record_key"
            ? nil : "rows are identified as on the source: only 'record_key' is supported"
    }

    private static let refuseFieldList: @Sendable (String) -> String? = { value in
        value.trimmed.isEmpty
            ? nil : "columns cannot be left out here: use 'column.include.list' or 'column.exclude.list' of the source"
    }
}
