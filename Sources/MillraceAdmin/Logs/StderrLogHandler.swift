package import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How log lines look.
package enum LogFormat: String, Sendable, CaseIterable {
    /// For people.
    case text
    /// One JSON object per line.
    case json

    /// For people where they watch, for machines elsewhere.
    package static var automatic: LogFormat { isatty(STDERR_FILENO) == 1 ? .text : .json }
}

/// Writes log lines to standard error, each with one `write`, so that lines of several threads do not mix.
package struct StderrLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogFormat
    private let levels: LogLevels
    private var ownLevel: Logger.Level?

    package init(label: String, format: LogFormat, levels: LogLevels) {
        self.label = label
        self.format = format
        self.levels = levels
        levels.register(label)
    }

    package var logLevel: Logger.Level {
        get { ownLevel ?? levels.level(label).threshold ?? .critical }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        if ownLevel == nil && levels.level(label).threshold == nil { return }
        var fields = metadata
        if let own = event.metadata { fields.merge(own) { _, new in new } }
        if let error = event.error { fields["error"] = "\(error)" }
        let sorted = fields.sorted { $0.key < $1.key }.map { (name: $0.key, value: "\($0.value)") }
        Self.write(
            LogLine(
                time: WallClock.timestamp(), level: event.level, label: label, message: "\(event.message)",
                fields: sorted
            ).bytes(format))
    }

    private static func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { systemWrite(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
        }
    }
}

/// `write(2)`, which has the name of a method above.
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    bytes.map { write(file, $0, count) } ?? 0
}
