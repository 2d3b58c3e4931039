package import MillraceCore

/// The properties of `file-sink`.
package enum FileSinkDefinition {
    package static let definition = ConfigDefinition(
        keys: [
            ConfigKey(
                "path", .string, required: true, importance: .high, group: "Files", order: 1, width: .long,
                displayName: "Directory", check: checkPath,
                "Directory, as an absolute path, that the files are written into. Created if it is missing."),
            ConfigKey(
                "format", .string, default: "jsonl", importance: .high, group: "Files", order: 2, width: .short,
                displayName: "Format", allowedValues: ["jsonl", "csv"],
                "jsonl: one file for all tables, an event per line, as Debezium emits it. csv: a directory per schema and "
                    + "table, a row per line, as AWS DMS writes it."),
            ConfigKey(
                "rotate.bytes", .long, default: "134217728", group: "Files", order: 3, width: .medium,
                displayName: "Rotate by size", range: 1...(1 << 50),
                "A file is finished at the end of the transaction in which it reaches this size."),
            ConfigKey(
                "rotate.interval.ms", .long, default: "60000", group: "Files", order: 4, width: .medium,
                displayName: "Rotate by time", range: 1...(1 << 40),
                "A file that has anything in it is finished after this time at the latest."),
            ConfigKey(
                "csv.header", .boolean, default: "true", group: "CSV", order: 1, width: .short,
                displayName: "Header line",
                check: ConfigCheck.boolean, "Whether each CSV file begins with the names of its columns."),
            ConfigKey(
                "csv.unavailable.value", .string, group: "CSV", order: 2, width: .medium,
                displayName: "Unavailable value",
                "What a CSV file shows for a TOASTed value that an update left unchanged and that the source therefore did "
                    + "not send. Without it, such a value stops the sink: the way out is REPLICA IDENTITY FULL."),
        ],
        knownPrefixes: ["key.converter.", "value.converter.", "header.converter."])

    private static let checkPath: @Sendable (String) -> String? = { value in
        let path = value.trimmed
        if path.hasPrefix("s3://") || path.hasPrefix("s3a://") {
            return "S3 is not supported yet: give a directory of this machine, as an absolute path"
        }
        if !path.hasPrefix("/") { return "an absolute path is expected, one that begins with /" }
        return path.utf8.contains(0) ? "a path has no zero bytes" : nil
    }
}

/// The properties, read.
package struct FileSinkOptions: Sendable {
    package enum Format: String, Sendable {
        case jsonl
        case csv
    }

    package var path: String
    package var format: Format
    package var rotateBytes: Int
    package var rotateInterval: Duration
    package var csvHeader: Bool
    package var csvUnavailable: [UInt8]?

    package init(_ config: ConnectorConfig) throws(ConnectorError) {
        let definition = FileSinkDefinition.definition
        for key in definition.keys {
            guard let value = config[key.name] else { continue }
            if let fault = key.check?(value) { throw Self.invalid(key.name, fault) }
        }
        guard var path = config.string("path", definition)?.trimmed, !path.isEmpty else {
            throw Self.invalid("path", "a directory is expected")
        }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        self.path = path
        guard let format = Format(rawValue: (config.string("format", definition) ?? "jsonl").trimmed.lowercased())
        else {
            throw Self.invalid("format", "jsonl or csv is expected")
        }
        self.format = format
        guard let bytes = config.int("rotate.bytes", definition), bytes > 0 else {
            throw Self.invalid("rotate.bytes", "a number of bytes is expected")
        }
        rotateBytes = bytes
        guard let interval = config.milliseconds("rotate.interval.ms", definition), interval > .zero else {
            throw Self.invalid("rotate.interval.ms", "a number of milliseconds is expected")
        }
        rotateInterval = interval
        csvHeader = config.bool("csv.header", definition)
        csvUnavailable = config["csv.unavailable.value"].map { Array($0.utf8) }
    }

    private static func invalid(_ name: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(name): \(reason)")
    }
}
