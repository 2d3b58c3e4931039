package import MillraceCore

/// Keeps passwords inside: what goes out shows a mask in their place, and a mask that comes back stands for what is stored.
package struct SecretMask: Sendable {
    package static let mask = ConfigValidation.maskedValue

    private let secretNames: Set<String>

    /// `definition`: of the connector's class; nil where that is unknown.
    package init(_ definition: ConfigDefinition?) {
        let keys = (definition?.keys ?? []) + (definition?.unlistedKeys ?? [])
        secretNames = Set(keys.filter { $0.type == .password }.map(\.name))
    }

    package func masked(_ config: [String: String]) -> [String: String] {
        Dictionary(uniqueKeysWithValues: config.map { ($0.key, masked($0.key, $0.value)) })
    }

    package func masked(_ name: String, _ value: String) -> String {
        if isSecret(name) { return value.isEmpty ? value : Self.mask }
        return value.contains("://") || name.hasSuffix("url") ? Self.maskedURL(value) : value
    }

    /// `posted` with the masks replaced by what is stored. Throws where nothing is stored for a mask.
    package func unmasked(_ posted: [String: String], stored: [String: String]) throws(AdminError) -> [String: String] {
        var result = posted
        for (name, value) in posted where value.contains(Self.mask) {
            if let old = stored[name], masked(name, old) == value {
                result[name] = old
            } else if isSecret(name) ? value == Self.mask : Self.maskedURL(value) == value {
                throw .badRequest(
                    "The value of '\(name)' is the mask \(Self.mask), and there is no stored value that it could stand "
                        + "for: give the value itself")
            }
        }
        return result
    }

    /// By the definition's type; of a property that the definition does not know, by its name.
    private func isSecret(_ name: String) -> Bool {
        if secretNames.contains(name) { return true }
        let lower = name.lowercased()
        return ["password", "secret", "passphrase", "sasl.jaas.config", "basic.auth.user.info"].contains {
            lower.hasSuffix($0)
        }
    }

    /// The password in `scheme://user:password@host` and in `…?password=…`. Rather too much is hidden than too little:
    /// a password may hold a slash that ought to have been encoded.
    static func maskedURL(_ url: String) -> String {
        var text = url
        if let scheme = url.firstRange(of: "://") {
            let rest = url[scheme.upperBound...]
            let address = rest.prefix { $0 != "?" }
            if let at = address.lastIndex(of: "@"), let colon = address[..<at].firstIndex(of: ":") {
                text = String(url[...colon]) + mask + String(url[at...])
            }
        }
        return text.replacing(#/(?i)(password=)('[^']*'|[^&\s;]*)/#) { match in
            match.output.2.isEmpty ? String(match.output.0) : String(match.output.1) + mask
        }
    }
}
