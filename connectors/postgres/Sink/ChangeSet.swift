/// The outcome of a table's changes in a stretch of the log, one entry per key: what has to be done to the target so that
/// it looks as the source did at the end of the stretch.
///
/// Rows and keys are pointers into the batch, or into the arena; nothing is allocated per row.
final class ChangeSet {
    enum Outcome: UInt8 {
        /// There was no row before, and there is one now.
        case insert
        /// The row is the same one with other values; those marked unchanged are the target's.
        case update
        /// The row is gone.
        case delete
        /// The row is gone and another one with the same key came.
        case replace
        /// A row came and went.
        case nothing
    }

    struct Entry {
        var key: UnsafeRawPointer
        /// The newest image; the key's own bytes where there is none.
        var row: UnsafeRawPointer
        var keyCount: UInt32
        var hash: UInt32
        var outcome: Outcome

        var keySpan: KeySpan { KeySpan(start: key, count: Int(keyCount)) }
    }

    private(set) var entries: UnsafeMutablePointer<Entry>
    private(set) var count = 0
    private var capacity = 256
    private var slots: UnsafeMutablePointer<Int32>
    private var mask: Int
    let arena = Arena()

    init() {
        entries = .allocate(capacity: capacity)
        mask = 2 * capacity - 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
    }

    deinit {
        entries.deallocate()
        slots.deallocate()
    }

    /// Forgets everything. Memory of an unusually large stretch is given back.
    func removeAll() {
        arena.removeAll()
        count = 0
        if capacity > 1 << 18 {
            entries.deallocate()
            slots.deallocate()
            capacity = 256
            entries = .allocate(capacity: capacity)
            mask = 2 * capacity - 1
            slots = .allocate(capacity: mask + 1)
        }
        slots.update(repeating: -1, count: mask + 1)
    }

    // MARK: Changes

    func insert(_ row: UnsafeRawPointer, key: KeySpan) {
        let index = find(key, orAdd: .nothing, row: row)
        switch entries[index].outcome {
        case .nothing: entries[index].outcome = .insert
        // A second insert cannot come from a table with this key; the newest wins.
        case .insert, .delete, .update, .replace: entries[index].outcome = .replace
        }
        entries[index].row = row
    }

    /// A row whose key is the same as before.
    func update(_ row: UnsafeRawPointer, key: KeySpan, columnCount: Int) {
        let known = count
        let index = find(key, orAdd: .update, row: row)
        if index == known { return }
        switch entries[index].outcome {
        case .insert, .replace, .update:
            if RowBytes.hasUnchanged(row, count: columnCount) {
                entries[index].row = RowBytes.merge(row, over: entries[index].row, count: columnCount, in: arena)
            } else {
                entries[index].row = row
            }
        case .nothing, .delete:
            // Cannot come from a table with this key. The row was there and is there.
            entries[index].outcome = .update
            entries[index].row = row
        }
    }

    func delete(key: KeySpan) {
        let known = count
        let index = find(key, orAdd: .delete, row: key.start)
        if index == known { return }
        switch entries[index].outcome {
        case .insert, .nothing: entries[index].outcome = .nothing
        case .update, .replace, .delete: entries[index].outcome = .delete
        }
        entries[index].row = key.start
    }

    /// The newest image of a row in this stretch, if it has one.
    func image(key: KeySpan) -> UnsafeRawPointer? {
        guard let index = lookUp(key, key.hash) else { return nil }
        switch entries[index].outcome {
        case .insert, .update, .replace: return entries[index].row
        case .delete, .nothing: return nil
        }
    }

    /// `insert.mode=update`: rows that are not there stay away.
    func turnInsertsIntoUpdates() {
        for index in 0..<count where entries[index].outcome == .insert || entries[index].outcome == .replace {
            entries[index].outcome = .update
        }
    }

    /// Indexes of the entries that are wanted, roughly in the order of their keys: neighbours in the target's index and
    /// pages are then found together, which saves the server a tenth of its work when keys come in random order. (ORDER BY
    /// in the statement would cost more: the server carries whole rows of a subquery along.)
    func ordered(where isWanted: (Int) -> Bool) -> [Int32] {
        var keys: [(order: UInt64, index: Int32)] = []
        for index in 0..<count where isWanted(index) {
            keys.append((entries[index].keySpan.order, Int32(truncatingIfNeeded: index)))
        }
        keys.sort { $0.order < $1.order }
        return keys.map(\.index)
    }

    // MARK: Hash table

    @inline(__always)
    private func lookUp(_ key: KeySpan, _ hash: UInt32) -> Int? {
        var slot = Int(hash) & mask
        while true {
            let index = Int(slots[slot])
            if index < 0 { return nil }
            if entries[index].hash == hash && entries[index].keySpan == key { return index }
            slot = (slot + 1) & mask
        }
    }

    /// The entry of `key`, made with `outcome` and `row` where there is none (its index is then the old `count`).
    @inline(__always)
    private func find(_ key: KeySpan, orAdd outcome: Outcome, row: UnsafeRawPointer) -> Int {
        let hash = key.hash
        var slot = Int(hash) & mask
        while true {
            let index = Int(slots[slot])
            if index < 0 { break }
            if entries[index].hash == hash && entries[index].keySpan == key { return index }
            slot = (slot + 1) & mask
        }
        if count == capacity {
            grow()
            slot = Int(hash) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
        }
        entries[count] = Entry(
            key: key.start, row: row, keyCount: UInt32(truncatingIfNeeded: key.count), hash: hash, outcome: outcome)
        slots[slot] = Int32(truncatingIfNeeded: count)
        count += 1
        return count - 1
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.update(from: entries, count: count)
        entries.deallocate()
        entries = larger
        capacity *= 2
        slots.deallocate()
        mask = 2 * capacity - 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
        for index in 0..<count {
            var slot = Int(entries[index].hash) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(truncatingIfNeeded: index)
        }
    }
}
