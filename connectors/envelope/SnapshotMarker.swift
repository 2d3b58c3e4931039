import MillraceCore

/// `source.snapshot`: what place a row has in the full load.
enum SnapshotMarker {
    /// Not part of a full load.
    case none
    case first
    case firstInTable
    case lastInTable
    case inTheMiddle
    case last

    var text: StaticString {
        switch self {
        case .none: "false"
        case .first: "first"
        case .firstInTable: "first_in_data_collection"
        case .lastInTable: "last_in_data_collection"
        case .inTheMiddle: "true"
        case .last: "last"
        }
    }
}

/// Finds the marker of each row of a full load. What follows a row decides it, so that one row is always held back:
/// until the next row, the end of its table, or the end of the load.
struct SnapshotProgress {
    /// Tables whose load has begun: the marker `first` belongs to the first table, if it has rows.
    private var tablesBegun = 0
    /// Tables that have begun and not had a row yet.
    private var awaitingFirstRow: Set<RelationID> = []
    /// Table of the row that is held back.
    private(set) var heldTable: RelationID?
    private var heldIsFirstInTable = false
    private var heldIsFirst = false
    private var heldIsLastInTable = false

    /// `resumed`: reading begins behind the begin of the load, so that nothing can be the first any more.
    init(resumed: Bool) {
        tablesBegun = resumed ? 1 : 0
    }

    mutating func begin(_ table: RelationID) {
        awaitingFirstRow.insert(table)
        tablesBegun += 1
        if tablesBegun == 1 { firstTable = table }
    }

    private var firstTable: RelationID?

    mutating func end(_ table: RelationID) {
        awaitingFirstRow.remove(table)
        if table == heldTable { heldIsLastInTable = true }
    }

    /// A row of `table` is held back from now on.
    mutating func hold(_ table: RelationID) {
        heldIsFirstInTable = awaitingFirstRow.remove(table) != nil
        heldIsFirst = heldIsFirstInTable && table == firstTable
        heldIsLastInTable = false
        heldTable = table
    }

    /// The marker of the row held back, which goes out now.
    mutating func release(isEndOfLoad: Bool) -> SnapshotMarker {
        heldTable = nil
        if isEndOfLoad { return .last }
        if heldIsFirst { return .first }
        if heldIsLastInTable { return .lastInTable }
        return heldIsFirstInTable ? .firstInTable : .inTheMiddle
    }
}
