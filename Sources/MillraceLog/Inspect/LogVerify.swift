package import MillraceCore

/// Reads a whole log and checks everything that can be checked in it. Changes nothing.
package struct LogVerify<Storage: LogStorage> {
    /// What there is, and how many lines told of something wrong.
    package struct Report: Hashable, Sendable {
        package var segments = 0
        package var frames = 0
        package var bytes: UInt64 = 0
        package var transactions: UInt64 = 0
        package var changes: UInt64 = 0
        package var relations = 0
        package var findings = 0
        package var lastCommitLSN = LSN.zero
    }

    private let directory: String
    private let storage: Storage
    private let line: (String) -> Void
    private var report = Report()
    private var tail = TransactionTail()
    private var known: Set<UInt32> = []
    private var expectedOffset: UInt64?
    private var logID: UInt64?
    /// Whether what comes next may go on with a transaction of which nothing is known.
    private var mayContinue = false
    private var firstOrdinal: UInt64 = 0
    private var lastIsSnapshot = false

    /// Each finding is a line `<file> at <byte>: <what is wrong>`; notes begin with `note:`. Throws only on what cannot be
    /// read at all.
    package static func run(
        directory: String, storage: Storage, line: @escaping (String) -> Void
    ) throws(LogError) -> Report {
        try run(directory: directory, names: LogDirectory.segments(directory, storage), storage: storage, line: line)
    }

    /// `names`: the segments there were, oldest first.
    static func run(
        directory: String, names: [String], storage: Storage, line: @escaping (String) -> Void
    ) throws(LogError) -> Report {
        var verify = LogVerify(directory: directory, storage: storage, line: line)
        for name in names {
            do {
                try verify.segment(name, isNewest: name == names.last)
            } catch {
                if case .corrupt(let path, let offset, let reason) = error {
                    verify.finding(path, offset, reason)
                } else if try !LogDirectory.isRemoved(name, error, directory, storage) {
                    throw error
                }
                // Whatever follows cannot be held against what has not been read.
                verify.expectedOffset = nil
                verify.tail.open = nil
            }
        }
        if verify.tail.open != nil { line("note: the log ends inside a transaction; opening it takes that back") }
        return verify.report
    }

    private init(directory: String, storage: Storage, line: @escaping (String) -> Void) {
        self.directory = directory
        self.storage = storage
        self.line = line
    }

    private mutating func finding(_ path: String, _ offset: UInt64, _ reason: String) {
        report.findings += 1
        line("\(path) at \(offset): \(reason)")
    }

    // MARK: Segments

    private mutating func segment(_ name: String, isNewest: Bool) throws(LogError) {
        let segment: SegmentFile<Storage>
        do {
            segment = try SegmentFile(storage, directory: directory, name: name)
        } catch {
            if case .corrupt = error { report.segments += 1 }
            throw error
        }
        report.segments += 1
        let size = try segment.size()
        let seal = try segment.seal(fileSize: size)
        let header = segment.header
        report.bytes += size
        if header.flags.contains(.first) {
            if logID != nil { line("note: \(name) begins another log; opening it removes what is before") }
            known = []
            tail = TransactionTail()
            expectedOffset = nil
        } else if let logID, logID != header.logID {
            finding(segment.path, 24, "it belongs to another log")
        }
        logID = header.logID
        if let expectedOffset, expectedOffset != header.firstOffset {
            finding(segment.path, 32, "the segment before it ends at \(expectedOffset)")
        }
        if expectedOffset == nil {
            tail = header.before
            mayContinue = true
        }
        if let position = header.preamblePosition == 0 ? nil : header.preamblePosition {
            try preamble(segment, position, size)
        }
        let counts = (report.transactions, report.changes)
        let end = seal.map { UInt64(SegmentHeader.size) + $0.contentLength } ?? size
        let stop = try frames(segment, end)
        expectedOffset = header.offset(ofPosition: end)
        if let seal {
            guard stop == end else { throw segment.damaged(stop, "no whole frame begins here") }
            if seal.commitCount != report.transactions - counts.0 || seal.changeCount != report.changes - counts.1 {
                finding(segment.path, end, "the seal counts other transactions or changes than there are")
            }
        } else if !isNewest || header.flags.contains(.spooled) {
            throw segment.damaged(stop, "the seal is missing or damaged")
        } else if stop < end {
            // Says where it is damaged, if it is that rather than a torn end.
            let scan = try TailScan(segment, fileSize: size)
            if stop < scan.wholePosition { throw segment.damaged(stop, "the checksum of the frame is wrong") }
            line("note: \(end - stop) bytes at the end of \(name) were never finished; opening the log removes them")
        }
    }

    private mutating func preamble(
        _ segment: SegmentFile<Storage>, _ position: UInt64, _ size: UInt64
    ) throws(LogError) {
        guard let frame = try segment.frameHeader(at: position),
            let payload = try segment.payload(of: frame, at: position, end: size)
        else { throw segment.damaged(position, "the preamble is damaged") }
        learn(payload.prefix(frame.payloadLength))
    }

    private mutating func learn(_ payload: UnsafeRawBufferPointer) {
        var ids: [UInt32] = []
        walkRecords(payload) { kind, record in
            guard kind == RecordKind.relation, record.count >= RecordReader.smallestRelation else { return }
            ids.append(relationID(of: payload.part(record)))
        }
        known.formUnion(ids)
        report.relations += ids.count
    }

    /// Returns the file position behind the last whole frame.
    private mutating func frames(_ segment: SegmentFile<Storage>, _ end: UInt64) throws(LogError) -> UInt64 {
        var walker = FrameWalker(segment, end: end)
        while let (frame, position) = try walker.next() {
            guard let payload = try segment.payload(of: frame, at: position, end: end) else {
                // In an open segment it may be torn; the caller knows.
                return position
            }
            report.frames += 1
            let bytes = payload.prefix(frame.payloadLength)
            if frame.flags.contains(.restated) {
                if !frame.flags.contains(.preamble) { learn(bytes) }
                continue
            }
            try records(segment, frame, bytes, position)
        }
        return walker.position
    }

    // MARK: Records

    private mutating func records(
        _ segment: SegmentFile<Storage>, _ frame: FrameHeader, _ bytes: UnsafeRawBufferPointer, _ position: UInt64
    ) throws(LogError) {
        let begins = frame.flags.contains(.beginsInTransaction)
        if begins != (tail.open != nil) && !(begins && mayContinue) {
            finding(segment.path, position, "the frame's flags contradict the frame before it")
        }
        mayContinue = false
        var reader = RecordReader(bytes)
        let counts = (report.transactions, report.changes)
        do {
            while let record = try reader.next() { check(record, segment, position) }
        } catch {
            throw segment.damaged(position, error.description)
        }
        if UInt64(frame.commitCount) != report.transactions - counts.0
            || UInt64(frame.changeCount) != report.changes - counts.1
        {
            finding(segment.path, position, "the frame header counts other transactions or changes than there are")
        }
    }

    private mutating func check(_ record: Record, _ segment: SegmentFile<Storage>, _ position: UInt64) {
        switch record {
        case .begin(let info): begin(segment.header.spooled ?? info, info, segment, position)
        case .commit(let count):
            guard let open = tail.open else { return finding(segment.path, position, "a commit without its begin") }
            let changes = tail.openOrdinal &- (segment.header.spooled?.firstOrdinal ?? firstOrdinal)
            if count != changes && count != tail.openOrdinal {
                finding(segment.path, position, "\(open.commitLSN) has \(changes) changes, its commit says \(count)")
            }
            lastIsSnapshot = open.flags.contains(.snapshot)
            tail.commit()
            report.transactions += 1
            report.lastCommitLSN = tail.lastCommitLSN
        case .insert(let id, _, _), .update(let id, _, _, _), .delete(let id, _, _):
            change(segment, position)
            use(id, segment, position)
        case .truncate(_, let view):
            change(segment, position)
            for id in view.relations { use(id, segment, position) }
        case .message: change(segment, position)
        case .load(let id, _): use(id, segment, position)
        case .relation(let body):
            var reader = ByteReader(body)
            do {
                known.insert(try Relation.decode(&reader).id.value)
                report.relations += 1
            } catch {
                finding(segment.path, position, error.description)
            }
        case .sourceState: break
        }
    }

    /// `placeholder`: the record as it stands in the file, whose own ordinal and flag count.
    private mutating func begin(
        _ info: TransactionInfo, _ placeholder: TransactionInfo, _ segment: SegmentFile<Storage>, _ position: UInt64
    ) {
        if placeholder.flags.contains(.continued) {
            let ordinal = placeholder.firstOrdinal &+ (segment.header.spooled?.firstOrdinal ?? 0)
            // The first segment may begin anywhere.
            if let open = tail.open, open.commitLSN != info.commitLSN || tail.openOrdinal != ordinal {
                finding(segment.path, position, "it does not go on with the transaction before it")
            }
            if tail.open == nil { firstOrdinal = 0 }
            tail.open = info
            tail.openOrdinal = ordinal
            return
        }
        if tail.open != nil { finding(segment.path, position, "a transaction begins inside another") }
        // The first transaction behind a full load may commit at the very place that the load is consistent with.
        let isRepeated =
            lastIsSnapshot || info.flags.contains(.snapshot) || info.flags.contains(.nonTransactional)
        if info.commitLSN < tail.lastCommitLSN || info.commitLSN == tail.lastCommitLSN && !isRepeated {
            finding(segment.path, position, "commit LSN \(info.commitLSN) follows \(tail.lastCommitLSN)")
        }
        tail.begin(info)
        firstOrdinal = info.firstOrdinal
    }

    private mutating func change(_ segment: SegmentFile<Storage>, _ position: UInt64) {
        if tail.open == nil { finding(segment.path, position, "a change outside any transaction") }
        tail.openOrdinal &+= 1
        report.changes += 1
    }

    private mutating func use(_ id: RelationID, _ segment: SegmentFile<Storage>, _ position: UInt64) {
        // Once for each relation is enough.
        if known.insert(id.value).inserted {
            finding(segment.path, position, "relation \(id.value) is not defined before its first use")
        }
    }
}
