internal import MillraceCore

/// What the sink knows of one relation of the log.
final class SinkTable {
    /// The way out for a table of the target that is gone, rows and all.
    static let copyAgain =
        "if the table was dropped, its rows are missing: to copy them again, delete the sink's offsets while it is stopped "
        + "(DELETE /connectors/{name}/offsets)"

    let id: RelationID
    /// The definition that the coming changes have.
    var relation: Relation
    let isSelected: Bool
    /// The target; nil until the first change that is for us, and again when the definition has changed.
    var target: TargetTable?

    /// Not applied until the task starts again.
    var isSuspended = false
    /// Outcome of the pending changes by key.
    var changes: ChangeSet?
    /// Pending changes: where the first one's record begins, how many there are, and the transaction around the first.
    var pendingStart = 0
    var pendingCount = 0
    var pendingPlace = LogPlace()
    /// Where the records of the first pending changes begin, as long as they are few: so that those of a table among many
    /// are found without walking the whole batch.
    var pendingOffsets: [Int] = []
    /// Pending changes all are inserts: stretches of the batch that hold them, other tables' records among them.
    var pendingInsertsOnly = true
    /// Rows of a full load are read straight from the batch: from `pendingStart` to here.
    var pendingEnd = 0
    var pendingIsLoad = false
    /// Whether the applier has the table on its list of those to be written.
    var isPending = false

    /// Made by this sink, in this session, for the load that comes or runs.
    var isNew = false
    /// The load may do without the table's keys until its end.
    var mayDeferKeys = false
    /// Rows that the target has may collide with those that a load brings.
    var loadsByUpsert = false
    /// Number of the batch whose definitions were last compared with ours.
    var comparedInBatch: UInt64 = 0
    /// Changes applied in the open target transaction.
    var appliedNow: UInt64 = 0
    /// Rows came since the sequences were last set.
    var sequencesAreOld = false

    init(_ relation: Relation, isSelected: Bool) {
        id = relation.id
        self.relation = relation
        self.isSelected = isSelected
    }

    /// The source's `schema.table`.
    var name: String { relation.qualifiedName }

    func forgetPending() {
        pendingCount = 0
        pendingOffsets.removeAll(keepingCapacity: true)
        pendingInsertsOnly = true
        pendingIsLoad = false
    }
}

/// A place inside a transaction, in the source's terms.
struct LogPlace {
    var commitLSN = LSN.zero
    var ordinal: UInt64 = 0

    var text: String { "\(commitLSN):\(ordinal)" }
}
