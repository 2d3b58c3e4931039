internal import MillraceCore

/// The types that are not built in, as the catalog has them.
struct TypeCatalog {
    private struct Entry {
        var namespace: String
        var name: String
        /// `pg_type.typtype`.
        var kind: UInt8
        var elementOID: UInt32
        var baseOID: UInt32
        /// Of a domain, or of a range's values.
        var baseTypeName: String
        var isNotNull: Bool
        var extensionName: String?
        /// Of a range; the range of a multirange.
        var subtypeOID: UInt32
        var labels: [(Int, String)] = []
        var constraints: [(name: String, definition: String)] = []
        var fields: [(number: Int, field: TypeDefinition.Field, typeOID: UInt32)] = []
    }

    private var entries: [UInt32: Entry] = [:]

    /// Rows of the kinds t, e, d and f; those of a type come after its t (they are branches of one query in that order).
    mutating func take(_ row: CatalogRow) {
        switch row.kind {
        case "t":
            entries[row.object] = Entry(
                namespace: row.text(0), name: row.text(1), kind: row.byte(2), elementOID: row.oid(3),
                baseOID: row.oid(4), baseTypeName: row.text(5), isNotNull: row.bool(6), extensionName: row.optional(7),
                subtypeOID: row.oid(8))
        case "e": entries[row.object]?.labels.append((row.number, row.text(0)))
        case "d": entries[row.object]?.constraints.append((row.text(0), row.text(1)))
        case "f":
            let field = TypeDefinition.Field(name: row.text(0), typeName: row.text(1))
            entries[row.object]?.fields.append((row.number, field, row.oid(2)))
        default: break
        }
    }

    /// The definitions of those of `types` that are not built in, and of everything that they need, each after what it
    /// depends on.
    func definitions(of types: some Sequence<UInt32>) -> [TypeDefinition] {
        var definitions: [TypeDefinition] = []
        var visited: Set<UInt32> = []
        for type in types { visit(type, &visited, &definitions) }
        return definitions
    }

    private func visit(_ oid: UInt32, _ visited: inout Set<UInt32>, _ definitions: inout [TypeDefinition]) {
        guard let entry = entries[oid], visited.insert(oid).inserted else { return }
        for dependency in dependencies(of: entry) { visit(dependency, &visited, &definitions) }
        definitions.append(
            TypeDefinition(oid: oid, namespace: entry.namespace, name: entry.name, kind: kind(of: entry)))
    }

    private func dependencies(of entry: Entry) -> [UInt32] {
        // An extension brings what its types need.
        if entry.extensionName != nil { return [] }
        let fields = entry.fields.sorted { $0.number < $1.number }.map(\.typeOID)
        return [entry.elementOID, entry.baseOID, entry.subtypeOID].filter { $0 != 0 } + fields
    }

    private func kind(of entry: Entry) -> TypeDefinition.Kind {
        if entry.elementOID != 0 { return .array(elementOID: entry.elementOID) }
        if let name = entry.extensionName { return .extensionMember(extensionName: name) }
        switch entry.kind {
        case UInt8(ascii: "e"):
            return .enumeration(labels: entry.labels.sorted { $0.0 < $1.0 }.map(\.1))
        case UInt8(ascii: "d"):
            let constraints = entry.constraints.sorted { $0.name < $1.name }.map(\.definition)
            return .domain(
                baseOID: entry.baseOID, baseTypeName: entry.baseTypeName, isNotNull: entry.isNotNull,
                constraints: constraints)
        case UInt8(ascii: "c"):
            return .composite(fields: entry.fields.sorted { $0.number < $1.number }.map(\.field))
        case UInt8(ascii: "r"):
            return .range(subtypeName: entry.baseTypeName)
        default:
            // Multiranges come into being with their range; base types cannot be made without a library.
            return .other
        }
    }
}
