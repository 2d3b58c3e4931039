import MillraceCore

/// Properties of Confluent's converters that say how the registry is reached and that this client does not carry out. Those
/// that decide who is trusted, or who we are, are refused; others are left out with a word.
enum ConnectionProperties {
    private static let ways: [(ending: String, hint: String)] = [
        (
            "ssl.truststore.location",
            "put the authority that signed the registry's certificate among the system's (update-ca-certificates), which "
                + "are trusted"
        ),
        (
            "ssl.truststore.certificates",
            "put the authority that signed the registry's certificate among the system's (update-ca-certificates), which "
                + "are trusted"
        ),
        ("ssl.keystore.location", "use basic.auth.user.info: client certificates are not sent to a registry"),
        ("ssl.keystore.certificate.chain", "use basic.auth.user.info: client certificates are not sent to a registry"),
        ("ssl.keystore.key", "use basic.auth.user.info: client certificates are not sent to a registry"),
        ("ssl.engine.factory.class", "remove it: Java classes cannot be loaded"),
        ("bearer.auth.credentials.source", "use basic.auth.user.info: tokens are not sent to a registry"),
        ("bearer.auth.token", "use basic.auth.user.info: tokens are not sent to a registry"),
        ("proxy.host", "give an address in schema.registry.url that is reached without a proxy"),
    ]

    /// The names are understood with and without `schema.registry.` in front, as Confluent's client does.
    private static func plain(_ name: String) -> String {
        let prefix = "schema.registry."
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }

    static func refusal(_ properties: [String: String], _ converter: String) -> ConnectorError? {
        for (name, value) in properties.sorted(by: { $0.key < $1.key }) where !value.trimmed.isEmpty {
            guard let way = ways.first(where: { $0.ending == plain(name) }) else { continue }
            return ConnectorError(
                .configuration, code: "unsupported_property", "\(converter): \(name) is not supported: \(way.hint)")
        }
        return nil
    }

    /// Names of properties that are set and change nothing.
    static func withoutEffect(_ properties: [String: String]) -> [(name: String, reason: String)] {
        properties.keys.sorted().compactMap { name in
            let plain = plain(name)
            guard !ways.contains(where: { $0.ending == plain }) else { return nil }
            if plain == "ssl.endpoint.identification.algorithm" {
                let isWanted = properties[name]?.trimmed.lowercased() == "https"
                return isWanted ? nil : (name, "the name in the registry's certificate is always checked")
            }
            if plain.hasPrefix("ssl.") { return (name, "TLS to the registry takes the system's authorities only") }
            if plain.hasPrefix("proxy.") || plain.hasPrefix("bearer.auth.") {
                return (name, "it belongs to a property that is not supported")
            }
            return nil
        }
    }
}
