/// What happens to a row, as a source commits it and as a sink has to show it.
struct Change: Hashable {
    enum Operation: UInt8 {
        case insert
        case update
        case delete
        case truncate
    }

    var table: UInt32
    /// Which definition of the table it was made under.
    var version: Int
    var operation: Operation
    var key = 0
    /// The key before, where an update changes it.
    var oldKey: Int?
    /// Nil: the value was not sent (an unchanged TOAST value).
    var value: String?
}

/// Rows of all tables: the oracle. Nothing of it is shared with the code under test.
struct Contents: Hashable {
    private(set) var rows: [UInt32: [Int: String]] = [:]

    mutating func apply(_ change: Change) {
        switch change.operation {
        case .insert: rows[change.table, default: [:]][change.key] = change.value ?? ""
        case .update:
            if let oldKey = change.oldKey { rows[change.table]?[oldKey] = nil }
            if let value = change.value {
                rows[change.table, default: [:]][change.key] = value
            }
        case .delete: rows[change.table]?[change.key] = nil
        case .truncate: rows[change.table] = nil
        }
        if rows[change.table]?.isEmpty == true { rows[change.table] = nil }
    }

    mutating func empty(_ table: UInt32) { rows[table] = nil }
}

/// A transaction as every log and every sink has to show it.
struct Expected {
    var commitLSN: UInt64
    var endLSN: UInt64
    var firstOrdinal: UInt64 = 0
    /// Tables whose full load begins in it.
    var loads: [UInt32] = []
    var changes: [Change]
}

/// What one log (one id) holds when it holds everything: the full load that began it, and what was committed since.
struct Epoch {
    var consistentLSN: UInt64
    var load: [Expected]
    /// Definitions of the tables as they were then.
    var versions: [UInt32: Int]
    /// Index of the first transaction of the server that is not in the load.
    var first: Int
}

/// The truth: what the server has committed, in order.
struct Oracle {
    private(set) var committed: [Expected] = []
    private(set) var contents = Contents()
    /// By log id.
    private(set) var epochs: [UInt64: Epoch] = [:]

    mutating func commit(_ transaction: Expected) {
        guard !transaction.changes.isEmpty else { return }
        committed.append(transaction)
        for change in transaction.changes { contents.apply(change) }
    }

    mutating func begin(_ epoch: Epoch, of logID: UInt64) { epochs[logID] = epoch }

    /// The transaction that stands at `index` in the log `logID`; nil where there is none yet.
    func expected(_ index: Int, in logID: UInt64) -> Expected? {
        guard let epoch = epochs[logID] else { return nil }
        if index < epoch.load.count { return epoch.load[index] }
        let place = epoch.first + index - epoch.load.count
        return place < committed.count ? committed[place] : nil
    }

    /// Number of transactions in the log `logID` up to a place, the one that the place is in included.
    func count(upTo commitLSN: UInt64, _ ordinal: UInt64, in logID: UInt64) -> Int {
        guard let epoch = epochs[logID], commitLSN > 0 else { return 0 }
        if commitLSN <= epoch.consistentLSN {
            return epoch.load.prefix { $0.changes.isEmpty || $0.firstOrdinal < ordinal }.count
        }
        return epoch.load.count + upper(commitLSN) - epoch.first
    }

    /// Number of transactions in the log `logID` that end at or before `lsn`.
    func count(endingAt lsn: UInt64, in logID: UInt64) -> Int {
        guard let epoch = epochs[logID] else { return 0 }
        var index = committed.count
        while index > epoch.first, committed[index - 1].endLSN > lsn { index -= 1 }
        return index > epoch.first ? epoch.load.count + index - epoch.first : 0
    }

    func count(in logID: UInt64) -> Int {
        epochs[logID].map { $0.load.count + committed.count - $0.first } ?? 0
    }

    /// Number of transactions that commit at or before `lsn`.
    private func upper(_ lsn: UInt64) -> Int {
        var index = committed.count
        while index > 0, committed[index - 1].commitLSN > lsn { index -= 1 }
        return index
    }
}

struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
