/// Ready-made checks for `ConfigKey.check`: each returns what is wrong with a value, nil where nothing is. The wording is
/// that of Debezium, whose connectors' reports people know.
package enum ConfigCheck {
    package static let boolean: @Sendable (String) -> String? = { value in
        ["true", "false"].contains(value.trimmed.lowercased()) ? nil : "Either 'true' or 'false' is expected"
    }

    package static let integer: @Sendable (String) -> String? = { value in
        Int32(value.trimmed) == nil ? "An integer is expected" : nil
    }

    package static let nonNegativeInteger: @Sendable (String) -> String? = { value in
        (Int32(value.trimmed) ?? -1) < 0 ? "An non-negative integer is expected" : nil
    }

    package static let positiveInteger: @Sendable (String) -> String? = { value in
        (Int32(value.trimmed) ?? 0) < 1 ? "A positive, non-zero integer is expected" : nil
    }

    package static let long: @Sendable (String) -> String? = { value in
        Int64(value.trimmed) == nil ? "A long value is expected" : nil
    }

    package static let nonNegativeLong: @Sendable (String) -> String? = { value in
        (Int64(value.trimmed) ?? -1) < 0 ? "A non-negative long value is expected" : nil
    }

    package static let positiveLong: @Sendable (String) -> String? = { value in
        (Int64(value.trimmed) ?? 0) < 1 ? "A positive, non-zero long value is expected" : nil
    }

    /// Comma-separated regular expressions; a comma inside one is written `\,`.
    package static let regularExpressions: @Sendable (String) -> String? = { value in
        for pattern in splitUnescaped(value) {
            if let fault = fault(inPattern: pattern) {
                return "A comma-separated list of valid regular expressions is expected, but \(fault)"
            }
        }
        return nil
    }

    package static let topicPrefix: @Sendable (String) -> String? = { value in
        let isFine = value.utf8.allSatisfy { byte in
            isLetterOrDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: ".")
        }
        return isFine
            ? nil
            : "\(value) has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)"
    }

    /// What PostgreSQL takes as the name of a replication slot.
    package static let slotName: @Sendable (String) -> String? = { value in
        let isFine = value.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
        }
        return isFine && (1...63).contains(value.utf8.count)
            ? nil
            : "Valid replication slot name must contain only digits, lowercase characters and underscores with "
                + "length <= 63"
    }

    /// What is wrong with a regular expression; nil for a good one.
    package static func fault(inPattern pattern: String) -> String? {
        do {
            _ = try Regex(pattern)
            return nil
        } catch {
            // The commonest slip, in the words that Java has for it.
            let text = groupsAreUnclosed(pattern) ? "Unclosed group near index \(pattern.utf16.count)" : "\(error)"
            return text + "\n" + pattern
        }
    }

    private static func groupsAreUnclosed(_ pattern: String) -> Bool {
        var depth = 0
        var isEscaped = false
        for character in pattern {
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "(" {
                depth += 1
            } else if character == ")" {
                depth -= 1
            }
        }
        return depth > 0
    }

    /// The parts between commas that no backslash stands before, trimmed, empty ones left out. `\,` becomes `,`.
    package static func splitUnescaped(_ list: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var isEscaped = false
        for character in list {
            if isEscaped {
                if character != "," { part.append("\\") }
                part.append(character)
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
        if isEscaped { part.append("\\") }
        parts.append(part)
        return parts.map { $0.trimmed }.filter { !$0.isEmpty }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
