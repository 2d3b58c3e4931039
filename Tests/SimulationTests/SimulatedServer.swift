import MillraceTesting

/// A PostgreSQL as its walsender shows it: transactions that commit, transactions that are streamed before they end,
/// subtransactions that are rolled back, tables that are altered, and a slot.
struct SimulatedServer {
    struct Operation {
        var change: Change
        /// Of the subtransaction.
        var xid: UInt32
        var isRolledBack = false
    }

    /// A transaction that is sent before its end.
    struct Stream {
        var xid: UInt32
        var operations: [Operation] = []
        /// How many of them have been decoded.
        var decoded = 0
        var commitLSN: UInt64?
        var abortLSN: UInt64?
        /// Subtransactions that are open, outermost first, and what each of them holds that was released into it.
        var open: [(xid: UInt32, released: [UInt32])] = []
        /// Tables that it altered, with their definition before.
        var altered: [(table: UInt32, xid: UInt32, before: Int)] = []
        var isOver: Bool { commitLSN != nil || abortLSN != nil }
    }

    /// What decoding meets, in the order of the WAL.
    enum Event {
        case transaction(lsn: UInt64, xid: UInt32, [Change])
        case block(stream: Int, Range<Int>)
        case rollBack(stream: Int, xid: UInt32)
        case end(stream: Int)
        /// A table was altered: its definition is sent again before its next row.
        case altered(UInt32)
    }

    private(set) var events: [Event] = []
    private(set) var streams: [Stream] = []
    private(set) var lsn: UInt64 = 1000
    private var nextXID: UInt32 = 700
    private(set) var versions: [UInt32: Int] = [1: 1, 2: 1, 3: 1]
    /// What the slot may forget.
    private(set) var confirmed: UInt64 = 0
    var oracle = Oracle()
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    static let endLength: UInt64 = 8

    private mutating func take() -> UInt64 {
        lsn += 100
        return lsn
    }

    private mutating func takeXID() -> UInt32 {
        nextXID += 1
        return nextXID
    }

    // MARK: The slot

    mutating func confirm(_ lsn: UInt64) { confirmed = max(confirmed, lsn) }

    /// A new slot. Returns where it begins: behind everything that has been committed.
    mutating func makeSlot() -> UInt64 {
        endStreams()
        confirmed = take()
        return confirmed
    }

    /// After a crash of the server the slot may stand where it stood at its last checkpoint.
    mutating func forget(to lsn: UInt64) { confirmed = min(confirmed, lsn) }

    // MARK: Work

    mutating func work() {
        switch random.next() % 10 {
        case 0..<6: commit()
        case 6..<9: stream()
        default: alter()
        }
    }

    private var openStreams: [Int] { streams.indices.filter { !streams[$0].isOver } }

    /// Tables whose definition a transaction has changed that is not over.
    private var locked: Set<UInt32> { Set(openStreams.flatMap { streams[$0].altered.map(\.table) }) }

    private mutating func commit() {
        let free = [1, 2, 3].filter { !locked.contains($0) } as [UInt32]
        guard !free.isEmpty else { return }
        let changes = (0...Int(random.next() % (random.percent(15) ? 20 : 4))).compactMap { _ in
            free.randomElement(using: &random)
        }
        .map { change(in: $0, versions[$0] ?? 0) }
        let lsn = take()
        oracle.commit(Expected(commitLSN: lsn, endLSN: lsn + Self.endLength, changes: changes))
        events.append(.transaction(lsn: lsn, xid: takeXID(), changes))
    }

    private mutating func change(in table: UInt32, _ version: Int) -> Change {
        var change = Change(table: table, version: version, operation: .insert)
        change.key = Int(random.next() % 12)
        let length = random.percent(10) ? 60 : 4
        change.value =
            String(random.next() >> 32, radix: 36)
            + String(repeating: "x", count: Int(random.next() % UInt64(length + 1)))
        switch random.next() % 16 {
        case 0..<8: break
        case 8..<12:
            change.operation = .update
            if random.percent(30) {
                change.value = nil
            } else if random.percent(30) {
                change.oldKey = Int(random.next() % 12)
            }
        case 12..<15:
            change.operation = .delete
            change.value = nil
        default:
            change.operation = .truncate
            change.value = nil
            change.key = 0
        }
        return change
    }

    /// `ALTER TABLE` by itself, of a table that nobody has locked.
    private mutating func alter() {
        let touched = Set(openStreams.flatMap { streams[$0].operations.map(\.change.table) }).union(locked)
        guard let table = ([1, 2, 3] as [UInt32]).filter({ !touched.contains($0) }).randomElement(using: &random)
        else { return }
        versions[table, default: 0] += 1
        events.append(.altered(table))
    }

