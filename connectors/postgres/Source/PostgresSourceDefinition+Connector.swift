import MillraceCore

extension PostgresSourceDefinition {
    /// The first part of the group `Connector`: batches, retries and the order of work.
    static let connectorKeys: [ConfigKey] = [
        ConfigKey(
            "event.processing.failure.handling.mode", .string, default: "fail", group: connector, order: 1,
            width: .short, displayName: "Event deserialization failure handling",
            allowedValues: ["warn", "fail", "ignore", "skip"],
            withoutEffect: "a change that cannot be decoded stops the connector; nothing is skipped",
            "What Debezium does with an event that it cannot decode. Millrace stops with an error that names "
                + "the table."),
        ConfigKey(
            "max.batch.size", .int, default: "2048", group: connector, order: 2, width: .short,
            displayName: "Change event batch size", check: ConfigCheck.positiveInteger,
            "Most events per batch in Debezium."),
        ConfigKey(
            "max.queue.size", .int, default: "8192", group: connector, order: 3, width: .short,
            displayName: "Change event buffer size", check: ConfigCheck.positiveInteger,
            "Most events waiting in memory in Debezium. Here the change log on disk is the queue."),
        ConfigKey(
            "poll.interval.ms", .long, default: "500", group: connector, order: 4, width: .short,
            displayName: "Poll interval (ms)", check: ConfigCheck.positiveLong,
            "Pause between looks into the queue in Debezium. Millrace waits for data, not for a clock."),
        ConfigKey(
            "max.queue.size.in.bytes", .long, default: "0", group: connector, order: 5, width: .long,
            displayName: "Change event buffer size in bytes", check: ConfigCheck.nonNegativeLong,
            "Most bytes waiting in memory in Debezium. See log.max.bytes for the limit on disk."),
        ConfigKey(
            "provide.transaction.metadata", .boolean, default: "false", importance: .low, group: connector, order: 6,
            width: .short, displayName: "Store transaction metadata information in a dedicated topic.",
            "Whether events carry their transaction and BEGIN and END events are written."),
        ConfigKey(
            "snapshot.delay.ms", .long, default: "0", importance: .low, group: connector, order: 7, width: .medium,
            displayName: "Snapshot Delay (milliseconds)", check: ConfigCheck.nonNegativeLong,
            "Pause before the full load, in milliseconds."),
        ConfigKey(
            "streaming.delay.ms", .long, default: "0", importance: .low, group: connector, order: 8, width: .medium,
            displayName: "Streaming Delay (milliseconds)", check: ConfigCheck.nonNegativeLong,
            "Pause between full load and streaming, in milliseconds."),
        ConfigKey(
            "snapshot.include.collection.list", .list, group: connector, order: 9, width: .long,
            displayName: "Snapshot mode include data collection", check: ConfigCheck.regularExpressions,
            "Regular expressions for the tables (schema.table) that the full load reads; all selected tables "
                + "if empty."),
        ConfigKey(
            "snapshot.fetch.size", .int, group: connector, order: 10, width: .medium,
            displayName: "Snapshot fetch size", check: ConfigCheck.nonNegativeInteger,
            "Rows per fetch of the full load in Debezium. Millrace uses COPY, which streams."),
        ConfigKey(
            "snapshot.max.threads", .int, default: "1", group: connector, order: 11, width: .short,
            displayName: "Snapshot maximum threads", check: ConfigCheck.positiveInteger,
            "Connections with which the full load reads, tables and parts of large tables in parallel."),
        ConfigKey(
            "snapshot.max.threads.multiplier", .int, default: "1", group: connector, order: 12, width: .short,
            displayName: "Snapshot maximum thread multiplier", check: ConfigCheck.positiveInteger,
            "Parts per connection into which Debezium cuts a table."),
        ConfigKey(
            "legacy.snapshot.max.threads", .boolean, default: "false", importance: .low, group: connector, order: 13,
            width: .short, displayName: "Enforces using a single thread per table regardless of table size",
            "Whether every table is read by one connection only."),
        ConfigKey(
            "internal.legacy.snapshot.max.threads", .boolean, default: "false", importance: .low, group: connector,
            order: 13, width: .short,
            displayName: "Enforces using a single thread per table regardless of table size",
            "Old name of legacy.snapshot.max.threads."),
        ConfigKey(
            "snapshot.mode.custom.name", .string, group: connector, order: 14, width: .medium,
            displayName: "Snapshot Mode Custom Name", withoutEffect: "a Java class cannot be used here",
            "Java class for snapshot.mode=custom."),
        ConfigKey(
            "snapshot.mode.configuration.based.snapshot.data", .boolean, default: "false", group: connector,
            order: 15, width: .medium, displayName: "Snapshot mode property based snapshot data",
            withoutEffect: "snapshot.mode=configuration_based is not implemented",
            "For snapshot.mode=configuration_based: full load of rows."),
        ConfigKey(
            "snapshot.mode.configuration.based.snapshot.schema", .boolean, default: "false", group: connector,
            order: 16, width: .medium, displayName: "Snapshot mode property based snapshot schema",
            withoutEffect: "snapshot.mode=configuration_based is not implemented",
            "For snapshot.mode=configuration_based: reading of table definitions."),
        ConfigKey(
            "snapshot.mode.configuration.based.start.stream", .boolean, default: "false", group: connector,
            order: 17, width: .medium, displayName: "Snapshot mode property based start stream",
            withoutEffect: "snapshot.mode=configuration_based is not implemented",
            "For snapshot.mode=configuration_based: streaming."),
        ConfigKey(
            "snapshot.mode.configuration.based.snapshot.on.schema.error", .boolean, default: "false",
            group: connector, order: 18, width: .medium,
            displayName: "Snapshot mode property based snapshot on schema error",
            withoutEffect: "snapshot.mode=configuration_based is not implemented",
            "For snapshot.mode=configuration_based: a new reading of definitions after an error."),
        ConfigKey(
            "snapshot.mode.configuration.based.snapshot.on.data.error", .boolean, default: "false", group: connector,
            order: 19, width: .medium, displayName: "Snapshot mode property based snapshot on data error",
            withoutEffect: "snapshot.mode=configuration_based is not implemented",
            "For snapshot.mode=configuration_based: a new full load when the slot has moved on."),
        ConfigKey(
            "retriable.restart.connector.wait.ms", .long, default: "10000", importance: .low, group: connector,
            order: 20, width: .medium, displayName: "Retriable restart wait (ms)", check: ConfigCheck.positiveLong,
            "Pause before a new attempt after an error that may pass, in milliseconds."),
        ConfigKey(
            "query.fetch.size", .int, default: "0", group: connector, order: 21, width: .medium,
            displayName: "Query fetch size", check: ConfigCheck.nonNegativeInteger,
            "Rows per fetch of queries in Debezium."),
        ConfigKey(
            "errors.max.retries", .int, default: "-1", importance: .low, group: connector, order: 22, width: .medium,
            displayName: "The maximum number of retries", check: ConfigCheck.integer,
            "Attempts after errors that may pass before the task fails: -1 for no limit, 0 for none."),
        ConfigKey(
            "incremental.snapshot.watermarking.strategy", .string, default: "INSERT_INSERT", importance: .low,
            group: connector, order: 23, width: .medium, displayName: "Incremental snapshot watermarking strategy",
            allowedValues: ["insert_delete", "insert_insert"],
            withoutEffect: "there are no incremental snapshots yet",
            "How Debezium marks the chunks of an incremental snapshot."),
        ConfigKey(
            "internal.log.position.check.enable", .boolean, default: "true", group: connector, order: 24,
            width: .medium, displayName: "Enable/Disable log position check",
            withoutEffect: "the stored position is always checked",
            "Whether Debezium checks at start that the slot still has the stored position. Millrace always "
                + "does."),
        ConfigKey(
            "internal.advanced.metrics.enable", .boolean, default: "false", group: connector, order: 25,
            width: .medium, displayName: "Enable/Disable advance metrics",
            withoutEffect: "all metrics are always there",
            "More metrics in Debezium."),
        ConfigKey(
            "connection.validation.timeout.ms", .long, default: "60000", importance: .low, group: connector,
            order: 26, width: .short, displayName: "Connection validation timeout (ms)",
            withoutEffect: "validation takes as long as the connection does", check: ConfigCheck.positiveLong,
            "How long validation may wait for the database, in milliseconds."),
        ConfigKey(
            "executor.shutdown.timeout.ms", .long, default: "4000", group: connector, order: 27, width: .medium,
            displayName: "Executor shutdown timeout (ms)", check: ConfigCheck.nonNegativeLong,
            "How long a stop may take in Debezium."),
        ConfigKey(
            "openlineage.integration.enabled", .boolean, default: "false", importance: .low, group: connector,
            order: 28, width: .short, displayName: "Enables OpenLineage integration",
            withoutEffect: "there is no OpenLineage integration",
            "Sends lineage events to OpenLineage."),
        ConfigKey(
            "openlineage.integration.config.file.path", .string, default: "./openlineage.yml", importance: .low,
            group: connector, order: 29, width: .long, displayName: "Path to OpenLineage file configuration",
            withoutEffect: "there is no OpenLineage integration",
            "Configuration file of OpenLineage."),
        ConfigKey(
            "openlineage.integration.job.namespace", .string, importance: .low, group: connector, order: 30,
            width: .long, displayName: "Namespace used for Debezium job",
            withoutEffect: "there is no OpenLineage integration",
            "Name space of the job in OpenLineage."),
        ConfigKey(
            "openlineage.integration.job.description", .string, default: "Debezium change data capture job",
            importance: .low, group: connector, order: 31, width: .long,
            displayName: "Description used for Debezium job", withoutEffect: "there is no OpenLineage integration",
            "Description of the job in OpenLineage."),
        ConfigKey(
            "openlineage.integration.job.tags", .list, importance: .low, group: connector, order: 32, width: .long,
            displayName: "Debezium job tags", withoutEffect: "there is no OpenLineage integration",
            "Tags of the job in OpenLineage."),
        ConfigKey(
            "openlineage.integration.job.owners", .list, importance: .low, group: connector, order: 33, width: .long,
            displayName: "Debezium job owners", withoutEffect: "there is no OpenLineage integration",
            "Owners of the job in OpenLineage."),
        ConfigKey(
            "openlineage.integration.dataset.kafka.bootstrap.servers", .string, importance: .low, group: connector,
            order: 34, width: .long, displayName: "Kafka bootstrap server used in Kafka Connect deployment",
            withoutEffect: "there is no OpenLineage integration",
            "Name space of the data sets in OpenLineage."),
        ConfigKey(
            "extended.headers.enabled", .boolean, default: "true", importance: .low, group: connector, order: 35,
            width: .short, displayName: "Enable/Disable extended headers",
            "Whether events carry the headers __debezium.context.*."),
        ConfigKey(
            "guardrail.collections.max", .int, default: "0", group: connector, order: 36, width: .short,
            displayName: "Maximum number of collections or tables", check: ConfigCheck.nonNegativeInteger,
            "Most tables that may be captured; 0 for no limit."),
        ConfigKey(
            "guardrail.collections.limit.action", .string, default: "warn", group: connector, order: 37,
            width: .short, displayName: "Guardrail collections limit action", allowedValues: ["warn", "fail"],
            "Whether more tables than that are only warned of or refused."),
        ConfigKey(
            "custom.sanitize.pattern", .string,
            default:
                ".*secret$|.*password$|.*sasl\\.jaas\\.config$|.*basic\\.auth\\.user\\.info|.*registry\\.auth\\.client-secret|.*credentials\\.json$|.*connectionstring$|.*connection\\.string$",
            importance: .low, group: connector, order: 38, width: .long,
            displayName: "Custom pattern for masking sensitive configuration",
            "Names of properties whose values Debezium keeps out of its log. Millrace never logs values of "
                + "password properties."),
        ConfigKey(
            "statistics.metrics.enabled", .boolean, default: "true", group: connector, order: 39, width: .short,
            displayName: "Enable collecting statistics metrics like latencies",
            "Latency statistics in Debezium. See /metrics."),
    ]
}
