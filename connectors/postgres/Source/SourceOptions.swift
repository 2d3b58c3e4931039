package import MillraceCore

/// The configuration of a source, read once: what the rest of the source goes by.
package struct SourceOptions: Sendable {
    package let connection: ConnectionParameters
    package let databaseName: String
    package let topicPrefix: String
    private let topicDelimiter: String
    /// Whether topics name the schema: not under `DefaultTopicNamingStrategy`.
    private let topicsNameSchema: Bool

    package let slotName: String
    package let slotDropOnStop: Bool
    package let slotFailover: Bool
    package let slotMaxRetries: Int
    package let slotRetryDelay: Duration
    package let publicationName: String
    package let publicationAutocreateMode: PublicationAutocreateMode
    /// For publications that we make; one that is there has its own setting, and that counts.
    package let publishViaPartitionRoot: Bool

    package let tables: TableFilter
    package let columns: ColumnFilter
    /// Prefixes of logical messages that go into the log.
    package let messagePrefixes: NameFilter
    /// Operations that do not go into the log. Empty unless `skipped.operations` is set: Debezium's default, to skip
    /// truncates, is about events; a copied table would no longer be equal to its original.
    package let skippedOperations: SkippedOperations

    package let snapshotMode: SnapshotMode
    package let snapshotThreads: Int
    /// Whether large tables are cut into pieces that are read in parallel.
    package let snapshotSplitsTables: Bool
    package let snapshotOrder: SnapshotOrder
    /// `snapshot.include.collection.list`: the tables that the full load reads; nil for all that are captured.
    package let snapshotTables: PatternList?
    /// `snapshot.select.statement.overrides`: by table, the SELECT that the full load reads instead of the table.
    package let snapshotOverrides: [TableName: String]
    package let snapshotDelay: Duration
    package let streamingDelay: Duration

    package let catchUp: CatchUpOptions
    package let statusUpdateInterval: Duration
    /// A stream that is silent for so long, although it was asked for a sign of life, is given up.
    package let receiveTimeout: Duration
    /// Zero for none.
    package let heartbeatInterval: Duration
    package let heartbeatActionQuery: String?
    /// Of the logical messages that are this source's heartbeats; nil for none.
    package var heartbeatPrefix: String? {
        heartbeatInterval > .zero ? HeartbeatMessage.prefix(slot: slotName) : nil
    }
    package let maximumTables: Int
    package let refusesMoreTables: Bool
    /// How long a check of the source may wait for the server.
    package let validationTimeout: Duration

    /// Throws `invalid_configuration` for values that validation would have refused.
    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        let values = ConfigValues(config)
        connection = Self.connection(values)
        databaseName = values.text("database.dbname") ?? ""
        topicPrefix = values.text("topic.prefix") ?? ""
        topicDelimiter = values.config["topic.delimiter"] ?? "."
        topicsNameSchema = values.text("topic.naming.strategy")?.hasSuffix(".DefaultTopicNamingStrategy") != true

        slotName = values.text("slot.name") ?? "debezium"
        slotDropOnStop = values.bool("slot.drop.on.stop")
        slotFailover = values.bool("slot.failover")
        slotMaxRetries = max(values.int("slot.max.retries") ?? 6, 0)
        slotRetryDelay = values.duration("slot.retry.delay.ms") ?? .seconds(10)
        publicationName = values.text("publication.name") ?? "dbz_publication"
        publicationAutocreateMode = try values.choice("publication.autocreate.mode", else: .allTables)
        publishViaPartitionRoot = values.bool("publish.via.partition.root")

        tables = TableFilter(
            schemas: try values.filter("schema", nameDots: 0), tables: try values.filter("table", nameDots: 1))
        columns = ColumnFilter(try values.filter("column", nameDots: 2))
        messagePrefixes = try values.filter("message.prefix", nameDots: 0)
        try Self.checkMasks(config)
        skippedOperations = try Self.skippedOperations(values)

        snapshotMode = try Self.snapshotMode(values)
        snapshotThreads = min(max(values.int("snapshot.max.threads") ?? 1, 1), 64)
        snapshotSplitsTables =
            !values.bool("legacy.snapshot.max.threads") && !values.bool("internal.legacy.snapshot.max.threads")
        snapshotOrder = try values.choice("snapshot.tables.order.by.row.count", else: .byName)
        snapshotTables = try values.patterns("snapshot.include.collection.list", nameDots: 1)
        snapshotOverrides = try Self.overrides(values)
        snapshotDelay = values.duration("snapshot.delay.ms") ?? .zero
        streamingDelay = values.duration("streaming.delay.ms") ?? .zero

        catchUp = CatchUpOptions(
            thresholdBytes: UInt64(max(values.long("catchup.threshold.bytes") ?? 64 << 20, 1)),
            temporaryBytes: UInt64(max(values.long("catchup.temp.bytes") ?? 512 << 20, 0)),
            sessions: min(max(values.int("catchup.max.threads") ?? 2, 0), 8))
        statusUpdateInterval = values.duration("status.update.interval.ms") ?? .seconds(10)
        receiveTimeout = max(values.duration("receive.timeout.ms") ?? .seconds(120), .seconds(1))
        heartbeatInterval = values.duration("heartbeat.interval.ms") ?? .zero
        heartbeatActionQuery = values.text("heartbeat.action.query")
        maximumTables = max(values.int("guardrail.collections.max") ?? 0, 0)
        validationTimeout = max(values.duration("connection.validation.timeout.ms") ?? .seconds(60), .seconds(1))
        refusesMoreTables = values.text("guardrail.collections.limit.action")?.lowercased() == "fail"
    }

    /// The topic of a table: `<topic.prefix>.<schema>.<table>`, with `topic.delimiter` between the parts, and what Kafka
    /// does not allow in topics made `_`.
    package func topic(of name: TableName) -> String {
        let parts = topicsNameSchema ? [topicPrefix, name.schema, name.table] : [topicPrefix, name.table]
        let text = parts.joined(separator: topicDelimiter)
        let isAllowed = { (character: Unicode.Scalar) in
            switch character {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
            default: false
            }
        }
        // Debezium goes by UTF-16 units: a character outside the basic plane becomes two.
        return text.unicodeScalars.map { isAllowed($0) ? String($0) : $0.value > 0xFFFF ? "__" : "_" }.joined()
    }

    /// A connection for queries and COPY.
    package func connect() throws(PostgresError) -> PostgresConnection {
        try PostgresConnection(connection)
    }
}

/// `publication.autocreate.mode`.
package enum PublicationAutocreateMode: String, Sendable, CaseIterable {
    case allTables = "all_tables"
    case disabled
    case filtered
    case noTables = "no_tables"
}

/// `snapshot.mode`.
package enum SnapshotMode: String, Sendable, CaseIterable {
    case initial
    case initialOnly = "initial_only"
    /// Formerly called `never`.
    case noData = "no_data"
    case always
    case whenNeeded = "when_needed"
}

/// `snapshot.tables.order.by.row.count`.
package enum SnapshotOrder: String, Sendable, CaseIterable {
    case byName = "disabled"
    case ascending
    case descending
}

/// `skipped.operations`.
package struct SkippedOperations: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package static let insert = SkippedOperations(rawValue: 1)
    package static let update = SkippedOperations(rawValue: 2)
    package static let delete = SkippedOperations(rawValue: 4)
    package static let truncate = SkippedOperations(rawValue: 8)
}