    // MARK: Streamed transactions

    private mutating func stream() {
        let open = openStreams
        guard let index = open.randomElement(using: &random), open.count > 1 || random.percent(85) else {
            streams.append(Stream(xid: takeXID()))
            return
        }
        switch random.next() % 20 {
        case 0..<10: write(index)
        case 10..<12: streams[index].open.append((takeXID(), []))
        case 12..<14: release(index)
        case 14..<16: rollBack(index)
        case 16: alter(in: index)
        case 17..<19: commitStream(index)
        default: abortStream(index)
        }
    }

    private mutating func write(_ index: Int) {
        let locks = Set(openStreams.filter { $0 != index }.flatMap { streams[$0].altered.map(\.table) })
        let free = ([1, 2, 3] as [UInt32]).filter { !locks.contains($0) }
        for _ in 0...Int(random.next() % 5) {
            guard let table = free.randomElement(using: &random) else { break }
            let xid = streams[index].open.last?.xid ?? streams[index].xid
            streams[index].operations.append(Operation(change: change(in: table, versions[table] ?? 0), xid: xid))
        }
        if random.percent(70) { decode(index) }
    }

    /// The memory of decoding is full: what there is of this transaction is sent.
    private mutating func decode(_ index: Int) {
        let stream = streams[index]
        guard stream.decoded < stream.operations.count else { return }
        events.append(.block(stream: index, stream.decoded..<stream.operations.count))
        streams[index].decoded = stream.operations.count
    }

    private mutating func release(_ index: Int) {
        guard let inner = streams[index].open.popLast() else { return }
        guard let last = streams[index].open.indices.last else { return }
        streams[index].open[last].released += [inner.xid] + inner.released
    }

    private mutating func rollBack(_ index: Int) {
        guard let inner = streams[index].open.popLast() else { return }
        rollBack(inner.released + [inner.xid], index)
    }

    private mutating func rollBack(_ xids: [UInt32], _ index: Int) {
        var stream = streams[index]
        let sent = Set(stream.operations.prefix(stream.decoded).map(\.xid))
        stream.operations = stream.operations.enumerated().compactMap { place, operation in
            guard xids.contains(operation.xid) else { return operation }
            guard place < stream.decoded else { return nil }
            var operation = operation
            operation.isRolledBack = true
            return operation
        }
        for (table, xid, before) in stream.altered.reversed() where xids.contains(xid) {
            versions[table] = before
            events.append(.altered(table))
        }
        stream.altered.removeAll { xids.contains($0.xid) }
        streams[index] = stream
        for xid in xids where sent.contains(xid) { events.append(.rollBack(stream: index, xid: xid)) }
    }

    /// `ALTER TABLE` inside the transaction: it holds the table until its end.
    private mutating func alter(in index: Int) {
        let others = openStreams.filter { $0 != index }
        let touched = Set(
            others.flatMap { streams[$0].operations.map(\.change.table) + streams[$0].altered.map(\.table) })
        guard let table = ([1, 2, 3] as [UInt32]).filter({ !touched.contains($0) }).randomElement(using: &random)
        else { return }
        // What was written under the old definition is decoded first, as the order of the WAL demands.
        decode(index)
        let xid = streams[index].open.last?.xid ?? streams[index].xid
        streams[index].altered.append((table, xid, versions[table] ?? 0))
        versions[table, default: 0] += 1000
        events.append(.altered(table))
    }

    private mutating func commitStream(_ index: Int) {
        decode(index)
        while streams[index].open.last != nil { release(index) }
        guard !streams[index].operations.isEmpty else {
            abortStream(index)
            return
        }
        let lsn = take()
        streams[index].commitLSN = lsn
        let changes = streams[index].operations.filter { !$0.isRolledBack }.map(\.change)
        oracle.commit(Expected(commitLSN: lsn, endLSN: lsn + Self.endLength, changes: changes))
        events.append(.end(stream: index))
    }

    private mutating func abortStream(_ index: Int) {
        for (table, _, before) in streams[index].altered.reversed() {
            versions[table] = before
            events.append(.altered(table))
        }
        streams[index].altered = []
        streams[index].abortLSN = take()
        if streams[index].decoded > 0 { events.append(.end(stream: index)) }
    }

    /// Ends every transaction that is open.
    mutating func endStreams() {
        for index in openStreams {
            if random.percent(80) { commitStream(index) } else { abortStream(index) }
        }
    }

    func version(of table: UInt32) -> Int { versions[table] ?? 0 }
}
