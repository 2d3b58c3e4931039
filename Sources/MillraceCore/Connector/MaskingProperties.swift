/// Properties of a source that hide values of columns from whoever reads its events: `column.mask.…`, `column.truncate.…`.
/// The change log has the values whole, so that a sink which shows rows instead of events must refuse such a source.
package enum MaskingProperties {
    package static func isMasking(_ name: String) -> Bool {
        name.hasPrefix("column.mask.") || name.hasPrefix("column.truncate.")
    }

    /// Those that a source has set, sorted.
    package static func names(in config: ConnectorConfig) -> [String] {
        config.values.keys.filter { isMasking($0) }.sorted()
    }

    /// Throws where the source hides values. `sink`: the class of the sink, for the message.
    package static func refuse(_ source: SourceDescription, for sink: String) throws(ConnectorError) {
        guard let name = names(in: source.config).first else { return }
        throw ConnectorError(
            .configuration, code: "masked_source",
            "source \(source.connectorName) hides values (\(name)), and \(sink) moves rows as they are in the change log, unmasked",
            hint:
                "read a source without column.mask and column.truncate; column.exclude.list leaves columns out of the log"
        )
    }
}
