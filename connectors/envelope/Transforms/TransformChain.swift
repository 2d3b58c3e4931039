package import MillraceCore

/// The transforms of a configuration, in order: `transforms`, `transforms.<alias>.…`, `predicates`, `predicates.<alias>.…`.
package struct TransformChain {
    package private(set) var steps: [any Transform] = []

    package var isEmpty: Bool { steps.isEmpty }

    /// Throws what is wrong, in Kafka Connect's words.
    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        var predicates: [String: any Predicate] = [:]
        for alias in TransformChain.aliases("predicates", config) {
            let step = StepConfig(config, prefix: "predicates.\(alias).")
            predicates[alias] = try TransformClasses.predicate(try step.required("type").trimmed, step)
        }
        for alias in TransformChain.aliases("transforms", config) {
            let step = StepConfig(config, prefix: "transforms.\(alias).")
            var transform = try TransformClasses.transform(try step.required("type").trimmed, step)
            let isNegated = try step.flag("negate", false)
            if let name = step.text("predicate") {
                guard let predicate = predicates[name] else {
                    throw step.invalid("predicate", "there is no predicate of this name in 'predicates'")
                }
                transform = PredicatedTransform(transform, if: predicate, isNegated: isNegated)
            } else if transform is Filter {
                throw StepConfig.error(
                    "Filter transform must be configured with a predicate: set transforms.\(alias).predicate")
            }
            steps.append(transform)
        }
    }

    /// The record behind the last transform; nil where one of them dropped it.
    package func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        var record = record
        for step in steps {
            guard let next = try step.apply(record) else { return nil }
            record = next
        }
        return record
    }

    private static func aliases(_ list: String, _ config: ConnectorConfig) -> [String] {
        var seen: Set<String> = []
        return (config[list] ?? "").split(separator: ",").map(\.trimmed).filter {
            !$0.isEmpty && seen.insert($0).inserted
        }
    }

    /// What a sink goes by: its own `transforms` and `predicates` where it has them, else the source's.
    package static func effective(source: ConnectorConfig, sink: ConnectorConfig) -> ConnectorConfig {
        let owner = sink["transforms"] != nil ? sink : source
        return ConnectorConfig(
            owner.values.filter { name, _ in
                name == "transforms" || name == "predicates" || name.hasPrefix("transforms.")
                    || name.hasPrefix("predicates.")
            })
    }
}

extension EventForm {
    /// With the transforms that the configuration names: the sink's own, or else the source's.
    package init(
        ofSource source: SourceDescription, sink: ConnectorConfig, taskID: Int = 0
    ) throws(ConnectorError) {
        try self.init(source: source, sink: sink, taskID: taskID)
        let config = TransformChain.effective(source: source.config, sink: sink)
        guard try !TransformChain(config).isEmpty else { return }
        makeTransforms = { () throws(ConnectorError) in try TransformChain(config).steps }
    }
}
