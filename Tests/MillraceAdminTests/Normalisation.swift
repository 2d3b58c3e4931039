import MillraceAdmin
import MillraceCore
import MillraceRuntime

/// Makes two answers comparable: what differs from worker to worker (README of the recordings) becomes a star, and so do
/// passwords, which Millrace never shows.
enum Normalisation {
    /// Members whose values belong to one worker.
    private static let starred: Set<String> = [
        "worker_id", "version", "commit", "kafka_cluster_id", "documentation", "trace", "last_modified",
    ]
    /// Values of offsets; their names count.
    private static let positions: Set<String> = ["lsn", "txId", "ts_usec"]

    static func normalised(_ document: JSONDocument) -> JSONDocument {
        switch document {
        case .object(let members):
            if let definition = members.first(where: { $0.name == "definition" })?.value,
                let key = definition["name"].text
            {
                return .object(sorted(members.map { member($0, ofKey: key) }))
            }
            let name = Optional(document["name"] ?? .null).text ?? ""
            let isVersion = name.hasSuffix("plugin.version")
            return .object(sorted(members.map { isVersion && $0.name == "default_value" ? star($0) : member($0) }))
        case .array(let elements):
            // The properties that only Millrace has.
            return .array(elements.filter { !isOwn($0) }.map(normalised))
        default:
            return document
        }
    }

    private static func member(_ member: JSONDocument.Member, ofKey key: String? = nil) -> JSONDocument.Member {
        var member = member
        if starred.contains(member.name), member.value != .null {
            member.value = .string("*")
        } else if positions.contains(member.name), case .number = member.value {
            member.value = .string("*")
        } else if member.name.hasSuffix("password"), case .string = member.value {
            member.value = .string("*")
        } else if let key, isAboutPlugins(key), case .object(let members) = member.value {
            let names: Set<String> = ["recommended_values", "default_value", "value"]
            member.value = .object(
                sorted(
                    members.map { inner in
                        var inner = Self.member(inner)
                        if names.contains(inner.name), inner.value != .null { inner.value = .string("*") }
                        return inner
                    }))
        } else {
            member.value = normalised(member.value)
        }
        return member
    }

    private static func star(_ member: JSONDocument.Member) -> JSONDocument.Member {
        var member = member
        if member.value != .null { member.value = .string("*") }
        return member
    }

    /// Lists of plugins and their versions.
    private static func isAboutPlugins(_ key: String) -> Bool {
        key.hasSuffix("plugin.version") || key.hasSuffix(".converter") || key.hasSuffix(".type")
    }

    private static func isOwn(_ element: JSONDocument) -> Bool {
        let name = element["definition"]?["name"].text ?? element["name"].text
        return ["log.segment.bytes", "log.retention.bytes", "log.retention.ms", "log.max.bytes"].contains(name)
    }

    /// An offset document of which only the LSN is left.
    static func withLSNOnly(_ document: JSONDocument) -> JSONDocument {
        guard case .array(let offsets) = document["offsets"] ?? .null else { return document }
        return .array(
            offsets.map { entry in
                let partition = entry["partition"] ?? .null
                return .array([partition, partition["server"] == nil ? entry : entry["offset"]?["lsn"] ?? .null])
            })
    }

    private static func sorted(_ members: [JSONDocument.Member]) -> [JSONDocument.Member] {
        members.sorted { $0.name < $1.name }
    }

    /// Where a request lists connectors, the order is the worker's own.
    static func sortedTexts(_ document: JSONDocument) -> JSONDocument {
        guard case .array(let elements) = document else { return document }
        return .array(elements.sorted { (Optional($0).text ?? "") < (Optional($1).text ?? "") })
    }

    /// The first places where two documents differ, for people.
    static func differences(_ left: JSONDocument, _ right: JSONDocument, at path: String = "$") -> [String] {
        switch (left, right) {
        case (.object(let a), .object(let b)):
            let names = Set((a + b).map(\.name)).sorted()
            return names.flatMap { name -> [String] in
                switch (left[name], right[name]) {
                case (let one?, let other?): return differences(one, other, at: "\(path).\(name)")
                case (_?, nil): return ["\(path).\(name) is missing"]
                default: return ["\(path).\(name) is too much"]
                }
            }
        case (.array(let a), .array(let b)) where a.count == b.count:
            return zip(a, b).enumerated().flatMap { differences($1.0, $1.1, at: "\(path)[\($0)]") }
        default:
            return left == right ? [] : ["\(path): \(short(right)) instead of \(short(left))"]
        }
    }

    private static func short(_ document: JSONDocument) -> String {
        String(JSONText.string(document.tree).prefix(300))
    }
}
