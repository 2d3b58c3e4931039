package import MillraceCore

/// The connector classes that this server knows.
package struct PluginRegistry: Sendable {
    package let plugins: [any ConnectorPlugin]

    package init(_ plugins: [any ConnectorPlugin]) {
        self.plugins = plugins
    }

    /// The plugin that `connector.class` names: by its class name, an alias, or the alias' last part, with or without
    /// the word `Connector` at its end (as Kafka Connect's own plugin aliases).
    package subscript(name: String) -> (any ConnectorPlugin)? {
        plugins.first { $0.className == name || $0.aliases.contains(name) }
            ?? plugins.first { plugin in plugin.aliases.contains { Self.shortNames(of: $0).contains(name) } }
    }

    private static func shortNames(of alias: String) -> [String] {
        guard let last = alias.split(separator: ".").last.map(String.init) else { return [] }
        let suffix = "Connector"
        return last.hasSuffix(suffix) && last != suffix ? [last, String(last.dropLast(suffix.count))] : [last]
    }
}

extension ConnectorPlugin {
    package var type: ConnectorType {
        if self is any SourcePlugin { return .source }
        return self is any SinkPlugin ? .sink : .unknown
    }
}
