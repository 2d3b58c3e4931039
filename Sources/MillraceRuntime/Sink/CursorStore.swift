import MillraceCatalog
import MillraceCore

/// Where a sink task stores how far it is. The catalog, or a test's double.
protocol CursorStore: Sendable {
    func setCursor(_ cursor: Cursor?, sink: String, source: String) throws(ConnectorError)
}

/// The catalog as a `CursorStore`.
struct CatalogCursorStore: CursorStore {
    let catalog: any Catalog

    func setCursor(_ cursor: Cursor?, sink: String, source: String) throws(ConnectorError) {
        try catalog.setCursor(cursor, sink: sink, source: source)
    }
}

/// Says when a cursor is to be stored again.
struct CheckpointClock {
    let interval: Duration
    private var last: Duration

    init(interval: Duration, now: Duration) {
        self.interval = interval
        last = now
    }

    /// True once per interval.
    mutating func isDue(_ now: Duration) -> Bool {
        guard now - last >= interval else { return false }
        last = now
        return true
    }
}

extension SinkStatus {
    /// Counts of this and of a sink that took over from it; tables that are suspended are the latter's.
    func adding(_ later: SinkStatus) -> SinkStatus {
        SinkStatus(
            changes: changes &+ later.changes, transactions: transactions &+ later.transactions,
            bytes: bytes &+ later.bytes, suspended: later.suspended,
            changesByTable: changesByTable.merging(later.changesByTable, uniquingKeysWith: &+), trouble: later.trouble)
    }
}
