/// Builds a page in Prometheus' text format (version 0.0.4): samples grouped by metric, each with its help and type.
struct PrometheusText {
    enum Kind: String {
        case counter
        case gauge
    }

    typealias Labels = [(name: String, value: String)]

    private struct Family {
        var name: String
        var kind: Kind
        var help: String
        var samples: [String] = []
    }

    private var families: [Family] = []
    private var index: [String: Int] = [:]

    /// A sample; nothing for nil. `name` without the prefix that all have.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ labels: Labels = [], _ value: Double?) {
        guard let value else { return }
        addText(name, kind, help, labels, Self.number(value))
    }

    /// A whole number, written in full.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ labels: Labels = [], _ value: UInt64?) {
        guard let value else { return }
        addText(name, kind, help, labels, String(value))
    }

    private mutating func addText(_ name: String, _ kind: Kind, _ help: String, _ labels: Labels, _ value: String) {
        let name = "millrace_" + name
        let position =
            index[name]
            ?? {
                families.append(Family(name: name, kind: kind, help: help))
                index[name] = families.count - 1
                return families.count - 1
            }()
        let text = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        families[position].samples.append(name + (text.isEmpty ? "" : "{\(text)}") + " " + value)
    }

    var bytes: [UInt8] {
        var page = ""
        for family in families {
            page += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            page += family.samples.joined(separator: "\n") + "\n"
        }
        return Array(page.utf8)
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    /// Labels hold names of tables and messages: whatever PostgreSQL allows.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
