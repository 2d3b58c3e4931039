/// A connector's properties as they were posted: flat text to text, as in Kafka Connect.
package struct ConnectorConfig: Hashable, Sendable {
    package var values: [String: String]

    package init(_ values: [String: String]) {
        self.values = values
    }

    /// A value that stands under the name that Debezium had for the property before its version 2 counts too.
    package subscript(name: String) -> String? {
        get { values[name] ?? PropertyNames.oldName(of: name).flatMap { values[$0] } }
        set { values[name] = newValue }
    }

    /// The value, or the definition's default; nil where neither is there.
    package func string(_ name: String, _ definition: ConfigDefinition) -> String? {
        self[name] ?? definition[name]?.defaultValue
    }

    /// Java's `Boolean.parseBoolean` after trimming; the definition's default where the property is absent.
    package func bool(_ name: String, _ definition: ConfigDefinition) -> Bool {
        string(name, definition)?.trimmed.lowercased() == "true"
    }

    /// Nil where the property has neither a value nor a default, or is no number (which validation refuses first).
    package func int(_ name: String, _ definition: ConfigDefinition) -> Int? {
        string(name, definition).flatMap { Int($0.trimmed) }
    }

    /// A property in milliseconds.
    package func milliseconds(_ name: String, _ definition: ConfigDefinition) -> Duration? {
        int(name, definition).map { .milliseconds($0) }
    }

    /// Comma-separated, each part trimmed, empty parts left out.
    package func list(_ name: String, _ definition: ConfigDefinition) -> [String] {
        (string(name, definition) ?? "").split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }
    }
}

extension StringProtocol {
    /// Without white space at both ends.
    package var trimmed: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text = text.dropFirst() }
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text)
    }
}

extension String {
    /// What follows `prefix`; nil where the text does not begin with it.
    package func suffix(behind prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
