/// A request as the routes see it: the path taken apart and decoded once.
package struct AdminRequest: Sendable {
    package var method: String
    /// Decoded, without empty ones at the end.
    package var segments: [String]
    package var query: [(name: String, value: String)]
    /// Host and port as the client named them.
    package var authority: String?
    package var body: [UInt8] = []

    /// The values of a query parameter that may be repeated.
    func queryValues(_ name: String) -> [String] {
        query.filter { $0.name == name }.map(\.value)
    }

    /// Java's `Boolean.valueOf`: whatever is not `true` is false.
    func queryFlag(_ name: String, default standard: Bool = false) -> Bool {
        queryValues(name).first.map { $0.lowercased() == "true" } ?? standard
    }

    /// The body as JSON. Throws what is wrong with it.
    func json() throws -> JSONDocument {
        if body.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
            throw AdminError.badRequest("The body is not JSON: it is empty")
        }
        do {
            return try JSONParser.parse(body)
        } catch {
            throw AdminError.badRequest(error.description)
        }
    }

    // MARK: Paths

    /// Takes a request target apart. Throws for one that could be read in two ways.
    static func parse(target: String) throws(AdminError) -> (
        segments: [String], query: [(name: String, value: String)]
    ) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var raw = (parts.first ?? "").split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        while raw.last == "" { raw.removeLast() }
        var segments: [String] = []
        for segment in raw {
            guard let text = percentDecoded(segment) else { throw .badRequest("The path is not percent-encoded UTF-8") }
            // A slash that was encoded is data to some and a separator to others.
            if text.contains("/") || text.contains("\\") { throw .badRequest("Ambiguous URI path separator") }
            segments.append(text)
        }
        let query = (parts.count > 1 ? parts[1] : "").split(separator: "&").map { pair in
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (name: formDecoded(halves[0]), value: halves.count > 1 ? formDecoded(halves[1]) : "")
        }
        return (segments, query)
    }

    private static func formDecoded(_ text: Substring) -> String {
        let spaced = String(text.map { $0 == "+" ? " " : $0 })
        return percentDecoded(spaced[...]) ?? spaced
    }

    /// Nil where a percent sign is followed by no two digits, and where the result is no UTF-8.
    static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// For the last part of a `Location`: what RFC 3986 allows in a segment stays as it is.
    package static func percentEncoded(segment: String) -> String {
        let plain = Set("-._~!$&'()*+,;=:@".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in segment.utf8 {
            let isLetterOrDigit =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            if isLetterOrDigit || plain.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
