package import Logging
import MillraceRuntime

/// One line of the log. Texts from outside (names of tables, messages of servers) cannot break out of it.
package struct LogLine {
    package var time: String
    package var level: Logger.Level
    package var label: String
    package var message: String
    package var fields: [(name: String, value: String)]

    package init(
        time: String, level: Logger.Level, label: String, message: String, fields: [(name: String, value: String)]
    ) {
        self.time = time
        self.level = level
        self.label = label
        self.message = message
        self.fields = fields
    }

    package func bytes(_ format: LogFormat) -> [UInt8] {
        switch format {
        case .json: json
        case .text: text
        }
    }

    private var json: [UInt8] {
        var members = [
            JSONTree.Member("time", .string(time)), JSONTree.Member("level", .string(level.rawValue)),
            JSONTree.Member("logger", .string(label)), JSONTree.Member("message", .string(message)),
        ]
        let taken = Set(members.map(\.name))
        for field in fields {
            members.append(
                JSONTree.Member(taken.contains(field.name) ? "field." + field.name : field.name, .string(field.value)))
        }
        return JSONText.bytes(.object(members)) + [0x0A]
    }

    private var text: [UInt8] {
        let word = level.rawValue.uppercased()
        let padded = word + String(repeating: " ", count: max(0, 8 - word.count))
        var line = "\(time.dropFirst(11).dropLast()) \(padded) \(Self.escaped(message))"
        for field in fields {
            let value = Self.escaped(field.value)
            line += "  \(Self.escaped(field.name))=" + (value.contains(" ") ? "\"\(value)\"" : value)
        }
        return Array(line.utf8) + [0x0A]
    }

    /// Without control characters, escape sequences of terminals, and signs that turn the direction of writing.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator:
                    result += "\\u{\(String(scalar.value, radix: 16))}"
                default: result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }
}
