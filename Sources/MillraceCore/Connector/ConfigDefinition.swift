/// One property of a connector: Kafka Connect's `ConfigDef.ConfigKey`.
package struct ConfigKey: Sendable {
    /// Raw values are the names in Kafka Connect's REST documents.
    package enum ValueType: String, Sendable {
        case boolean = "BOOLEAN"
        case string = "STRING"
        case int = "INT"
        case short = "SHORT"
        case long = "LONG"
        case double = "DOUBLE"
        case list = "LIST"
        case `class` = "CLASS"
        case password = "PASSWORD"
    }

    package enum Importance: String, Sendable {
        case high = "HIGH"
        case medium = "MEDIUM"
        case low = "LOW"
    }

    package enum Width: String, Sendable {
        case none = "NONE"
        case short = "SHORT"
        case medium = "MEDIUM"
        case long = "LONG"
    }

    package var name: String
    package var type: ValueType
    /// Nil: no default. Kafka Connect tells "no default" from "default null" by `required`.
    package var defaultValue: String?
    package var isRequired: Bool
    package var importance: Importance
    package var group: String?
    package var orderInGroup: Int
    package var width: Width
    package var displayName: String
    package var documentation: String
    package var dependents: [String]
    /// The values there are, for properties that are an enumeration; checked without regard to case.
    package var allowedValues: [String]
    /// Smallest and largest number, inclusive.
    package var range: ClosedRange<Int64>?
    /// Further check of a value that is there: returns what is wrong with it, nil where nothing is.
    package var check: (@Sendable (String) -> String?)?

    package init(
        _ name: String, _ type: ValueType, default defaultValue: String? = nil, required isRequired: Bool = false,
        importance: Importance = .medium, group: String? = nil, order: Int = -1, width: Width = .none,
        displayName: String? = nil, dependents: [String] = [], allowedValues: [String] = [],
        range: ClosedRange<Int64>? = nil, check: (@Sendable (String) -> String?)? = nil, _ documentation: String
    ) {
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.isRequired = isRequired
        self.importance = importance
        self.group = group
        self.orderInGroup = order
        self.width = width
        self.displayName = displayName ?? name
        self.documentation = documentation
        self.dependents = dependents
        self.allowedValues = allowedValues
        self.range = range
        self.check = check
    }
}

/// The properties that a connector understands, in the order in which they are shown.
package struct ConfigDefinition: Sendable {
    package var keys: [ConfigKey]
    /// Patterns of further properties (`column.mask.with.(n).chars`): accepted, with the text after the prefix free.
    package var knownPrefixes: [String]

    package init(keys: [ConfigKey], knownPrefixes: [String] = []) {
        self.keys = keys
        self.knownPrefixes = knownPrefixes
    }

    package subscript(name: String) -> ConfigKey? {
        keys.first { $0.name == name }
    }
}
