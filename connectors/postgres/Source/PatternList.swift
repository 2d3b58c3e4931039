internal import MillraceCore

/// A list of regular expressions as Debezium reads it: separated by commas (`\,` is a comma inside an expression), each
/// matched against the whole name, without regard to case.
package struct PatternList: Sendable {
    /// Names that are listed as they are, in lower case: thousands of them cost one look-up.
    private let literals: Set<String>
    // A `Regex` is not `Sendable`; the lock makes it so.
    private let patterns: [Monitor<Regex<AnyRegexOutput>>]

    /// `nameDots`: how many dots every name has at least (`schema.table`: 1). An expression that is plain text with so many
    /// dots can match nothing but that text, although a dot stands for any character.
    /// Throws what is wrong with which expression.
    package init(_ text: String, nameDots: Int) throws(MalformedPattern) {
        var literals: Set<String> = []
        var patterns: [Monitor<Regex<AnyRegexOutput>>] = []
        for part in Self.split(text) {
            if let literal = Self.literal(part, dots: nameDots) {
                literals.insert(literal.lowercased())
            } else {
                patterns.append(Monitor(try Self.compile(part)))
            }
        }
        self.literals = literals
        self.patterns = patterns
    }

    package var isEmpty: Bool { literals.isEmpty && patterns.isEmpty }

    package func matches(_ name: String) -> Bool {
        if !literals.isEmpty, literals.contains(name.lowercased()) { return true }
        return patterns.contains { pattern in
            pattern.read { ((try? $0.wholeMatch(in: name)) ?? nil) != nil }
        }
    }

    /// What is wrong with the list; nil where nothing is.
    package static func problem(in text: String) -> String? {
        do {
            _ = try PatternList(text, nameDots: 0)
            return nil
        } catch {
            return error.message
        }
    }

    /// The expressions of a list, trimmed; empty ones are left out.
    static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                part += character == "," ? "," : "\\" + String(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                parts.append(part)
                part = ""
            } else {
                part.append(character)
            }
        }
        if isEscaped { part += "\\" }
        parts.append(part)
        return parts.map { $0.trimmed }.filter { !$0.isEmpty }
    }

    private static func literal(_ pattern: String, dots: Int) -> String? {
        let text = pattern.replacing("\\.", with: ".")
        let plain = text.allSatisfy { $0 == "." || $0 == "_" || $0 == "-" || $0.isLetter || $0.isNumber }
        return plain && text.count(where: { $0 == "." }) == dots ? text : nil
    }

    private static func compile(_ pattern: String) throws(MalformedPattern) -> Regex<AnyRegexOutput> {
        do {
            return try Regex(pattern).ignoresCase().matchingSemantics(.unicodeScalar)
        } catch {
            throw MalformedPattern(
                message: "A comma-separated list of valid regular expressions is expected, but '\(pattern)': \(error)")
        }
    }
}

package struct MalformedPattern: Error, Sendable {
    package var message: String
}

/// Names that a list includes, or all but those that one excludes. At most one of the two is there.
package struct NameFilter: Sendable {
    private let included: PatternList?
    private let excluded: PatternList?

    package init(included: PatternList?, excluded: PatternList?) {
        self.included = included
        self.excluded = excluded
    }

    /// Whether there is neither list, so that every name passes.
    package var isUnrestricted: Bool { included == nil && excluded == nil }
    package var hasIncludeList: Bool { included != nil }

    package func passes(_ name: String) -> Bool {
        if let included { return included.matches(name) }
        if let excluded { return !excluded.matches(name) }
        return true
    }
}
