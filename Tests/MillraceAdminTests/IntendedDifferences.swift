/// The recorded requests that Millrace answers differently on purpose; docs/ADMIN_API.md has the same list. Everything
/// else must be equal, but for what `Normalisation` leaves out.
enum IntendedDifferences {
    struct Difference: Sendable {
        /// What Millrace answers.
        var status: Int
        /// What its message must contain, where it answers an error document.
        var message: String?
        var reason: String
    }

    static let clientMistake = "the client's mistake: 400, not 500"
    static let transformsInSinks = "transformations are no plugins of the REST interface, and they run in the sinks"
    static let distributed = "as a distributed worker answers it: 404"
    static let noGhosts = "Kafka Connect shows a failed task that does not exist, from an error of its own"

    private static func mistake(_ message: String) -> Difference {
        Difference(status: 400, message: message, reason: clientMistake)
    }

    private static func transform(_ status: Int) -> Difference {
        Difference(status: status, message: nil, reason: transformsInSinks)
    }

    static let all: [Int: Difference] = [
        17: .init(status: 404, message: "Unknown connector: none", reason: distributed),
        18: .init(status: 404, message: "Unknown connector: none", reason: distributed),
        20: .init(status: 404, message: "Unknown connector: none", reason: distributed),
        39: transform(404), 40: transform(404), 41: transform(404), 42: transform(404), 44: transform(404),
        48: mistake("contains no connector type"),
        59: transform(200), 60: transform(200),
        63: mistake("which name matches com.example.Nope"),
        64: mistake("The body is not JSON"), 65: mistake("must be an object"), 66: mistake("it is empty"),
        67: mistake("The body is not JSON"), 68: mistake("it is empty"), 69: mistake("'config' is missing"),
        72: mistake("'config' is missing"), 73: mistake("'config' is missing"),
        76: .init(
            status: 400, message: "contains no connector type",
            reason: "the configuration is quoted without its password, in order of names"),
        77: .init(
            status: 400, message: "which name matches com.example.Nope",
            reason: "the message quotes Java; ours lists the classes that there are"),
        81: mistake("Unrecognized field \"foo\""), 82: mistake("tasks.max"), 84: mistake("initial_state"),
        113: mistake("not JSON"), 120: mistake("must be an object"), 146: mistake("not JSON"),
        147: mistake("it is empty"),
        144: .init(status: 200, reason: noGhosts),
        168: transform(200), 169: transform(200), 170: transform(202),
        176: .init(
            status: 400, message: "Ambiguous URI path separator", reason: "the error document instead of an HTML page"),
        183: .init(status: 200, reason: noGhosts),
        184: .init(status: 400, message: "max.batch.size", reason: "a null value is refused, and nothing is stored"),
        185: .init(status: 200, reason: "a null value is refused, and nothing is stored"),
        186: .init(status: 200, reason: "a null value is refused, and nothing is stored"),
    ]

    /// Requests whose answer consists of what the worker has: only its form is compared.
    static let lists: [Int: String] = [
        33: "list of plugins", 34: "list of plugins", 190: "list of loggers", 192: "list of loggers",
        197: "list of loggers",
    ]
}
