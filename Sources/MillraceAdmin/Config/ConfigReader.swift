import MillraceCore

/// Reads configurations out of JSON: flat, and all text in the end, as Kafka Connect has them.
enum ConfigReader {
    /// A whole configuration: no value may be null.
    static func config(_ document: JSONDocument, of place: String) throws -> [String: String] {
        var config: [String: String] = [:]
        for (name, value) in try changes(document, of: place) {
            guard let value else {
                throw AdminError.badRequest("\(place): the value of '\(name)' is null; leave the property out instead")
            }
            config[name] = value
        }
        return config
    }

    /// Changes to a configuration: null removes a property.
    static func changes(_ document: JSONDocument, of place: String) throws -> [(name: String, value: String?)] {
        guard case .object(let members) = document else {
            throw AdminError.badRequest("\(place) must be an object of text values, not \(document.kind)")
        }
        return try members.map { member in
            switch member.value {
            case .string(let text): (member.name, text)
            case .number(let text): (member.name, text)
            case .bool(let value): (member.name, value ? "true" : "false")
            case .null: (member.name, nil)
            case .array, .object:
                throw AdminError.badRequest(
                    "\(place): the value of '\(member.name)' must be text, not \(member.value.kind)")
            }
        }
    }

    /// The members of a request, refused where there is one that is not known.
    static func members(_ document: JSONDocument, known: [String]) throws {
        guard case .object(let members) = document else {
            throw AdminError.badRequest("The body must be an object, not \(document.kind)")
        }
        for member in members where !known.contains(member.name) {
            let names = known.map { "\"\($0)\"" }.joined(separator: ", ")
            throw AdminError.badRequest(
                "Unrecognized field \"\(member.name)\" (\(known.count) known properties: \(names))")
        }
    }
}
