import MillraceCore
import MillraceLog
import MillraceTesting

extension Simulation {
    mutating func step() throws {
        guard let log else { throw Failure("no log") }
        switch random.next() % 100 {
        case 0..<30: try appendSmall(log)
        case 30..<45: try appendPart(log)
        case 45..<60: try flush(log)
        case 60..<80: try useSpool(log)
        case 80..<84: try rollBack(log)
        case 84..<90: try trim(log)
        case 90..<91: try reset(log)
        case 91..<94: versions[UInt32(random.next() % 3 + 1), default: 0] += 1; sent = []
        case 94..<97: try fillDisk(log)
        case 97..<98: storage.faults.failNextSync = true
        default: try follow()
        }
    }

    private func definition(_ id: UInt32) -> Relation { table(id, version: versions[id] ?? 1) }

    /// Puts rows of transaction `number` into `buffer`, definitions before their first use in this session.
    private mutating func fill(_ buffer: RecordBuffer, _ number: Int, from first: Int, count: Int) {
        for row in first..<first + count {
            let relation = definition(UInt32(random.next() % 3 + 1))
            if sent.insert(relation.id.value).inserted { buffer.relation(relation) }
            let padding = String(repeating: "x", count: Int(random.next() % 60))
            insert("\(number).\(row).\(versions[relation.id.value] ?? 0).\(padding)", into: relation, buffer)
        }
    }

    private func state(_ number: Int, _ buffer: RecordBuffer) {
        Array("state \(number)".utf8).withUnsafeBytes { buffer.sourceState($0) }
    }

    private func info(_ number: Int) -> TransactionInfo { transactionInfo(UInt64(number) * 100) }

    private mutating func appendSmall(_ log: SimulatedLog) throws {
        if openRows != nil { return try appendPart(log) }
        let buffer = RecordBuffer()
        var number = appended
        for _ in 0..<Int(random.next() % 4 + 1) {
            number += 1
            let count = Int(random.next() % 4)
            buffer.begin(info(number))
            // Inside, so that it is as atomic as the transaction.
            state(number, buffer)
            fill(buffer, number, from: 0, count: count)
            buffer.commit(changeCount: UInt64(count))
        }
        try append(log, buffer, until: number)
    }

    /// `until`: the transaction that may be in the log from now on.
    private mutating func append(_ log: SimulatedLog, _ buffer: RecordBuffer, until number: Int) throws {
        let before = appended
        let sentBefore = sent
        appended = number
        do {
            try log.append(buffer)
        } catch .noSpace {
            // Refused whole: the same again must do, once there is space.
            appended = before
            storage.faults.spaceLeft = nil
            appended = number
            try log.append(buffer)
            sent = sentBefore.union(sent)
        }
    }

    /// Begins, continues or ends a transaction in parts.
    private mutating func appendPart(_ log: SimulatedLog) throws {
        let number = appended + 1
        let buffer = RecordBuffer()
        let first = openRows ?? 0
        if openRows == nil {
            buffer.begin(info(number))
            state(number, buffer)
        }
        let count = Int(random.next() % 12)
        fill(buffer, number, from: first, count: count)
        let ends = random.percent(40)
        if ends { buffer.commit(changeCount: UInt64(first + count)) }
        openRows = first + count
        try append(log, buffer, until: ends ? number : appended)
        if ends { openRows = nil }
    }

    private mutating func flush(_ log: SimulatedLog) throws {
        let cursor = try log.flush()
        guard cursor.commitLSN == LSN(UInt64(appended > base ? appended : 0) * 100) else {
            throw Failure("flush returned \(cursor) with \(appended) appended")
        }
        acknowledged = appended
        try follow()
    }

    private mutating func rollBack(_ log: SimulatedLog) throws {
        try log.rollBackOpenTransaction()
        // What was sent in it may be gone; the source connects anew.
        if openRows != nil { sent = [] }
        openRows = nil
    }

    private mutating func trim(_ log: SimulatedLog) throws {
        let offset = follower.cursor?.offset ?? 0
        let last = follower.last ?? 0
        if last >= kept { kept = last + 1 }
        let before = log.byteCount
        let freed = try log.trim(before: offset)
        guard log.byteCount + freed == before else { throw Failure("trim said \(freed) bytes") }
    }

    private mutating func reset(_ log: SimulatedLog) throws {
        isResetting = true
        try log.reset()
        forgetAfterReset(log)
    }

    private mutating func forgetAfterReset(_ log: SimulatedLog) {
        isResetting = false
        logID = log.id
        base = appended
        kept = appended + 1
        acknowledged = appended
        openRows = nil
        spool = nil
        sent = []
        follower = Follower()
        follower.last = appended
    }

    private mutating func fillDisk(_ log: SimulatedLog) throws {
        storage.faults.spaceLeft = Int(random.next() % 500)
        try appendSmall(log)
        storage.faults.spaceLeft = nil
    }

    // MARK: Spools

    private mutating func useSpool(_ log: SimulatedLog) throws {
        guard let spool else {
            // Definitions that a spool alone has been sent are not known to what is appended before it commits.
            spool = try log.makeSpool(xid: UInt32(random.next() % 5))
            spoolRows = 0
            marks = []
            sent = []
            return
        }
        switch random.next() % 10 {
        case 0..<5:
            // Its transaction comes next, unless the numbers have gone on by then.
            let buffer = RecordBuffer()
            spoolNumber = max(spoolNumber, spoolRows == 0 ? appended + 1 : spoolNumber)
            if spoolRows == 0 { spoolNumber = appended + 1 }
            sent = []
            fill(buffer, spoolNumber, from: spoolRows, count: Int(random.next() % 9) + 1)
            let count = Int(buffer.changeCount)
            sent = []
            do {
                try spool.append(buffer)
            } catch let error where error.code == "log_disk_full" {
                storage.faults.spaceLeft = nil
                try spool.append(buffer)
            }
            spoolRows += count
        case 5: marks.append((try spool.mark(), spoolRows))
        case 6:
            guard let index = marks.indices.randomElement(using: &random) else { return }
            try spool.truncate(to: marks[index].mark)
            spoolRows = marks[index].rows
            marks.removeSubrange((index + 1)...)
        case 7 where random.percent(30):
            spool.discard()
            self.spool = nil
        default:
            try commitSpool(log, spool)
        }
    }

    private mutating func commitSpool(_ log: SimulatedLog, _ spool: LogSpool<SimulatedStorage>) throws {
        guard openRows == nil, spoolRows > 0 else { return }
        guard spoolNumber == appended + 1 else {
            spool.discard()
            self.spool = nil
            return
        }
        let buffer = RecordBuffer()
        state(spoolNumber, buffer)
        try append(log, buffer, until: appended)
        appended += 1
        if random.percent(10) { storage.faults.spaceLeft = Int(random.next() % 600) }
        do {
            try log.append(spool, info(spoolNumber))
        } catch .noSpace {
            storage.faults.spaceLeft = nil
            try log.append(spool, info(spoolNumber))
        }
        storage.faults.spaceLeft = nil
        self.spool = nil
        sent = []
    }
}
