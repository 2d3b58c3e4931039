/// A small JSON document whose objects keep their order: a partition or an offset of a connector.
package indirect enum JSONTree: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSONTree])
    case object([Member])

    package struct Member: Hashable, Sendable {
        package var name: String
        package var value: JSONTree

        package init(_ name: String, _ value: JSONTree) {
            self.name = name
            self.value = value
        }
    }

    /// The value of a member; nil where there is none or this is no object.
    package subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }
}

/// How far a connector is in one partition: what `GET /connectors/{name}/offsets` lists.
package struct ConnectorOffset: Hashable, Sendable {
    /// Nil where the request had none.
    package var partition: JSONTree?
    /// Nil (in a request): forget the partition.
    package var offset: JSONTree?

    package init(partition: JSONTree?, offset: JSONTree?) {
        self.partition = partition
        self.offset = offset
    }
}
