/// Checks a configuration property by property, before anything is started: Kafka Connect's validation report.
package struct ConfigValidation: Sendable {
    package static let maskedValue = "********"

    private let config: ConnectorConfig
    private let definition: ConfigDefinition
    private let isSource: Bool
    private let version: String
    private var report: ConfigReport

    /// `isSource`: whether the plugin is a source or a sink. `version`: of the plugin.
    package static func report(
        on config: ConnectorConfig, for definition: ConfigDefinition, isSource: Bool, version: String
    ) -> ConfigReport {
        var validation = ConfigValidation(config, definition, isSource: isSource, version: version)
        validation.checkCommonProperties()
        validation.checkTransforms()
        if !isSource { validation.checkTopics() }
        validation.checkOwnProperties()
        validation.checkUnknownProperties()
        return validation.report
    }

    private init(_ config: ConnectorConfig, _ definition: ConfigDefinition, isSource: Bool, version: String) {
        self.config = config
        self.definition = definition
        self.isSource = isSource
        self.version = version
        self.report = ConfigReport(name: config["connector.class"] ?? "")
    }

    // MARK: Groups of properties

    private mutating func checkCommonProperties() {
        let own = Set(definition.keys.map(\.name))
        for key in Self.commonKeys(isSource: isSource, version: version) where !own.contains(key.name) {
            var entry = ConfigReport.Entry(key, value: config[key.name] ?? key.defaultValue)
            entry.errors = connectErrors(key, &entry.value)
            report.entries.append(entry)
            warnIfWithoutEffect(key)
        }
        for kind in ["key", "value", "header"] { checkConverter("\(kind).converter") }
    }

    package static func commonKeys(isSource: Bool, version: String) -> [ConfigKey] {
        CommonProperties.shared(version: version)
            + (isSource ? CommonProperties.ofSources : CommonProperties.ofSinks)
    }

    private mutating func checkConverter(_ name: String) {
        guard let index = report.entries.firstIndex(where: { $0.key.name == name }),
            let value = config[name]?.trimmed, let standard = report.entries[index].key.defaultValue,
            value != standard
        else { return }
        guard definition.carriesEvents else {
            warn(name, "has no effect: this connector moves rows as they are, without converting them")
            return
        }
        // Also by their short names, as Kafka Connect finds plugins.
        let isKnown = CommonProperties.knownConverters.contains { known in
            let short = known.split(separator: ".").last.map(String.init) ?? known
            return value == known || value == short || value + "Converter" == short
        }
        if isKnown { return }
        report.entries[index].value = nil
        report.entries[index].errors.append(
            Self.classNotFound(name, value, available: CommonProperties.knownConverters))
        if let version = report.entries.firstIndex(where: { $0.key.name == name + ".plugin.version" }) {
            report.entries[version].key.defaultValue = nil
            report.entries[version].value = nil
            report.entries[version].recommendedValues = []
            report.entries[version].isVisible = false
        }
    }

    /// Kafka Connect's words; for a class that exists elsewhere, with what there is here.
    private static func classNotFound(_ name: String, _ value: String, available: [String]) -> String {
        let text = "Invalid value \(value) for configuration \(name): Class \(value) could not be found."
        let isKnownElsewhere = ["org.apache.kafka.", "io.debezium.", "io.confluent."].contains { value.hasPrefix($0) }
        if !isKnownElsewhere { return text }
        return text + " Available here: " + (available.isEmpty ? "none yet" : available.joined(separator: ", ")) + "."
    }

    private mutating func checkTransforms() {
        for (list, title, one) in [
            ("transforms", "Transforms", "Transformation"), ("predicates", "Predicates", "Predicate"),
        ] {
            var seen: Set<String> = []
            for alias in (config[list] ?? "").split(separator: ",").map({ $0.trimmed })
            where !alias.isEmpty && seen.insert(alias).inserted {
                checkTransform(list: list, alias: alias, title: "\(title): \(alias)", one: one)
            }
        }
    }

    private mutating func checkTransform(list: String, alias: String, title: String, one: String) {
        let name = "\(list).\(alias).type"
        let key = ConfigKey(
            name, .class, required: true, importance: .high, group: title, order: 0, width: .long,
            displayName: "\(one) type for \(alias)", "Class of \(alias).")
        var entry = ConfigReport.Entry(key, value: config[name]?.trimmed)
        let known = list == "transforms" ? TransformDefinitions.transforms : TransformDefinitions.predicates
        var keys: [ConfigKey] = []
        if let value = config[name]?.trimmed, !value.isEmpty {
            if definition.carriesEvents || list == "predicates" {
                if let step = known.first(where: { $0.className == value }) {
                    keys = step.keys + (list == "transforms" ? TransformDefinitions.common : [])
                } else {
                    entry.value = nil
                    entry.errors = [Self.classNotFound(name, value, available: known.map(\.className))]
                }
            } else if value == "io.debezium.transforms.ExtractNewRecordState" {
                // Rows are delivered as rows: what unwraps an envelope has nothing to do, all else would be missed.
                warn(name, "has no effect: this connector moves rows, which are in no envelope")
            } else {
                entry.value = nil
                entry.errors = [
                    "Invalid value \(value) for configuration \(name): this connector moves rows, and transforms "
                        + "work on events; only io.debezium.transforms.ExtractNewRecordState is accepted, and has no effect."
                ]
            }
        } else {
            entry.errors = [Self.missing(name)]
        }
        report.entries.append(entry)
        report.entries.append(
            ConfigReport.Entry(
                ConfigKey(
                    "\(list).\(alias).plugin.version", .string, importance: .high, group: title, order: 1,
                    width: .long, displayName: "\(one) version for \(alias)", "Version of the class of \(alias).")))
        for (order, stepKey) in keys.enumerated() {
            checkStep(stepKey, prefix: "\(list).\(alias).", group: title, order: order + 2)
        }
    }

    /// One property of a transform or of a predicate.
    private mutating func checkStep(_ stepKey: ConfigKey, prefix: String, group: String, order: Int) {
        var key = stepKey
        key.name = prefix + stepKey.name
        key.group = group
        key.orderInGroup = order
        var entry = ConfigReport.Entry(key, value: config[key.name] ?? key.defaultValue)
        entry.errors = connectErrors(key, &entry.value)
        if stepKey.name == "predicate", let name = config[key.name]?.trimmed, !name.isEmpty,
            !(config["predicates"] ?? "").split(separator: ",").contains(where: { $0.trimmed == name })
        {
            entry.errors.append(
                "Invalid value \(name) for configuration \(key.name): there is no predicate of this name in 'predicates'"
            )
        }
        report.entries.append(entry)
    }

    private mutating func checkTopics() {
        let given = ["topics", "topics.regex", "source"].filter { !(config[$0] ?? "").trimmed.isEmpty }
        guard given.count != 1, let index = report.entries.firstIndex(where: { $0.key.name == "topics" }) else {
            return
        }
        report.entries[index].errors.append(
            given.isEmpty
                ? "Must configure one of topics, topics.regex or source"
                : "\(given.joined(separator: " and ")) are mutually exclusive options, but more than one is set")
    }

    private mutating func checkOwnProperties() {
        for key in definition.keys {
            var entry = ConfigReport.Entry(key, isVisible: key.isVisible)
            switch definition.style {
            case .debezium:
                entry.errors = debeziumErrors(key)
            case .connect:
                entry.value = config[key.name] ?? key.defaultValue
                entry.errors = connectErrors(key, &entry.value)
                if key.type == .password && entry.value != nil { entry.value = Self.maskedValue }
            }
            report.entries.append(entry)
            warnIfWithoutEffect(key)
        }
        for key in definition.unlistedKeys where config[key.name] != nil {
            var value = config[key.name]
            let errors = definition.style == .debezium ? debeziumErrors(key) : connectErrors(key, &value)
            if !errors.isEmpty { report.entries.append(ConfigReport.Entry(key, errors: errors)) }
            warnIfWithoutEffect(key)
        }
    }

    // MARK: One property

    private static func missing(_ name: String) -> String {
        "Missing required configuration \"\(name)\" which has no default value."
    }

    /// `value`: what is in force; becomes nil where it cannot be read.
    private func connectErrors(_ key: ConfigKey, _ value: inout String?) -> [String] {
        guard let text = value else { return key.isRequired ? [Self.missing(key.name)] : [] }
        func invalid(_ value: String, _ reason: String) -> String {
            // A URL may hold a password.
            let shown = key.type == .password || value.contains("://") ? "[hidden]" : value
            return "Invalid value \(shown) for configuration \(key.name): \(reason)"
        }
        if let fault = Self.typeFault(text, key.type) {
            value = nil
            // As Kafka Connect does it: the validator of a range is run on the value that could not be read.
            return [invalid(text, fault)] + (key.range == nil ? [] : [invalid("null", "Value must be non-null")])
        }
        if let range = key.range, let number = Int64(text.trimmed), !range.contains(number) {
            let isLow = number < range.lowerBound
            return [
                invalid(
                    text, "Value must be \(isLow ? "at least \(range.lowerBound)" : "no more than \(range.upperBound)")"
                )
            ]
        }
        if let fault = enumerationFault(key, text, "String must be one of: ") { return [invalid(text, fault)] }
        if let reason = refusal(key, text) { return [invalid(text, reason)] }
        return key.check?(text).map { [invalid(text, $0)] } ?? []
    }

    private static func typeFault(_ text: String, _ type: ConfigKey.ValueType) -> String? {
        let text = text.trimmed
        switch type {
        case .boolean:
            return ["true", "false"].contains(text.lowercased()) ? nil : "Expected value to be either true or false"
        case .int where Int32(text) == nil, .short where Int16(text) == nil, .long where Int64(text) == nil,
            .double where Double(text) == nil:
            return "Not a number of type \(type.rawValue)"
        default:
            return nil
        }
    }

    private func enumerationFault(_ key: ConfigKey, _ text: String, _ words: String) -> String? {
        let accepted = (key.allowedValues + key.oldValues).map { $0.lowercased() }
        if accepted.isEmpty || accepted.contains(text.trimmed.lowercased()) { return nil }
        return words + key.allowedValues.joined(separator: ", ")
    }

    private func refusal(_ key: ConfigKey, _ text: String) -> String? {
        text.trimmed.isEmpty || text.trimmed == key.defaultValue ? nil : key.refusedBecause
    }

    private func debeziumErrors(_ key: ConfigKey) -> [String] {
        var faults: [String] = []
        let text = config[key.name] ?? key.defaultValue
        if key.needsValue, (text ?? "").trimmed.isEmpty { faults.append("A value is required") }
        if let text, config[key.name] != nil, !(key.needsValue && text.trimmed.isEmpty) {
            faults += [debeziumTypeFault(text, key.type), key.check?(text)].compactMap { $0 }
            if let fault = enumerationFault(key, text, "Value must be one of ") { faults.append(fault) }
            if let reason = refusal(key, text) { faults.append(reason) }
        }
        if let other = key.excludedBy, config[other] != nil, config[key.name] != nil {
            faults.append("\"\(other)\" is already specified")
        }
        return faults.map { "The '\(key.name)' value is invalid: \($0)" }
    }

    private func debeziumTypeFault(_ text: String, _ type: ConfigKey.ValueType) -> String? {
        switch type {
        case .boolean: ConfigCheck.boolean(text)
        case .int: ConfigCheck.integer(text)
        case .long: ConfigCheck.long(text)
        case .short: Int16(text.trimmed) == nil ? "A short value is expected" : nil
        case .double: Double(text.trimmed) == nil ? "A double value is expected" : nil
        case .string, .list, .class, .password: nil
        }
    }

    // MARK: Warnings

    private mutating func warn(_ name: String, _ text: String) {
        report.warnings.append(ConfigFinding(name, "\(name): \(text)", severity: .warning))
    }

    private mutating func warnIfWithoutEffect(_ key: ConfigKey) {
        guard let value = config[key.name] else { return }
        if let text = key.valueWarnings[value.trimmed.lowercased()] { warn(key.name, text) }
        guard let reason = key.withoutEffect, value != key.defaultValue else { return }
        warn(key.name, "has no effect: \(reason)")
    }

    private mutating func checkUnknownProperties() {
        let common = Self.commonKeys(isSource: isSource, version: version)
        let known = (common + definition.keys + definition.unlistedKeys).map(\.name)
        let knownSet = Set(known)
        let prefixes = CommonProperties.knownPrefixes + definition.knownPrefixes
        for name in config.values.keys.sorted() where !knownSet.contains(name) {
            if let refused = definition.refusedPrefixes.first(where: { name.hasPrefix($0.key) }) {
                let shown = known.first { $0.hasPrefix(refused.key) }
                report.add([ConfigFinding(shown, "The property '\(name)' cannot be used: \(refused.value)")])
                continue
            }
            if prefixes.contains(where: { name.hasPrefix($0) }) { continue }
            if let current = PropertyNames.oldNames[name], knownSet.contains(current), config.values[current] == nil {
                warn(name, "is the name that \(current) had before Debezium 2; it counts as that")
                continue
            }
            guard let meant = PropertyNames.likelyMeant(name, among: known) else {
                warn(name, "is not a property that this connector knows; it is kept, and has no effect")
                continue
            }
            report.add([ConfigFinding(meant, "Unknown property '\(name)': did you mean '\(meant)'?")])
        }
    }
}
