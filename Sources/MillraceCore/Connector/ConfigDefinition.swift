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
    /// Further values of an enumeration that are accepted but not offered: old names.
    package var oldValues: [String]
    /// What a form may offer; the allowed values unless told otherwise.
    package var recommendedValues: [String]
    /// Whether a form shows the property.
    package var isVisible: Bool
    /// Debezium's way to require a value: an error of its own wording, while the definition calls the key optional.
    package var needsValue: Bool
    /// The property that must not be set together with this one.
    package var excludedBy: String?
    /// Smallest and largest number, inclusive.
    package var range: ClosedRange<Int64>?
    /// Why a value has no effect here: said as a warning whenever the property is set. Nil: the property does what its
    /// documentation says.
    package var withoutEffect: String?
    /// Values that are accepted with a word about them.
    package var valueWarnings: [String: String]
    /// Why a value other than the default is an error: it would change data in a way that is not implemented.
    package var refusedBecause: String?
    /// Further check of a value that is there: returns what is wrong with it, nil where nothing is.
    package var check: (@Sendable (String) -> String?)?

    package init(
        _ name: String, _ type: ValueType, default defaultValue: String? = nil, required isRequired: Bool = false,
        importance: Importance = .medium, group: String? = nil, order: Int = -1, width: Width = .none,
        displayName: String? = nil, dependents: [String] = [], allowedValues: [String] = [], oldValues: [String] = [],
        recommendedValues: [String]? = nil, isVisible: Bool = true, needsValue: Bool = false,
        excludedBy: String? = nil, range: ClosedRange<Int64>? = nil, withoutEffect: String? = nil,
        valueWarnings: [String: String] = [:], refusedBecause: String? = nil,
        check: (@Sendable (String) -> String?)? = nil, _ documentation: String
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
        self.oldValues = oldValues
        self.recommendedValues = recommendedValues ?? allowedValues
        self.isVisible = isVisible
        self.needsValue = needsValue
        self.excludedBy = excludedBy
        self.range = range
        self.withoutEffect = withoutEffect
        self.valueWarnings = valueWarnings
        self.refusedBecause = refusedBecause
        self.check = check
    }
}

/// The properties that a connector understands, in the order in which they are shown.
package struct ConfigDefinition: Sendable {
    /// How a report words what is wrong with a property, and whether it repeats the values.
    package enum Style: Sendable {
        /// `Invalid value x for configuration y: …`; values are shown.
        case connect
        /// `The 'y' value is invalid: …`; values are not shown, as Debezium's connectors do.
        case debezium
    }

    package var keys: [ConfigKey]
    /// Properties that are known and checked but not shown in reports: Debezium has dozens of those.
    package var unlistedKeys: [ConfigKey]
    /// Patterns of further properties (`column.mask.with.(n).chars`): accepted, with the text after the prefix free.
    package var knownPrefixes: [String]
    /// Beginnings of names that are known but would change data in a way that is not implemented, and why they are errors.
    package var refusedPrefixes: [String: String]
    package var style: Style
    /// Whether converters and transforms say how this connector's events look. One that moves rows as they are has no
    /// use for them, and only warns of them.
    package var carriesEvents: Bool

    package init(
        keys: [ConfigKey], unlistedKeys: [ConfigKey] = [], knownPrefixes: [String] = [],
        refusedPrefixes: [String: String] = [:], style: Style = .connect, carriesEvents: Bool = true
    ) {
        self.keys = keys
        self.unlistedKeys = unlistedKeys
        self.knownPrefixes = knownPrefixes
        self.refusedPrefixes = refusedPrefixes
        self.style = style
        self.carriesEvents = carriesEvents
    }

    package subscript(name: String) -> ConfigKey? {
        keys.first { $0.name == name } ?? unlistedKeys.first { $0.name == name }
    }
}
