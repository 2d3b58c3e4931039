import MillraceCore

/// How topics are made that are not there yet: Kafka Connect's `topic.creation.*`.
struct TopicCreation {
    struct Settings: Hashable {
        var partitions: Int32
        var replicationFactor: Int32
        /// The topic's own configuration (`cleanup.policy` …), by name.
        var config: [String: String]
    }

    private struct Group {
        var include: [Regex<AnyRegexOutput>]
        var exclude: [Regex<AnyRegexOutput>]
        var settings: Settings
    }

    private let groups: [Group]
    private let standard: Settings

    /// Nil where the configuration has no `topic.creation.default.*`: then topics are the brokers' affair.
    init?(_ config: ConnectorConfig) throws(ConnectorError) {
        let prefix = "topic.creation."
        guard config.values.keys.contains(where: { $0.hasPrefix(prefix) }) else { return nil }
        standard = try Self.settings("default", config, fallback: nil)
        var groups: [Group] = []
        for name in (config["topic.creation.groups"] ?? "").split(separator: ",").map(\.trimmed)
        where !name.isEmpty && name != "default" {
            let include = try Self.patterns("\(prefix)\(name).include", config)
            guard !include.isEmpty else {
                throw Self.invalid("\(prefix)\(name).include", "regular expressions of topics are expected")
            }
            groups.append(
                Group(
                    include: include, exclude: try Self.patterns("\(prefix)\(name).exclude", config),
                    settings: try Self.settings(name, config, fallback: standard)))
        }
        self.groups = groups
    }

    /// The first group that a topic belongs to decides; `default` has the rest.
    func settings(for topic: String) -> Settings {
        let group = groups.first { group in
            group.include.contains { (try? $0.wholeMatch(in: topic)) != nil }
                && !group.exclude.contains { (try? $0.wholeMatch(in: topic)) != nil }
        }
        return group?.settings ?? standard
    }

    private static func settings(
        _ group: String, _ config: ConnectorConfig, fallback: Settings?
    ) throws(ConnectorError) -> Settings {
        let prefix = "topic.creation.\(group)."
        var own: [String: String] = [:]
        for (name, value) in config.values where name.hasPrefix(prefix) {
            let name = String(name.dropFirst(prefix.count))
            if !["include", "exclude", "partitions", "replication.factor"].contains(name) { own[name] = value }
        }
        // -1: the brokers' default.
        func number(_ name: String, _ fallback: Int32?) throws(ConnectorError) -> Int32 {
            guard let text = config[prefix + name] else {
                if let fallback { return fallback }
                throw invalid(prefix + name, "a number is expected, or -1 for the brokers' default")
            }
            guard let number = Int32(text.trimmed), number == -1 || number > 0 else {
                throw invalid(prefix + name, "a number above 0 is expected, or -1 for the brokers' default")
            }
            return number
        }
        return Settings(
            partitions: try number("partitions", fallback?.partitions),
            replicationFactor: try number("replication.factor", fallback?.replicationFactor), config: own)
    }

    private static func patterns(
        _ name: String, _ config: ConnectorConfig
    ) throws(ConnectorError) -> [Regex<AnyRegexOutput>] {
        var patterns: [Regex<AnyRegexOutput>] = []
        for text in (config[name] ?? "").split(separator: ",").map(\.trimmed) where !text.isEmpty {
            guard let pattern = try? Regex(text) else { throw invalid(name, "\(text) is no regular expression") }
            patterns.append(pattern)
        }
        return patterns
    }

    private static func invalid(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(name): \(reason)")
    }
}
