/// A request that is refused: becomes Kafka Connect's error document.
package struct AdminError: Error, Hashable, Sendable {
    package var status: Int
    package var message: String
    /// Whether Kafka Connect's HTTP library answers this by itself.
    package var isFrameworkLevel: Bool

    package init(_ status: Int, _ message: String) {
        self.status = status
        self.message = message
        self.isFrameworkLevel = false
    }

    /// What Kafka Connect's HTTP library says by itself: those documents carry no Content-Type there.
    private init(framework status: Int, _ words: String) {
        self.status = status
        self.message = "HTTP \(status) \(words)"
        self.isFrameworkLevel = true
    }

    static let notFound = AdminError(framework: 404, "Not Found")
    static let methodNotAllowed = AdminError(framework: 405, "Method Not Allowed")
    static let notAcceptable = AdminError(framework: 406, "Not Acceptable")
    static let unsupportedMediaType = AdminError(framework: 415, "Unsupported Media Type")

    static func badRequest(_ message: String) -> AdminError {
        AdminError(400, message)
    }
}
