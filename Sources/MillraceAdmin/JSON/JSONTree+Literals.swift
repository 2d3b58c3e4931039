package import MillraceRuntime

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    package init(stringLiteral value: String) {
        self = .string(value)
    }
}

extension JSONTree: ExpressibleByBooleanLiteral {
    package init(booleanLiteral value: Bool) {
        self = .bool(value)
    }
}

extension JSONTree: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: Int64) {
        self = .int(value)
    }
}

extension JSONTree: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: JSONTree...) {
        self = .array(elements)
    }
}

extension JSONTree: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONTree)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}

extension JSONTree {
    static func text(_ value: String?) -> JSONTree {
        value.map { .string($0) } ?? .null
    }

    static func texts(_ values: [String]) -> JSONTree {
        .array(values.map { .string($0) })
    }

    static func count(_ value: UInt64) -> JSONTree {
        .int(Int64(clamping: value))
    }

    /// Names in order, so that equal configurations give equal bytes.
    static func map(_ values: [String: String]) -> JSONTree {
        .object(values.sorted { $0.key < $1.key }.map { Member($0.key, .string($0.value)) })
    }

    /// The same object with one member more.
    func adding(_ name: String, _ value: JSONTree) -> JSONTree {
        guard case .object(let members) = self else { return self }
        return .object(members + [Member(name, value)])
    }
}
