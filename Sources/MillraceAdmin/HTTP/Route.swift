/// One path and what can be done there.
struct Route: Sendable {
    typealias Handler = @Sendable (_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse

    struct Action: Sendable {
        var method: String
        /// Whether the request has a JSON document as its body.
        var takesBody: Bool
        var handler: Handler
    }

    private enum Part: Sendable {
        case literal(String)
        case text
    }

    private let parts: [Part]
    private(set) var actions: [Action]
    /// What an answer consists of.
    let produces: String

    /// `path`: parts between slashes; `*` stands for any text.
    init(_ path: String, produces: String = "application/json", _ actions: [Action]) {
        parts = path.split(separator: "/").map { part in
            part == "*" ? .text : .literal(String(part))
        }
        self.actions = actions
        self.produces = produces
    }

    /// The texts that the wild cards stand for; nil where the path is another.
    func captures(_ segments: [String]) -> [String]? {
        guard segments.count == parts.count else { return nil }
        var captures: [String] = []
        for (part, segment) in zip(parts, segments) {
            switch part {
            case .literal(let literal):
                if literal != segment { return nil }
            case .text:
                captures.append(segment)
            }
        }
        return captures
    }

    func action(_ method: String) -> Action? {
        actions.first { $0.method == method } ?? (method == "HEAD" ? actions.first { $0.method == "GET" } : nil)
    }

    /// In the order in which Kafka Connect lists them.
    var allowedMethods: [String] {
        let methods = Set(actions.map(\.method))
        let known = methods.contains("GET") ? methods.union(["HEAD"]) : methods
        return ["HEAD", "POST", "GET", "PUT", "PATCH", "DELETE"].filter { known.contains($0) } + ["OPTIONS"]
    }
}

extension Route.Action {
    static func get(_ handler: @escaping Route.Handler) -> Route.Action {
        Route.Action(method: "GET", takesBody: false, handler: handler)
    }

    static func post(takesBody: Bool = false, _ handler: @escaping Route.Handler) -> Route.Action {
        Route.Action(method: "POST", takesBody: takesBody, handler: handler)
    }

    static func put(takesBody: Bool = false, _ handler: @escaping Route.Handler) -> Route.Action {
        Route.Action(method: "PUT", takesBody: takesBody, handler: handler)
    }

    static func patch(_ handler: @escaping Route.Handler) -> Route.Action {
        Route.Action(method: "PATCH", takesBody: true, handler: handler)
    }

    static func delete(_ handler: @escaping Route.Handler) -> Route.Action {
        Route.Action(method: "DELETE", takesBody: false, handler: handler)
    }
}
