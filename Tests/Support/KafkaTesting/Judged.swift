import Foundation

/// Messages on their way to Confluent's deserializers, each with what it should mean.
package struct Judged {
    private var lines: [String] = []
    package var count: Int { lines.count }

    package init() {}

    /// `expected`: what JsonConverter writes, decimals as numbers.
    package mutating func add(_ message: some Sequence<UInt8>, _ expected: String, topic: String, field: String) throws
    {
        let hex = message.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let object = ["topic": topic, "field": field, "hex": hex, "expected": expected]
        lines.append(String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self))
    }

    /// What is not equal. `isRestarted`: one of both was written by a task that was restarted on its way.
    package func verdict(
        _ registry: RegistryProcess, _ format: String, isRestarted: Bool = false
    ) throws -> [String] {
        let answers = try Python.run(
            "judge.py", [registry.url, format] + (isRestarted ? ["restarted"] : []),
            input: lines.joined(separator: "\n") + "\n")
        guard answers.count == lines.count else { return ["\(answers.count) answers for \(lines.count) messages"] }
        return answers.filter { $0 != "equal" }
    }
}
