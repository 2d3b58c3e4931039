import Logging
import Synchronization

/// The levels that Kafka Connect's `/admin/loggers` speaks of.
package enum LogLevel: String, Sendable, CaseIterable {
    case off = "OFF"
    case fatal = "FATAL"
    case error = "ERROR"
    case warn = "WARN"
    case info = "INFO"
    case debug = "DEBUG"
    case trace = "TRACE"

    /// The least severe level of swift-log that is written; nil for none.
    var threshold: Logger.Level? {
        switch self {
        case .off: nil
        case .fatal: .critical
        case .error: .error
        case .warn: .warning
        case .info: .info
        case .debug: .debug
        case .trace: .trace
        }
    }
}

/// How much each logger says; names are dotted, and what is set for one holds for those below it.
package final class LogLevels: Sendable {
    package struct Setting: Sendable {
        package var name: String
        package var level: LogLevel
        /// Milliseconds since 1970; nil: as at start.
        package var lastModified: Int64?
    }

    private struct State {
        var settings: [String: (level: LogLevel, lastModified: Int64?)]
        var known: Set<String> = []
    }

    private static let root = "root"
    private let state: Mutex<State>

    package init(_ level: LogLevel = .info) {
        state = Mutex(State(settings: [Self.root: (level, nil)]))
    }

    /// Tells of a logger that exists, so that it is listed.
    func register(_ name: String) {
        if !name.isEmpty { state.withLock { _ = $0.known.insert(name) } }
    }

    /// What is in force for a logger: its own setting or that of the nearest one above.
    package func level(_ name: String) -> LogLevel {
        state.withLock { Self.level(name, $0) }
    }

    private static func level(_ name: String, _ state: State) -> LogLevel {
        setting(name, state).level
    }

    private static func setting(_ name: String, _ state: State) -> (level: LogLevel, lastModified: Int64?) {
        var prefix = name[...]
        while true {
            if let setting = state.settings[String(prefix)] { return setting }
            guard let dot = prefix.lastIndex(of: ".") else { break }
            prefix = prefix[..<dot]
        }
        return state.settings[root] ?? (.info, nil)
    }

    /// Nil for a logger that nobody has made or set.
    package func find(_ name: String) -> Setting? {
        state.withLock { state in
            guard state.known.contains(name) || state.settings[name] != nil else { return nil }
            let setting = Self.setting(name, state)
            return Setting(name: name, level: setting.level, lastModified: setting.lastModified)
        }
    }

    package func all() -> [Setting] {
        state.withLock { state in
            state.known.union(state.settings.keys).sorted().map { name in
                let setting = Self.setting(name, state)
                return Setting(name: name, level: setting.level, lastModified: setting.lastModified)
            }
        }
    }

    /// Sets a logger and those below it; returns their names.
    package func set(_ name: String, _ level: LogLevel) -> [String] {
        let now = Int64(WallClock.secondsSince1970() * 1000)
        return state.withLock { state in
            let names = state.known.union(state.settings.keys).union([name])
            let affected = names.filter { name == Self.root || $0 == name || $0.hasPrefix(name + ".") }.sorted()
            for other in affected { state.settings[other] = nil }
            state.settings[name] = (level, now)
            return affected
        }
    }
}
