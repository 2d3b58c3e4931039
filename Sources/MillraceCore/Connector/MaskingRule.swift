/// What the name of a masking property says: `column.mask.with.N.chars`, `column.mask.hash(.v2).ALGORITHM.with.salt.SALT`,
/// `column.truncate.to.N.chars`.
package enum MaskingRule: Hashable, Sendable {
    case mask(count: Int)
    case hash(algorithm: String, salt: String, HashVersion)
    case truncate(count: Int)

    package enum HashVersion: Sendable {
        /// The value as Java serialises a string.
        case v1
        /// The value's UTF-8 bytes.
        case v2
    }

    /// Why there is no rule of that name.
    package struct Fault: Error {
        package var reason: String
    }

    /// Names of Java's MessageDigest, but for MD2, which OpenSSL no longer has.
    private static let algorithms: Set<String> = [
        "MD5", "SHA", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA-512/224", "SHA-512/256", "SHA3-224",
        "SHA3-256", "SHA3-384", "SHA3-512",
    ]

    /// Nil for a property that has nothing to do with masking. Throws for one that has, and that no rule can be made of: no
    /// masking is ever left out in silence.
    package init?(property name: String) throws(Fault) {
        guard MaskingProperties.isMasking(name) else { return nil }
        if let rest = name.suffix(behind: "column.mask.hash.") {
            self = try MaskingRule.hash(rest)
        } else if let rest = name.suffix(behind: "column.mask.with.") {
            self = .mask(count: try MaskingRule.count(rest))
        } else if let rest = name.suffix(behind: "column.truncate.to.") {
            let count = try MaskingRule.count(rest)
            guard count > 0 else { throw Fault(reason: "a length of at least 1 is expected") }
            self = .truncate(count: count)
        } else {
            throw Fault(
                reason: "column.mask.hash.<algorithm>.with.salt.<salt>, column.mask.with.<n>.chars or "
                    + "column.truncate.to.<n>.chars is expected")
        }
    }

    private static func hash(_ text: String) throws(Fault) -> MaskingRule {
        let version: HashVersion = text.hasPrefix("v2.") ? .v2 : .v1
        let parts = (version == .v2 ? text.dropFirst(3) : text[...])
            .split(separator: ".with.salt.", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else {
            throw Fault(reason: "column.mask.hash.<algorithm>.with.salt.<salt> is expected")
        }
        let algorithm = String(parts[0])
        guard algorithms.contains(algorithm.uppercased()) else {
            throw Fault(
                reason: "there is no hash algorithm '\(algorithm)'; SHA-256 and SHA-512 are the usual ones, and "
                    + "\(algorithms.subtracting(["SHA-256", "SHA-512"]).sorted().joined(separator: ", ")) are there too"
            )
        }
        return .hash(algorithm: algorithm, salt: String(parts[1]), version)
    }

    /// `12.chars`
    private static func count(_ text: String) throws(Fault) -> Int {
        guard text.hasSuffix(".chars"), let count = Int(text.dropLast(6)), (0...1_000_000).contains(count) else {
            throw Fault(reason: "a number of characters is expected in the name, followed by .chars")
        }
        return count
    }
}
