import MillraceCatalog
import MillraceCore

extension Herder {
    // MARK: How far connectors are

    func offsets(_ name: String) throws -> [ConnectorOffset] {
        guard let connector = find(name) else { throw WorkerError.notFound(name) }
        switch connector {
        case let source as SourceConnector:
            try storeOffset(of: source)
            return try catalog.sourceOffsets(of: name).map {
                ConnectorOffset(partition: JSONTree(text: $0.partition), offset: JSONTree(text: $0.offset))
            }
        case let sink as SinkConnector:
            return try sources.filter(sink.reads).compactMap { source in
                let running = sink.tasks.first { $0.source == source.name }?.details.cursor
                guard let cursor = try running ?? catalog.cursors(onSource: source.name)[name] else { return nil }
                return ConnectorOffset(
                    partition: SourceOffsetDocument.partition(topicPrefix: source.topicPrefix),
                    offset: .object([.init("position", .string(cursor.description))]))
            }
        default:
            return []
        }
    }

    /// Writes a source's offset to the catalog where it has moved.
    func storeOffset(of source: SourceConnector) throws(ConnectorError) {
        guard let host = source.host else { return }
        let durable = host.log.durable
        var log = host.recovered
        // While the task runs, the log knows better than what the last run left.
        if durable.commitLSN > (log.lastCommitLSN ?? .zero) {
            log.lastCommitLSN = durable.commitLSN
            log.lastEndLSN = max(log.lastEndLSN ?? .zero, source.task?.durableLSN ?? durable.commitLSN)
        }
        guard
            let document = SourceOffsetDocument.offset(
                log, source.sourceStatus, commitTime: host.log.commitTime(before: durable.offset))
        else { return }
        let text = document.description
        guard text != source.storedOffset else { return }
        // Until something has been received there is nothing new, and what an earlier process stored says more.
        if document["snapshot"] == nil, let stored = source.storedOffset.flatMap({ JSONTree(text: $0) }) {
            guard stored["lsn"] != document["lsn"] || source.sourceStatus?.lastCommitTime != nil else { return }
        }
        let partition = SourceOffsetDocument.partition(topicPrefix: source.topicPrefix).description
        try catalog.setSourceOffset(text, partition: partition, of: source.name)
        source.storedOffset = text
    }

    func storedOffset(of source: SourceConnector) throws(ConnectorError) -> String? {
        let partition = SourceOffsetDocument.partition(topicPrefix: source.topicPrefix).description
        return try catalog.sourceOffsets(of: source.name).first { $0.partition == partition }?.offset
    }

    // MARK: Changing them

    func alterOffsets(_ name: String, _ offsets: [ConnectorOffset]) throws -> String {
        guard let connector = find(name) else { throw WorkerError.notFound(name) }
        guard !offsets.isEmpty else {
            throw WorkerError(status: 400, "Partitions / offsets need to be provided for an alter offsets request")
        }
        guard connector.target == .stopped else { throw WorkerError.notStopped(name) }
        switch connector {
        case let source as SourceConnector: for entry in offsets { try alter(source, entry) }
        case let sink as SinkConnector:
            // All are checked before the first is changed.
            let changes = try offsets.map { try change(sink, $0) }
            for (source, cursor) in changes { try setCursor(cursor, sink, source) }
        default: break
        }
        return Self.message("altered")
    }

    func resetOffsets(_ name: String) throws -> String {
        guard let connector = find(name) else { throw WorkerError.notFound(name) }
        guard connector.target == .stopped else { throw WorkerError.notStopped(name) }
        switch connector {
        case let source as SourceConnector:
            for stored in try catalog.sourceOffsets(of: name) {
                try catalog.setSourceOffset(nil, partition: stored.partition, of: name)
            }
            try startOver(source)
        case let sink as SinkConnector:
            for source in sources where sink.reads(from: source) { try setCursor(nil, sink, source) }
        default: break
        }
        return Self.message("reset")
    }

    private static func message(_ done: String) -> String {
        "The Connect framework-managed offsets for this connector have been \(done) successfully. However, if this "
            + "connector manages offsets externally, they will need to be manually \(done) in the system that the "
            + "connector uses."
    }

    /// A source goes on where its log ends; that cannot be set from outside without losing or repeating changes. What can
    /// be asked for is to start over. Partitions that are not ours are kept and shown, as Kafka Connect does.
    private func alter(_ source: SourceConnector, _ entry: ConnectorOffset) throws {
        guard let partition = entry.partition, partition != .null else { return }
        let offset = entry.offset == .null ? nil : entry.offset
        let own = SourceOffsetDocument.partition(topicPrefix: source.topicPrefix)
        guard partition == own else {
            return try catalog.setSourceOffset(
                offset?.description, partition: partition.description, of: source.name)
        }
        guard let offset else {
            try catalog.setSourceOffset(nil, partition: own.description, of: source.name)
            return try startOver(source)
        }
        let current = try storedOffset(of: source).flatMap { JSONTree(text: $0) }
        guard let lsn = offset["lsn"], lsn == current?["lsn"] else {
            throw WorkerError(
                status: 400,
                "The offset of \(source.name) cannot be set to another lsn: it goes on where its change log "
                    + "ends (lsn \(current?["lsn"]?.description ?? "none")). To load anew, reset its offsets with "
                    + "DELETE /connectors/\(source.name)/offsets")
        }
        try catalog.setSourceOffset(offset.description, partition: own.description, of: source.name)
        source.storedOffset = offset.description
    }

    /// Discards the log: the source loads anew when it is resumed, and so do its sinks.
    private func startOver(_ source: SourceConnector) throws {
        guard let host = source.host else {
            throw WorkerError(
                status: 500, "The change log of \(source.name) is not open: \(source.failure?.message ?? "")")
        }
        try host.reset()
        source.forgetHistory()
    }

    private func change(
        _ sink: SinkConnector, _ entry: ConnectorOffset
    ) throws -> (source: SourceConnector, cursor: Cursor?) {
        let source = sources.first {
            sink.reads(from: $0) && entry.partition == SourceOffsetDocument.partition(topicPrefix: $0.topicPrefix)
        }
        guard let source else {
            throw WorkerError(
                status: 400,
                "Sink connector \(sink.name) has no partition \(entry.partition?.description ?? "null"); "
                    + "partitions look like {\"server\": \"<topic.prefix of a source>\"}")
        }
        guard let offset = entry.offset, offset != .null else { return (source, nil) }
        guard case .string(let text)? = offset["position"], let cursor = Cursor(text), let log = source.host?.log,
            cursor.logID == log.id, cursor.offset >= log.start.offset, cursor <= log.durable
        else {
            throw WorkerError(
                status: 400,
                "The offset of \(sink.name) must be {\"position\": \"<position>\"} with a position that GET "
                    + "/connectors/\(sink.name)/offsets has shown, inside the log of \(source.name) as it is now")
        }
        return (source, cursor)
    }

    private func setCursor(_ cursor: Cursor?, _ sink: SinkConnector, _ source: SourceConnector) throws {
        // First where the data is: should the catalog fail then, the sink's own cursor wins anyway.
        do {
            try sink.alterOffsets(to: cursor, of: source)
        } catch {
            throw WorkerError(status: error.kind == .configuration ? 400 : 500, error.description)
        }
        try catalog.setCursor(cursor, sink: sink.name, source: source.name)
        source.host?.setReader(sink.name, cursor)
    }
}
