import MillraceCore

/// Writes what is in a log as lines for people. Row values are shown only when asked for.
package struct LogDump<Storage: LogStorage> {
    package struct Options: Sendable {
        package var range: LogRange
        /// Shows records, not frames only.
        package var records: Bool
        /// Shows the values of rows and the content of messages and of the source's state.
        package var values: Bool

        package init(range: LogRange = LogRange(), records: Bool = true, values: Bool = false) {
            self.range = range
            self.records = records
            self.values = values
        }
    }

    private let directory: String
    private let storage: Storage
    private let options: Options
    private let line: (String) -> Void

    /// Throws on what cannot be read; what is damaged is said in a line, and the next segment goes on.
    package static func run(
        directory: String, storage: Storage, options: Options = Options(), line: @escaping (String) -> Void
    ) throws(LogError) {
        let names = try LogDirectory.segments(directory, storage)
        try run(directory: directory, names: names, storage: storage, options: options, line: line)
    }

    /// `names`: the segments there were, oldest first.
    static func run(
        directory: String, names: [String], storage: Storage, options: Options, line: @escaping (String) -> Void
    ) throws(LogError) {
        let dump = LogDump(directory: directory, storage: storage, options: options, line: line)
        for name in names {
            do {
                try dump.segment(name)
            } catch {
                if try LogDirectory.isRemoved(name, error, directory, storage) { continue }
                guard case .corrupt = error else { throw error }
                line("  ! \(error.description)")
            }
        }
    }

    private func segment(_ name: String) throws(LogError) {
        let segment = try SegmentFile(storage, directory: directory, name: name)
        let size = try segment.size()
        let seal = try segment.seal(fileSize: size)
        let header = segment.header
        let end = seal.map { UInt64(SegmentHeader.size) + $0.contentLength } ?? size
        guard header.firstOffset < options.range.to, header.offset(ofPosition: end) > options.range.from else { return }
        line(
            "segment \(name) log \(String(header.logID, radix: 16)) offset \(header.firstOffset) bytes \(size)"
                + (seal == nil ? " open" : " sealed") + describe(header.flags) + " after \(header.before.lastCommitLSN)"
        )
        if let info = header.spooled { line("  transaction \(describe(info))") }
        var walker = FrameWalker(segment, end: end)
        while let (frame, position) = try walker.next() {
            let offset = header.offset(ofPosition: position)
            guard offset < options.range.to else { return }
            guard offset + frame.totalLength > options.range.from else { continue }
            line("  frame \(offset) length \(frame.payloadLength)\(describe(frame))")
            if options.records { try records(segment, frame, position, end) }
        }
        if walker.position < end {
            line("  ! \(end - walker.position) bytes from \(walker.position) on are no whole frame")
        }
    }

    private func records(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, _ position: UInt64, _ end: UInt64
    ) throws(LogError) {
        guard let payload = try segment.payload(of: frame, at: position, end: end) else {
            throw segment.damaged(position, "the checksum of the frame is wrong")
        }
        var reader = RecordReader(payload.prefix(frame.payloadLength))
        do {
            while let record = try reader.next() { line("    " + describe(record)) }
        } catch {
            throw segment.damaged(position, error.description)
        }
    }

    // MARK: Words

    private func describe(_ flags: SegmentHeader.Flags) -> String {
        (flags.contains(.first) ? " first" : "") + (flags.contains(.beginsInTransaction) ? " continues" : "")
            + (flags.contains(.spooled) ? " spooled" : "")
    }

    private func describe(_ frame: FrameHeader) -> String {
        var text = ""
        let names: [(FrameHeader.Flags, String)] = [
            (.beginsInTransaction, "begins-inside"), (.endsInTransaction, "ends-inside"), (.hasRelations, "relations"),
            (.hasState, "state"), (.restated, "restated"), (.spooled, "spooled"), (.preamble, "preamble"),
        ]
        for (flag, name) in names where frame.flags.contains(flag) { text += " " + name }
        if !frame.flags.contains(.restated) {
            text += " commits \(frame.commitCount) changes \(frame.changeCount)"
            text += " end \(frame.endCommitLSN):\(frame.endOrdinal)"
        }
        return text
    }

    private func describe(_ info: TransactionInfo) -> String {
        var text = "\(info.commitLSN) end \(info.endLSN) xid \(info.xid) first \(info.firstOrdinal)"
        if info.flags.contains(.snapshot) { text += " snapshot" }
        if info.flags.contains(.continued) { text += " continued" }
        if info.flags.contains(.nonTransactional) { text += " non-transactional" }
        if info.originLSN != .zero { text += " origin \(info.originLSN)" }
        return text
    }

    private func describe(_ record: Record) -> String {
        switch record {
        case .begin(let info): "B \(describe(info))"
        case .commit(let count): "C changes \(count)"
        case .relation(let body): "R \(relation(body))"
        case .insert(let id, let lsn, let new): "I \(id.value) \(lsn) new \(describe(new))"
        case .update(let id, let lsn, let old, let new):
            "U \(id.value) \(lsn)\(old.map { " old \(describe($0.tuple))" } ?? "") new \(describe(new))"
        case .delete(let id, let lsn, let old): "D \(id.value) \(lsn) old \(describe(old.tuple))"
        case .truncate(let lsn, let view): "T \(lsn) relations \(view.relations.map(\.value))"
        case .message(let lsn, let message):
            "M \(lsn) prefix \(String(decoding: message.prefix, as: UTF8.self)) \(content(message.content))"
        case .sourceState(let state): "S \(content(state))"
        case .load(let id, let phase): "L \(id.value) \(phase == .begin ? "begin" : "end")"
        }
    }

    private func relation(_ body: UnsafeRawBufferPointer) -> String {
        var reader = ByteReader(body)
        guard let relation = try? Relation.decode(&reader) else { return "malformed" }
        let columns = relation.columns.map { "\($0.name) \($0.typeName)" }.joined(separator: ", ")
        return "\(relation.id.value) \(relation.qualifiedName) (\(columns))"
    }

    private func content(_ bytes: UnsafeRawBufferPointer) -> String {
        options.values ? String(decoding: bytes, as: UTF8.self) : "\(bytes.count) bytes"
    }

    private func describe(_ tuple: TupleView) -> String {
        guard options.values else { return "\(tuple.count) columns \(tuple.bytes.count) bytes" }
        let values = tuple.map { column in
            switch column {
            case .null: "null"
            case .unchanged: "unchanged"
            case .text(let value): "'\(String(decoding: value, as: UTF8.self))'"
            case .binary(let value): "\(value.count) binary bytes"
            }
        }
        return "(\(values.joined(separator: ", ")))"
    }
}
