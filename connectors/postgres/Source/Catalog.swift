internal import MillraceCore

/// What the catalog says of some tables and of the types that their columns use.
struct Catalog {
    struct Attribute {
        var number: Int16
        var name: String
        var typeOID: UInt32
        var typeModifier: Int32
        var typeName: String
        var isNotNull: Bool
        /// `attgenerated`: nil for an ordinary column, 's' for stored, 'v' for virtual.
        var generation: UInt8?
        var identity: Column.Identity
        var defaultExpression: String?
        /// Dropped columns keep their number and lose everything else.
        var isDropped: Bool
    }

    struct Table {
        var oid: UInt32
        var name: TableName
        var kind: UInt8
        var replicaIdentity: ReplicaIdentity
        var isPartition: Bool
        var persistence: UInt8
        var estimatedRows: UInt64?
        /// In order of their numbers, dropped ones included.
        var attributes: [Attribute] = []
        var primaryKey: [Int16] = []
        /// A deferrable primary key cannot be a replica identity.
        var isKeyDeferrable = false
        /// Of the index that REPLICA IDENTITY USING INDEX names.
        var identityIndex: Set<Int16> = []
        /// The tables that this partition is part of.
        var ancestors: [TableName] = []

        /// Columns by which old rows are identified.
        var identityAttributes: Set<Int16> {
            switch replicaIdentity {
            case .primaryKey: isKeyDeferrable ? [] : Set(primaryKey)
            case .index: identityIndex
            case .full: Set(attributes.lazy.filter { !$0.isDropped }.map(\.number))
            case .nothing: []
            }
        }
    }

    private(set) var tables: [UInt32: Table] = [:]
    private(set) var types = TypeCatalog()
    /// Names of the types of a message's columns, in their order; nil where a type is gone.
    private(set) var messageTypeNames: [String?] = []

    private init() {}

    /// One round trip. `messageColumns`: types that may not be those of a column any more. `isPrepared`: after `prepare` on
    /// the same connection.
    static func read(
        _ connection: PostgresConnection, tables: [UInt32], messageColumns: [PgOutputRelation.Column] = [],
        isPrepared: Bool = false
    ) throws(PostgresError) -> Catalog {
        var catalog = Catalog()
        let parameters = [
            array(tables), array(messageColumns.map(\.typeOID)), array(messageColumns.map(\.typeModifier)),
        ].map { Quoting.literal($0) }
        let sql =
            isPrepared
            ? "EXECUTE millrace_describe (\(parameters.joined(separator: ", ")))"
            : CatalogQueries.describe(serverVersion: connection.serverVersion)
                .replacing("$1", with: parameters[0] + "::oid[]").replacing("$2", with: parameters[1] + "::oid[]")
                .replacing("$3", with: parameters[2] + "::int[]")
        let result = try connection.execute(sql, "read the catalog")
        catalog.messageTypeNames = Array(repeating: nil, count: messageColumns.count)
        for row in result.rows where row.count == 12 { catalog.take(CatalogRow(row)) }
        for oid in Array(catalog.tables.keys) {
            catalog.tables[oid]?.attributes.sort { $0.number < $1.number }
        }
        return catalog
    }

    /// Has the statement planned once, for many single tables: planning takes longer than running it.
    static func prepare(_ connection: PostgresConnection) throws(PostgresError) {
        try connection.execute(
            "SET plan_cache_mode = force_generic_plan; PREPARE millrace_describe (oid[], oid[], int[]) AS "
                + CatalogQueries.describe(serverVersion: connection.serverVersion), "read the catalog")
    }

    private static func array(_ numbers: [some FixedWidthInteger]) -> String {
        "{" + numbers.map { String($0) }.joined(separator: ",") + "}"
    }

    private mutating func take(_ row: CatalogRow) {
        switch row.kind {
        case "r": takeTable(row)
        case "c":
            let attribute = attribute(row)
            tables[row.object]?.attributes.append(attribute)
        case "i": takeIndex(row)
        case "a":
            tables[row.object]?.ancestors.append(TableName(schema: row.text(0), table: row.text(1)))
        case "m":
            let index = row.number - 1
            if messageTypeNames.indices.contains(index) { messageTypeNames[index] = row.optional(0) }
        default: types.take(row)
        }
    }

    private mutating func takeTable(_ row: CatalogRow) {
        let rows = Double(row.text(6)) ?? -1
        tables[row.object] = Table(
            oid: row.object, name: TableName(schema: row.text(0), table: row.text(1)), kind: row.byte(2),
            replicaIdentity: ReplicaIdentity(rawValue: row.byte(3)) ?? .primaryKey, isPartition: row.bool(4),
            persistence: row.byte(5), estimatedRows: rows >= 0 && rows < 1e18 ? UInt64(rows) : nil)
    }

    private func attribute(_ row: CatalogRow) -> Attribute {
        let generation = row.byte(5)
        return Attribute(
            number: Int16(truncatingIfNeeded: row.number), name: row.text(0), typeOID: UInt32(row.text(1)) ?? 0,
            typeModifier: Int32(row.text(2)) ?? -1, typeName: row.text(3), isNotNull: row.bool(4),
            generation: generation == 0 ? nil : generation,
            identity: Column.Identity(rawValue: row.byte(6)) ?? .none, defaultExpression: row.optional(7),
            isDropped: row.bool(8))
    }

    private mutating func takeIndex(_ row: CatalogRow) {
        let columns = row.text(3).split(separator: " ").compactMap { Int16($0) }.prefix(row.number)
        if row.bool(0) {
            tables[row.object]?.primaryKey = Array(columns)
            tables[row.object]?.isKeyDeferrable = !row.bool(2)
        }
        if row.bool(1) { tables[row.object]?.identityIndex = Set(columns) }
    }
}

/// One row of `CatalogQueries.describe`.
struct CatalogRow {
    private let values: [String?]

    /// `values`: twelve of them.
    init(_ values: [String?]) {
        self.values = values
    }

    var kind: String { values[0] ?? "" }
    var object: UInt32 { values[1].flatMap { UInt32($0) } ?? 0 }
    var number: Int { values[2].flatMap { Int($0) } ?? 0 }

    func optional(_ index: Int) -> String? { values[3 + index] }
    func text(_ index: Int) -> String { values[3 + index] ?? "" }
    func bool(_ index: Int) -> Bool { text(index) == "true" }
    func oid(_ index: Int) -> UInt32 { UInt32(text(index)) ?? 0 }
    /// The first byte; 0 for none.
    func byte(_ index: Int) -> UInt8 { text(index).utf8.first ?? 0 }
}
