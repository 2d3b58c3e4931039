import MillraceCore

extension PostgresSourceDefinition {
    /// The rest of the group `Connector`: snapshots and the form of values.
    static let valueKeys: [ConfigKey] = [
        ConfigKey(
            "decimal.handling.mode", .string, default: "precise", group: connector, order: 40, width: .short,
            displayName: "Decimal Handling", allowedValues: ["string", "double", "precise"],
            "How events show numeric and decimal: precise, double or string. The change log and the "
                + "PostgreSQL sink always have the exact value."),
        ConfigKey(
            "time.precision.mode", .string, default: "adaptive", group: connector, order: 41, width: .short,
            displayName: "Time Precision",
            allowedValues: [
                "adaptive", "adaptive_time_microseconds", "isostring", "microseconds", "nanoseconds", "connect",
            ],
            "How events show dates and times. The change log and the PostgreSQL sink always have the exact "
                + "value."),
        ConfigKey(
            "snapshot.lock.timeout.ms", .long, default: "10000", group: connector, order: 42, width: .long,
            displayName: "Snapshot lock timeout (ms)", check: ConfigCheck.nonNegativeLong,
            "Longest wait for a table lock of the full load, in milliseconds."),
        ConfigKey(
            "memory.management.schemas.class", .class,
            default: "io.debezium.relational.ConcurrentMapTableMappingStorage", importance: .low, group: connector,
            order: 43, width: .long, displayName: "Schema storage class",
            withoutEffect: "a Java class cannot be used here",
            "Java class that keeps schemas."),
        ConfigKey(
            "memory.management.tables.class", .class,
            default: "io.debezium.relational.ConcurrentMapTableMappingStorage", importance: .low, group: connector,
            order: 44, width: .long, displayName: "Table storage class",
            withoutEffect: "a Java class cannot be used here",
            "Java class that keeps table definitions."),
        ConfigKey(
            "snapshot.mode", .string, default: "initial", group: connector, order: 45, width: .short,
            displayName: "Snapshot mode",
            allowedValues: [
                "always", "initial_only", "configuration_based", "when_needed", "initial", "custom", "no_data",
            ],
            oldValues: ["never"], check: notImplemented("custom", "configuration_based"),
            "When to do a full load: initial (once), initial_only (once, then stop), no_data (never; formerly "
                + "never), always (at every start), when_needed (also if the slot has lost the position). custom "
                + "and configuration_based are not implemented."),
        ConfigKey(
            "snapshot.isolation.mode", .string, default: "serializable", importance: .low, group: connector,
            order: 46, width: .short, displayName: "Snapshot isolation mode",
            allowedValues: ["read_uncommitted", "repeatable_read", "read_committed", "serializable"],
            withoutEffect: "the full load always reads the slot's own exported snapshot",
            "Isolation of the full load in Debezium. Millrace always reads the exported snapshot of the slot, "
                + "which needs no more than repeatable_read."),
        ConfigKey(
            "snapshot.query.mode", .string, default: "select_all", importance: .low, group: connector, order: 47,
            width: .short, displayName: "Snapshot query mode", allowedValues: ["custom", "select_all"],
            check: notImplemented("custom"),
            "How the full load reads a table. Only select_all is implemented."),
        ConfigKey(
            "snapshot.query.mode.custom.name", .string, group: connector, order: 48, width: .medium,
            displayName: "Snapshot Query Mode Custom Name", withoutEffect: "a Java class cannot be used here",
            "Java class for snapshot.query.mode=custom."),
        ConfigKey(
            "snapshot.locking.mode.custom.name", .string, group: connector, order: 49, width: .medium,
            displayName: "Snapshot Locking Mode Custom Name", withoutEffect: "a Java class cannot be used here",
            "Java class for snapshot.locking.mode=custom."),
        ConfigKey(
            "snapshot.locking.mode", .string, default: "none", importance: .low, group: connector, order: 50,
            width: .short, displayName: "Snapshot locking mode", allowedValues: ["shared", "custom", "none"],
            check: notImplemented("custom"),
            "How Debezium locks tables during the full load. Millrace takes no locks beyond those of a query; "
                + "custom is not implemented."),
        ConfigKey(
            "hstore.handling.mode", .string, default: "json", importance: .low, group: connector, order: 51,
            width: .medium, displayName: "HStore Handling", allowedValues: ["json", "map"],
            "How events show hstore: as JSON text or as a map."),
        ConfigKey(
            "binary.handling.mode", .string, default: "bytes", importance: .low, group: connector, order: 52,
            width: .medium, displayName: "Binary Handling",
            allowedValues: ["bytes", "base64", "hex", "base64-url-safe"],
            "How events show bytea: bytes, base64, base64-url-safe or hex."),
        ConfigKey(
            "schema.name.adjustment.mode", .string, default: "none", importance: .low, group: connector, order: 53,
            width: .medium, displayName: "Schema Name Adjustment", allowedValues: ["none", "avro_unicode", "avro"],
            "How names of schemas are adjusted for Avro."),
        ConfigKey(
            "interval.handling.mode", .string, default: "numeric", importance: .low, group: connector, order: 54,
            width: .medium, displayName: "Interval Handling", allowedValues: ["string", "numeric"],
            "How events show intervals: numeric microseconds or ISO 8601 text."),
        ConfigKey(
            "schema.refresh.mode", .string, default: "columns_diff", group: connector, order: 55, width: .short,
            displayName: "Schema refresh mode",
            allowedValues: ["columns_diff", "columns_diff_exclude_unchanged_toast"],
            "When Debezium reads a table definition again. Millrace follows the relation messages of pgoutput."),
        ConfigKey(
            "incremental.snapshot.chunk.size", .int, default: "1024", group: connector, order: 56, width: .medium,
            displayName: "Incremental snapshot chunk size", withoutEffect: "there are no incremental snapshots yet",
            check: ConfigCheck.positiveInteger,
            "Rows per chunk of an incremental snapshot."),
        ConfigKey(
            "unavailable.value.placeholder", .string, default: "__debezium_unavailable_value", group: connector,
            order: 57, width: .medium, displayName: "Unavailable value placeholder",
            "What events show for an out-of-line value that an update did not touch. The PostgreSQL sink "
                + "leaves such a column alone."),
        ConfigKey(
            "message.prefix.include.list", .list, group: connector, order: 58, width: .long,
            displayName: "Include Logical Decoding Message Prefixes", excludedBy: "message.prefix.exclude.list",
            check: ConfigCheck.regularExpressions,
            "Regular expressions for the prefixes of logical messages to keep."),
        ConfigKey(
            "message.prefix.exclude.list", .list, group: connector, order: 59, width: .long,
            displayName: "Exclude Logical Decoding Message Prefixes", excludedBy: "message.prefix.include.list",
            check: ConfigCheck.regularExpressions,
            "Regular expressions for the prefixes of logical messages to leave out."),
        ConfigKey(
            "publish.via.partition.root", .boolean, default: "false", group: connector, order: 60, width: .short,
            displayName: "Publish via partition root",
            "Whether changes of partitions appear as changes of their root table; used when the publication "
                + "is created."),
    ]
}
