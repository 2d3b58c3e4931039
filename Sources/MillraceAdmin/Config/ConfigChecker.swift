package import MillraceCore
package import MillraceRuntime

/// Judges configurations: the class, then every property by itself, then the plugin's own look at the other system.
package struct ConfigChecker: Sendable {
    package let plugins: PluginRegistry
    package let version: String

    package init(plugins: PluginRegistry, version: String) {
        self.plugins = plugins
        self.version = version
    }

    /// Throws 400 where no class is named, or one that does not exist.
    package func plugin(_ config: [String: String]) throws(AdminError) -> any ConnectorPlugin {
        guard let name = config["connector.class"]?.trimmed, !name.isEmpty else {
            let shown = SecretMask(nil).masked(config).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            throw .badRequest("Connector config {\(shown.joined(separator: ", "))} contains no connector type")
        }
        guard let plugin = plugins[name] else {
            let available = plugins.plugins.flatMap { [$0.className] + $0.aliases }.joined(separator: ", ")
            throw .badRequest(
                "Failed to find any class that implements Connector and which name matches \(name), available "
                    + "connectors are: \(available)")
        }
        return plugin
    }

    package func mask(_ config: [String: String]) -> SecretMask {
        SecretMask(config["connector.class"].flatMap { plugins[$0.trimmed] }?.definition)
    }

    /// Every property by itself; nothing is connected to.
    package func properties(_ config: [String: String]) throws(AdminError) -> ConfigReport {
        let plugin = try plugin(config)
        return ConfigValidation.report(
            on: ConnectorConfig(config), for: plugin.definition, isSource: plugin.type == .source, version: version)
    }

    /// Adds the plugin's preflight, which may take as long as its timeouts say. Not done where the plugin's own
    /// properties are wrong.
    package func preflight(_ report: ConfigReport, _ config: [String: String]) async throws -> ConfigReport {
        let plugin = try plugin(config)
        let own = Set(plugin.definition.keys.map(\.name))
        if report.entries.contains(where: { own.contains($0.key.name) && !$0.errors.isEmpty }) { return report }
        let findings = try await WorkerThread.run("preflight") { plugin.preflight(ConnectorConfig(config)) }
        var report = report
        report.add(findings)
        return report
    }
}
