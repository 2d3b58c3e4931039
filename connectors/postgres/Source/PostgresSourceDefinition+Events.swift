import MillraceCore

extension PostgresSourceDefinition {
    /// The group `Events`: filters and what goes along with the rows.
    static let eventKeys: [ConfigKey] = [
        ConfigKey(
            "converters", .string, importance: .low, group: events, order: 1, width: .medium,
            displayName: "List of prefixes defining custom values converters.",
            refusedBecause: "custom converters are Java classes, which cannot be used here",
            "Names of custom converters, Java classes."),
        ConfigKey(
            "post.processors", .string, importance: .low, group: events, order: 2, width: .medium,
            displayName: "List of change event post processors.",
            refusedBecause: "post processors are Java classes, which cannot be used here",
            "Names of post processors, Java classes."),
        ConfigKey(
            "tombstones.on.delete", .boolean, default: "true", group: events, order: 3, width: .short,
            displayName: "Change the behaviour of Debezium with regards to delete operations",
            check: ConfigCheck.boolean,
            "Whether a delete is followed by an event without a value."),
        ConfigKey(
            "heartbeat.interval.ms", .int, default: "0", group: events, order: 4, width: .medium,
            displayName: "Connector heartbeat interval (milli-seconds)", check: ConfigCheck.nonNegativeInteger,
            "Pause between two heartbeats, in milliseconds; 0 for none. Each is a small transaction in the source (a logical "
                + "message; PostgreSQL 14 and later) and an event on the heartbeat topic, and runs heartbeat.action.query. "
                + "An idle slot goes on without it."),
        ConfigKey(
            "heartbeat.topics.prefix", .string, default: "__debezium-heartbeat", importance: .low, group: events,
            order: 5, width: .medium, displayName: "A prefix used for naming of heartbeat topics",
            "Old name of topic.heartbeat.prefix."),
        ConfigKey(
            "signal.data.collection", .list, group: events, order: 6, width: .medium,
            displayName: "Signaling data collection", withoutEffect: "there are no signals yet",
            "Table through which Debezium takes signals."),
        ConfigKey(
            "signal.poll.interval.ms", .long, default: "5000", group: events, order: 7, width: .short,
            displayName: "Signal processor poll interval", check: ConfigCheck.positiveLong,
            "How often Debezium looks for signals."),
        ConfigKey(
            "signal.enabled.channels", .list, default: "source", group: events, order: 8, width: .long,
            displayName: "Enabled channels names",
            "Channels through which Debezium takes signals."),
        ConfigKey(
            "topic.naming.strategy", .class, default: "io.debezium.schema.SchemaTopicNamingStrategy", group: events,
            order: 9, width: .medium, displayName: "Topic naming strategy class",
            check: { value in
                let names = [
                    "io.debezium.schema.SchemaTopicNamingStrategy", "io.debezium.schema.DefaultTopicNamingStrategy",
                ]
                return names.contains(value.trimmed) ? nil : "only \(names.joined(separator: " and ")) are implemented"
            },
            "How topics are named: SchemaTopicNamingStrategy (<topic.prefix>.<schema>.<table>) or "
                + "DefaultTopicNamingStrategy (<topic.prefix>.<table>)."),
        ConfigKey(
            "notification.enabled.channels", .list, group: events, order: 10, width: .long,
            displayName: "Enabled notification channels names", withoutEffect: "there are no notifications yet",
            "Channels through which Debezium sends notifications."),
        ConfigKey(
            "notification.sink.topic.name", .string, importance: .high, group: events, order: 11, width: .long,
            displayName: "Notification topic name", withoutEffect: "there are no notifications yet",
            "Topic for notifications."),
        ConfigKey(
            "transaction.metadata.factory", .class,
            default: "io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory", importance: .low,
            group: events, order: 12, width: .medium,
            displayName: "Factory class to create transaction context & transaction struct maker classes",
            withoutEffect: "a Java class cannot be used here",
            "Java class that makes transaction metadata."),
        ConfigKey(
            "custom.metric.tags", .list, importance: .low, group: events, order: 13, width: .medium,
            displayName: "Customize metric tags", withoutEffect: "metrics have the labels of docs/ADMIN_API.md",
            "Tags for metrics, as name=value."),
        ConfigKey(
            "column.include.list", .list, group: events, order: 14, width: .long, displayName: "Include Columns",
            excludedBy: "column.exclude.list", check: ConfigCheck.regularExpressions,
            "Columns to keep (schema.table.column): regular expressions, comma-separated, that must match the "
                + "whole name. Key columns are always kept."),
        ConfigKey(
            "column.exclude.list", .list, group: events, order: 15, width: .long, displayName: "Exclude Columns",
            excludedBy: "column.include.list", check: ConfigCheck.regularExpressions,
            "Columns to leave out (schema.table.column): regular expressions, comma-separated, that must "
                + "match the whole name."),
        ConfigKey(
            "table.include.list", .list, importance: .high, group: events, order: 16, width: .long,
            displayName: "Include Tables", check: ConfigCheck.regularExpressions,
            "Tables to capture (schema.table): regular expressions, comma-separated, that must match the "
                + "whole name."),
        ConfigKey(
            "table.exclude.list", .list, group: events, order: 17, width: .long, displayName: "Exclude Tables",
            excludedBy: "table.include.list", check: ConfigCheck.regularExpressions,
            "Tables to leave out (schema.table): regular expressions, comma-separated, that must match the "
                + "whole name."),
        ConfigKey(
            "table.ignore.builtin", .boolean, default: "true", importance: .low, group: events, order: 18,
            width: .short, displayName: "Ignore system databases",
            "Whether system tables are left out. They always are."),
        ConfigKey(
            "schema.include.list", .list, importance: .high, group: events, order: 19, width: .long,
            displayName: "Include Schemas", dependents: ["table.include.list"],
            check: ConfigCheck.regularExpressions,
            "Schemas to capture: regular expressions, comma-separated, that must match the whole name."),
        ConfigKey(
            "schema.exclude.list", .list, group: events, order: 20, width: .long, displayName: "Exclude Schemas",
            isVisible: false, excludedBy: "schema.include.list", check: ConfigCheck.regularExpressions,
            "Schemas to leave out: regular expressions, comma-separated, that must match the whole name."),
        ConfigKey(
            "message.key.columns", .string, group: events, order: 21, width: .long,
            displayName: "Columns PK mapping",
            "Columns that form the key of events: <table expression>:<column>,<column>;…"),
        ConfigKey(
            "snapshot.select.statement.overrides", .string, group: events, order: 22, width: .long,
            displayName:
                "List of tables where the default select statement used during snapshotting should be overridden.",
            "Tables (schema.table) whose full load runs the query in "
                + "snapshot.select.statement.overrides.<schema>.<table>."),
        ConfigKey(
            "column.mask.hash.([^.]+).with.salt.(.+)", .string, group: events, order: 23, width: .long,
            displayName: "Mask Columns Using Hash and Salt",
            "Columns that events show as a hash of salt and value: column.mask.hash.<algorithm>.with.salt.<salt>, or "
                + "column.mask.hash.v2.…. The PostgreSQL sink refuses a source that hides values."),
        ConfigKey(
            "column.mask.with.(d+).chars", .string, group: events, order: 24,
            displayName: "Mask Columns With n Asterisks",
            "Columns that events show as n asterisks: column.mask.with.<n>.chars."),
        ConfigKey(
            "column.truncate.to.(d+).chars", .int, group: events, order: 25,
            displayName: "Truncate Columns To n Characters",
            "Columns that events cut to n characters: column.truncate.to.<n>.chars."),
        ConfigKey(
            "include.schema.comments", .boolean, default: "false", group: events, order: 26, width: .short,
            displayName: "Include Table and Column Comments", withoutEffect: "comments are not read",
            "Whether schemas of events carry comments of tables and columns."),
        ConfigKey(
            "column.propagate.source.type", .list, group: events, order: 27,
            displayName: "Propagate Source Types by Columns", check: ConfigCheck.regularExpressions,
            "Columns whose source type is shown in the schema of events."),
        ConfigKey(
            "datatype.propagate.source.type", .list, group: events, order: 28,
            displayName: "Propagate Source Types by Data Type", check: ConfigCheck.regularExpressions,
            "Data types whose columns show their source type in the schema of events."),
        ConfigKey(
            "internal.snapshot.scan.all.columns.force", .boolean, default: "false", importance: .low, group: events,
            order: 29, width: .short, displayName: "Snapshot force scan all columns of all tables",
            "Reads all columns of all tables when Debezium starts."),
        ConfigKey(
            "snapshot.tables.order.by.row.count", .string, default: "disabled", group: events, order: 30,
            displayName: "Initial snapshot tables order by row count",
            allowedValues: ["disabled", "ascending", "descending"],
            "Whether the full load begins with the tables of fewest or most rows."),
        ConfigKey(
            "heartbeat.action.query", .string, importance: .low, group: events, order: 31, width: .medium,
            displayName: "An optional query to execute with every heartbeat",
            "SQL statement to run on the source with every heartbeat."),
        ConfigKey(
            "include.unknown.datatypes", .boolean, default: "false", group: events, order: 32, width: .short,
            displayName: "Include unknown datatypes",
            "Whether events carry values of types that Debezium does not know, as bytes."),
        ConfigKey(
            "sourceinfo.struct.maker", .class,
            default: "io.debezium.connector.postgresql.PostgresSourceInfoStructMaker", importance: .low,
            group: events, order: 33, width: .medium, displayName: "Source info struct maker class",
            withoutEffect: "a Java class cannot be used here",
            "Java class that makes the source block of events."),
    ]
}
