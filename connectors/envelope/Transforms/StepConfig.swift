import MillraceCore

/// The properties of one transform or predicate: `transforms.<alias>.<name>`. What is wrong with one is said in Kafka
/// Connect's words.
struct StepConfig {
    /// `transforms.<alias>.`
    let prefix: String
    private let config: ConnectorConfig

    init(_ config: ConnectorConfig, prefix: String) {
        self.config = config
        self.prefix = prefix
    }

    /// Nil for absent.
    subscript(name: String) -> String? { config[prefix + name] }

    /// Nil for absent and for empty.
    func text(_ name: String) -> String? {
        guard let text = self[name]?.trimmed, !text.isEmpty else { return nil }
        return text
    }

    func required(_ name: String) throws(ConnectorError) -> String {
        guard let text = self[name], !text.isEmpty else {
            throw StepConfig.error("Missing required configuration \"\(prefix)\(name)\" which has no default value.")
        }
        return text
    }

    func flag(_ name: String, _ defaultValue: Bool) throws(ConnectorError) -> Bool {
        guard let text = text(name)?.lowercased() else { return defaultValue }
        guard text == "true" || text == "false" else {
            throw invalid(name, "Expected value to be either true or false")
        }
        return text == "true"
    }

    /// The parts between commas.
    func list(_ name: String) -> [String] {
        (self[name] ?? "").split(separator: ",").map(\.trimmed).filter { !$0.isEmpty }
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ defaultValue: Choice
    ) throws(ConnectorError) -> Choice {
        guard let text = text(name)?.lowercased() else { return defaultValue }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw invalid(name, "String must be one of: \(known)")
        }
        return choice
    }

    func pattern(_ name: String, _ text: String) throws(ConnectorError) -> JavaPattern {
        guard let pattern = JavaPattern(text) else { throw invalid(name, "Invalid regex") }
        return pattern
    }

    func invalid(_ name: String, _ reason: String) -> ConnectorError {
        StepConfig.error("Invalid value \(self[name] ?? "null") for configuration \(prefix)\(name): \(reason)")
    }

    static func error(_ message: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_transform", message)
    }
}

/// A record that a transform cannot work on. Names fields and types, never values.
func transformFailure(_ message: String, hint: String? = nil) -> ConnectorError {
    ConnectorError(.data, code: "transform_failed", message, hint: hint)
}

/// A regular expression with Java's replacement texts (`$1`, `${name}`, `\$`).
struct JavaPattern {
    // SAFETY: a Regex is immutable, and used by the one thread that owns the transform.
    private let regex: Regex<AnyRegexOutput>
    let text: String

    init?(_ text: String) {
        guard let regex = try? Regex(text) else { return nil }
        self.regex = regex
        self.text = text
    }

    func matchesWhole(_ input: String) -> Bool {
        (try? regex.wholeMatch(in: input)) != nil
    }

    /// Java's `matches()`, then `replaceFirst`: nil where the whole text does not match.
    func replacingWhole(_ input: String, with replacement: String) -> String? {
        guard matchesWhole(input) else { return nil }
        return replacingFirst(input, with: replacement)
    }

    /// The first match replaced; the text itself where nothing matches.
    func replacingFirst(_ input: String, with replacement: String) -> String {
        guard let match = try? regex.firstMatch(in: input) else { return input }
        return String(input[..<match.range.lowerBound]) + expand(replacement, match)
            + String(input[match.range.upperBound...])
    }

    /// Every match replaced.
    func replacingAll(_ input: String, with replacement: String) -> String {
        var result = ""
        var index = input.startIndex
        for match in input.matches(of: regex) {
            result += input[index..<match.range.lowerBound]
            result += expand(replacement, match)
            index = match.range.upperBound
        }
        return result + input[index...]
    }

    private func expand(_ replacement: String, _ match: Regex<AnyRegexOutput>.Match) -> String {
        var result = ""
        var rest = Substring(replacement)
        while let character = rest.popFirst() {
            if character == "\\", let next = rest.popFirst() {
                result.append(next)
            } else if character == "$", let digit = rest.first, let first = digit.wholeNumberValue {
                rest.removeFirst()
                var group = first
                // As Java does it: further digits count as long as there is such a group.
                while let next = rest.first?.wholeNumberValue, group * 10 + next < match.output.count {
                    group = group * 10 + next
                    rest.removeFirst()
                }
                if group < match.output.count { result += match.output[group].substring ?? "" }
            } else if character == "$", rest.first == "{", let close = rest.firstIndex(of: "}") {
                let name = String(rest[rest.index(after: rest.startIndex)..<close])
                result += match.output.first { $0.name == name }?.substring ?? ""
                rest = rest[rest.index(after: close)...]
            } else {
                result.append(character)
            }
        }
        return result
    }
}
