import Logging

extension Logger {
    /// For tests that provoke errors by the dozen.
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
