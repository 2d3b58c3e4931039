import Envelope
package import Logging
package import MillraceCore

/// Writes rows as CSV, a directory per schema and table, in the layout of AWS DMS.
// SAFETY: used by its task's thread; what others may call (`interrupt`, `status`) goes through the monitors of `counters`.
package final class CSVSink: Sink, @unchecked Sendable {
    /// The open file of one version of one table.
    private final class Table {
        let relation: Relation
        let isWanted: Bool
        let directory: String
        var file: OutputFile?
        var first: (lsn: LSN, ordinal: UInt64) = (.zero, 0)
        /// Rows since the status was last brought up to date.
        var newRows: UInt64 = 0

        init(_ relation: Relation, isWanted: Bool) {
            self.relation = relation
            self.isWanted = isWanted
            directory = PathText.encode(relation.namespace) + "/" + PathText.encode(relation.name)
        }
    }

    private let options: FileSinkOptions
    private let prefix: String
    private let isWanted: (String) -> Bool
    private let storage: any FileStorage
    private let logger: Logger
    private let now: () -> ContinuousClock.Instant
    private var directory: SinkDirectory
    private let counters = SinkCounters()

    private var tables: [RelationID: Table] = [:]
    private var lastTable: Table?
    /// Tables with an open file, older versions of a table among them, in the order of their first rows.
    private var open: [Table] = []
    private var fileCount = 0

    private var sequence: UInt32 = 1
    private var durable: Cursor?
    private var boundary: Cursor?
    private var lastCommitEnd = LSN.zero
    private var isBehindBoundary = false
    private var openedAt: ContinuousClock.Instant?
    private var byteCount = 0
    private var buffered = 0
    private var info: TransactionInfo?
    private var ordinal: UInt64 = 0
    private var hasFailed = false
    private var newTransactions: UInt64 = 0

    package init(
        _ options: FileSinkOptions, prefix: String, isWanted: @escaping (String) -> Bool, storage: any FileStorage,
        logger: Logger, now: @escaping () -> ContinuousClock.Instant = { .now }
    ) {
        self.options = options
        self.prefix = prefix
        self.isWanted = isWanted
        self.storage = storage
        self.logger = logger
        self.now = now
        directory = SinkDirectory(storage, path: options.path, prefix: prefix)
    }

    private var pendingDirectory: String { ".\(PathText.encode(prefix)).pending" }
    private var manifestPath: String { Self.manifestPath(options.path, prefix: prefix) }

    /// The file that says how far the files of a source go.
    static func manifestPath(_ path: String, prefix: String) -> String {
        "\(path)/.\(PathText.encode(prefix)).commit"
    }

    package func start(after stored: Cursor?, logID: UInt64) throws(ConnectorError) -> Cursor? {
        counters.clearInterruption()
        try directory.open()
        try storage.createDirectory("\(options.path)/\(pendingDirectory)")
        let stored = stored.flatMap { $0.logID == logID ? $0 : nil }
        durable = stored
        sequence = 1
        if let bytes = try storage.read(manifestPath) {
            let manifest = try CSVManifest(bytes, path: manifestPath)
            try finish(manifest)
            sequence = manifest.sequence
            if manifest.cursor.logID != logID {
                sequence = manifest.sequence &+ 1
            } else if manifest.cursor.offset >= stored?.offset ?? 0 {
                durable = manifest.cursor
            }
            lastCommitEnd = manifest.lastCommitEnd
        }
        // What is left was not committed and is written again from the log.
        for name in try storage.list("\(options.path)/\(pendingDirectory)") {
            try storage.remove("\(options.path)/\(pendingDirectory)/\(name)")
        }
        return durable
    }

    /// Makes the renames of a manifest that a crash may have prevented.
    private func finish(_ manifest: CSVManifest) throws(ConnectorError) {
        let waiting = Set(try storage.list("\(options.path)/\(pendingDirectory)"))
        var directories: Set<String> = []
        for move in manifest.moves {
            guard let name = move.from.split(separator: "/").last, waiting.contains(String(name)) else { continue }
            try storage.rename("\(options.path)/\(move.from)", "\(options.path)/\(move.to)")
            if let slash = move.to.lastIndex(of: "/") { directories.insert(String(move.to[..<slash])) }
        }
        for directory in directories { try storage.syncDirectory("\(options.path)/\(directory)") }
    }

    package func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        do throws(ConnectorError) {
            let before = durable
            var records = batch.records()
            while true {
                let record: Record?
                do {
                    record = try records.next()
                } catch {
                    throw ConnectorError(.protocolViolation, code: "malformed_record", error.description)
                }
                guard let record else { break }
                try take(record, records.offset, batch)
            }
            if !batch.endsInTransaction { try reach(batch.end) }
            try counters.checkInterruption()
            try commitIfDue()
            updateStatus(batch)
            return durable == before ? .accepted : durable.map { .durable(through: $0) } ?? .accepted
        } catch {
            hasFailed = true
            throw error
        }
    }

    package func flush() throws(ConnectorError) -> Cursor? { try tick() }

    package func tick() throws(ConnectorError) -> Cursor? {
        do {
            try commitIfDue()
        } catch {
            hasFailed = true
            throw error
        }
        return durable
    }

    package func stop() {
        if !hasFailed, !open.isEmpty, !isBehindBoundary {
            do {
                try commit()
            } catch {
                logger.warning("the last files could not be finished and will be written again: \(error)")
            }
        }
        // After a failed commit the files may be needed: the manifest may be in place already.
        for table in open { hasFailed ? table.file?.abandon() : table.file?.discard() }
        directory.close()
    }

    package func interrupt() { counters.interrupt() }

    package func status() -> SinkStatus { counters.read() }

    private func updateStatus(_ batch: ChangeBatch) {
        counters.add { status in
            status.bytes += UInt64(batch.bytes.count)
            status.transactions += newTransactions
            for table in tables.values where table.newRows > 0 {
                status.changes += table.newRows
                status.changesByTable[table.relation.qualifiedName, default: 0] += table.newRows
                table.newRows = 0
            }
        }
        newTransactions = 0
    }

    // MARK: Records

    private func take(_ record: Record, _ offset: Int, _ batch: ChangeBatch) throws(ConnectorError) {
        switch record {
        case .begin(let info):
            self.info = info
            ordinal = info.firstOrdinal
        case .commit:
            newTransactions += 1
            lastCommitEnd = info?.endLSN ?? lastCommitEnd
            try reach(batch.cursor(behind: offset, commitLSN: info?.commitLSN ?? .zero, ordinal: ordinal))
        case .relation(let bytes): try define(bytes)
        case .insert(let id, _, let new):
            try row(0x49, new, nil, id, batch)
            ordinal &+= 1
        case .update(let id, _, let old, let new):
            try update(id, old, new, batch)
            ordinal &+= 1
        case .delete(let id, _, let old):
            try row(0x44, old.tuple, nil, id, batch)
            ordinal &+= 1
        case .truncate(_, let view):
            for id in view.relations { try row(0x54, nil, nil, id, batch) }
            ordinal &+= 1
        case .message:
            // A message belongs to no table.
            ordinal &+= 1
        case .sourceState, .load: break
        }
    }

    private func define(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        var reader = ByteReader(bytes)
        do {
            add(try Relation.decode(&reader))
        } catch {
            throw ConnectorError(.protocolViolation, code: "malformed_relation", error.description)
        }
    }

    /// Another definition of a table begins another file, with a header of its own.
    @discardableResult
    private func add(_ relation: Relation) -> Table {
        if let table = tables[relation.id], table.relation.version == relation.version { return table }
        let table = Table(relation, isWanted: isWanted(relation.topic))
        tables[relation.id] = table
        lastTable = table
        return table
    }

    private func table(_ id: RelationID, _ batch: ChangeBatch) throws(ConnectorError) -> Table {
        if let lastTable, lastTable.relation.id == id { return lastTable }
        if let table = tables[id] {
            lastTable = table
            return table
        }
        if let relation = batch.relations[id] { return add(relation) }
        throw ConnectorError(
            .protocolViolation, code: "unknown_relation",
            "the log has a row of relation \(id.value) and no definition of it")
    }

    private func update(
        _ id: RelationID, _ old: OldTuple?, _ new: TupleView, _ batch: ChangeBatch
    ) throws(ConnectorError) {
        let table = try table(id, batch)
        if let old, CSVText.changesIdentity(old, new, table.relation) {
            try row(0x44, old.tuple, nil, id, batch)
            try row(0x49, new, old, id, batch)
        } else {
            try row(0x55, new, old, id, batch)
        }
    }

    private func row(
        _ operation: UInt8, _ tuple: TupleView?, _ old: OldTuple?, _ id: RelationID, _ batch: ChangeBatch
    ) throws(ConnectorError) {
        let table = try table(id, batch)
        guard table.isWanted else { return }
        if table.file == nil { openFile(table) }
        guard var file = table.file else { return }
        let before = file.buffer.count
        if let tuple {
            try CSVText.row(
                operation, tuple, old, table.relation, unavailable: options.csvUnavailable, to: file.buffer)
        } else {
            CSVText.emptyRow(operation, table.relation, to: file.buffer)
        }
        byteCount += file.buffer.count - before
        buffered += file.buffer.count - before
        isBehindBoundary = true
        table.newRows += 1
        if buffered >= Self.bufferLimit {
            try spill()
        } else if file.buffer.count >= OutputFile.bufferLimit {
            buffered -= file.buffer.count
            try file.spill()
            table.file = file
        }
    }

    /// Bytes that may wait in memory, in the files of all tables together.
    private static let bufferLimit = 8 << 20

    private func spill() throws(ConnectorError) {
        for table in open {
            guard var file = table.file else { continue }
            try file.spill()
            // With thousands of tables there are not descriptors enough to keep them.
            try file.release()
            table.file = file
        }
        buffered = 0
    }

    private func openFile(_ table: Table) {
        if open.isEmpty { openedAt = now() }
        fileCount += 1
        let file = OutputFile(
            storage, temporaryPath: "\(options.path)/\(pendingDirectory)/\(PathText.decimal(UInt64(fileCount), 8)).tmp")
        if options.csvHeader { CSVText.header(table.relation, to: file.buffer) }
        table.file = file
        table.first = (info?.commitLSN ?? .zero, ordinal)
        open.append(table)
    }

    // MARK: Commit

    /// All rows before `cursor` have been taken, and none behind it.
    private func reach(_ cursor: Cursor) throws(ConnectorError) {
        boundary = cursor
        isBehindBoundary = false
        if open.isEmpty {
            durable = cursor
        } else if byteCount >= options.rotateBytes {
            try commit()
        }
    }

    private func commitIfDue() throws(ConnectorError) {
        guard !open.isEmpty, !isBehindBoundary, let openedAt else { return }
        if byteCount >= options.rotateBytes || now() - openedAt >= options.rotateInterval { try commit() }
    }

    private func commit() throws(ConnectorError) {
        guard let boundary else { return }
        var manifest = CSVManifest(sequence: sequence, cursor: boundary, lastCommitEnd: lastCommitEnd, moves: [])
        for table in open {
            guard var file = table.file else { continue }
            try storage.createDirectory("\(options.path)/\(table.directory)")
            try file.finish()
            let name = SealedFileName(
                prefix: prefix, sequence: sequence, startOffset: durable?.offset ?? 0, firstLSN: table.first.lsn,
                firstOrdinal: table.first.ordinal, cursor: boundary, lastCommitEnd: lastCommitEnd)
            let temporary = String(file.temporaryPath.dropFirst(options.path.count + 1))
            manifest.moves.append((temporary, "\(table.directory)/\(name.text("csv"))"))
            table.file = nil
        }
        try storage.syncDirectory("\(options.path)/\(pendingDirectory)")
        // Killed before the rename of the manifest: all of it is written again. Killed behind it: the renames of the
        // files are made at the next start. Either way every row is in one file, once.
        try write(manifest)
        hasFailed = true
        try finish(manifest)
        hasFailed = false
        open.removeAll()
        openedAt = nil
        byteCount = 0
        buffered = 0
        durable = boundary
    }

    private func write(_ manifest: CSVManifest) throws(ConnectorError) {
        let temporary = manifestPath + ".tmp"
        var file = OutputFile(storage, temporaryPath: temporary)
        manifest.encoded().withUnsafeBytes { file.buffer.append($0) }
        try file.finish()
        try storage.rename(temporary, manifestPath)
        try storage.syncDirectory(options.path)
    }
}
