/// Guesses what a misspelt property was meant to be.
package enum PropertyNames {
    /// Names that Debezium had before its version 2, and what they are called now.
    static let oldNames = [
        "table.whitelist": "table.include.list", "table.blacklist": "table.exclude.list",
        "schema.whitelist": "schema.include.list", "schema.blacklist": "schema.exclude.list",
        "column.whitelist": "column.include.list", "column.blacklist": "column.exclude.list",
        "database.server.name": "topic.prefix", "publication.autocreate": "publication.autocreate.mode",
    ]

    private static let currentNames = Dictionary(oldNames.map { ($1, $0) }) { first, _ in first }

    /// What a property was called before; nil for most.
    static func oldName(of name: String) -> String? { currentNames[name] }

    /// The known name that `name` is most likely a slip of; nil if it is like none of them.
    package static func likelyMeant(_ name: String, among known: [String]) -> String? {
        if let current = oldNames[name], known.contains(current) { return current }
        let bytes = normalized(name)
        // A short name has many neighbours that are no slips of it.
        let limit = bytes.count < 8 ? 1 : 2
        var best: (name: String, distance: Int)?
        for candidate in known {
            let other = normalized(candidate)
            guard abs(other.count - bytes.count) <= limit else { continue }
            let distance = editDistance(bytes, other)
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Lower case, with one sign for all that people put between words.
    private static func normalized(_ name: String) -> [UInt8] {
        name.lowercased().utf8.map { byte in
            byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") ? UInt8(ascii: ".") : byte
        }
    }

    /// Insertions, deletions, replacements and exchanges of neighbours that make one out of the other.
    static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            current.reserveCapacity(right.count + 1)
            for column in 1...right.count {
                let isSame = left[row - 1] == right[column - 1]
                var best = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    best = min(best, beforeLast[column - 2] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
