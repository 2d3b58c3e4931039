/// Which topics a sink reads: `topics`, `topics.regex`, or all of one source.
package enum TopicSelection: Sendable {
    case all
    case names(Set<String>)
    /// A regular expression that a topic's whole name must match.
    case pattern(String)

    /// A predicate for many calls: the expression is compiled once. Throws what is wrong with it.
    package func makeMatcher() throws -> (String) -> Bool {
        switch self {
        case .all:
            return { _ in true }
        case .names(let names):
            return { names.contains($0) }
        case .pattern(let pattern):
            let regex = try Regex(pattern)
            return { (try? regex.wholeMatch(in: $0)) != nil }
        }
    }
}
