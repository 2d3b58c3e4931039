package import MillraceCore

/// How far the full load is, by table. Written by its threads, read by anyone.
package final class SnapshotProgress: Sendable {
    package struct Table: Sendable {
        package var name: TableName
        package var rowsLoaded: UInt64 = 0
        package var rowsEstimated: UInt64?
        package var bytes: UInt64 = 0
        package var state: SourceStatus.Table.State = .waiting
    }

    private let tables = Monitor<[UInt32: Table]>([:])

    package init() {}

    /// By the table's OID.
    package func read() -> [UInt32: Table] {
        tables.read { $0 }
    }

    package subscript(oid: UInt32) -> Table? {
        tables.read { $0[oid] }
    }

    /// Starts anew with these tables.
    func reset(_ captured: [CapturedTable]) {
        tables.update { tables in
            tables.removeAll()
            for table in captured {
                tables[table.oid] = Table(name: table.name, rowsEstimated: table.estimatedRows)
            }
        }
    }

    func update(_ oid: UInt32, _ change: (inout Table) -> Void) {
        tables.update { tables in
            guard var table = tables[oid] else { return }
            change(&table)
            tables[oid] = table
        }
    }
}
