package import MillraceRuntime

/// A JSON document as it was written: numbers keep their text, because a configuration shows them as text again.
package indirect enum JSONDocument: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONDocument])
    case object([Member])

    package struct Member: Hashable, Sendable {
        package var name: String
        package var value: JSONDocument
    }

    /// What kind of value this is, for messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The last member of that name, as JSON parsers have it; nil where there is none or this is no object.
    package subscript(name: String) -> JSONDocument? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    package var tree: JSONTree {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let text): Int64(text).map { .int($0) } ?? .double(Double(text) ?? 0)
        case .string(let text): .string(text)
        case .array(let elements): .array(elements.map(\.tree))
        case .object(let members): .object(members.map { JSONTree.Member($0.name, $0.value.tree) })
        }
    }
}
