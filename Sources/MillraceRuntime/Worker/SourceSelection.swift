import MillraceCore

/// Which sources a sink connector reads, and which of their topics: its properties `source`, `topics`, `topics.regex`.
struct SourceSelection: Sendable {
    let sourceName: String?
    let topics: TopicSelection

    init(_ config: ConnectorConfig) {
        let text = { (name: String) in config[name]?.trimmed.nilIfEmpty }
        sourceName = text("source")
        if sourceName != nil {
            topics = .all
        } else if let names = text("topics") {
            topics = .names(Set(names.split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }))
        } else if let pattern = text("topics.regex") {
            topics = .pattern(pattern)
        } else {
            topics = .names([])
        }
    }

    /// Whether the log of this source may hold something for the sink. A pattern can match any topic, so it wants all.
    func matches(sourceName: String, topicPrefix: String) -> Bool {
        if let wanted = self.sourceName { return wanted == sourceName }
        switch topics {
        case .all, .pattern: return true
        case .names(let names): return names.contains { $0.hasPrefix(topicPrefix + ".") }
        }
    }
}

extension String {
    fileprivate var nilIfEmpty: String? { isEmpty ? nil : self }
}
