import Envelope
package import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `file-sink`: the changes of each source as files of JSON lines or CSV.
package struct FileSinkPlugin: SinkPlugin {
    package init() {}

    package var className: String { "file-sink" }
    package var aliases: [String] { [] }
    package var definition: ConfigDefinition { FileSinkDefinition.definition }

    package func preflight(_ config: ConnectorConfig) -> [ConfigFinding] {
        var findings = EnvelopeOptions.refusals(config)
        do throws(ConnectorError) {
            _ = try TransformChain(config)
        } catch {
            findings.append(ConfigFinding("transforms", error.message))
        }
        for property in ["key.converter", "value.converter"] {
            guard let name = config[property], ConverterChoice.Kind(className: name)?.isBinary == true else { continue }
            findings.append(ConfigFinding(property, "a line of JSON cannot hold what this converter writes"))
        }
        if let path = config["path"]?.trimmed, path.hasPrefix("/"), let fault = Self.fault(in: path) {
            findings.append(ConfigFinding("path", fault))
        }
        return findings
    }

    package func makeSink(
        _ config: ConnectorConfig, source: SourceDescription, topics: TopicSelection, _ context: TaskContext
    ) throws(ConnectorError) -> any Sink {
        let options = try FileSinkOptions(config)
        guard PathText.encode(source.topicPrefix).utf8.count + SealedFileName.fixedLength <= 255 else {
            throw ConnectorError(
                .configuration, code: "name_too_long",
                "topic.prefix of source \(source.connectorName) is too long to be part of a file's name",
                hint: "choose a topic.prefix of at most \(255 - SealedFileName.fixedLength) characters")
        }
        let isWanted: (String) -> Bool
        do {
            isWanted = try topics.makeMatcher()
        } catch {
            throw ConnectorError(.configuration, code: "invalid_property", "topics.regex: \(error)")
        }
        switch options.format {
        case .jsonl:
            let form = try EventForm(ofSource: source, sink: config)
            return try JSONLinesSink(
                options, form, prefix: source.topicPrefix, isWanted: isWanted, storage: LocalStorage(),
                logger: context.logger)
        case .csv:
            if let masking = EnvelopeOptions.maskings(source.config).first {
                throw ConnectorError(
                    .configuration, code: "unsupported_property", "\(masking.property ?? ""): \(masking.message)")
            }
            return CSVSink(
                options, prefix: source.topicPrefix, isWanted: isWanted, storage: LocalStorage(), logger: context.logger
            )
        }
    }

    /// Where there are files, they say how far the sink is, and only moving them changes that.
    package func alterOffsets(
        _ config: ConnectorConfig, source: SourceDescription, to cursor: Cursor?, logID: UInt64, _ context: TaskContext
    ) throws(ConnectorError) {
        let options = try FileSinkOptions(config)
        let prefix = source.topicPrefix
        guard access(options.path, F_OK) == 0 else { return }
        let saysHowFar: String?
        switch options.format {
        case .jsonl:
            saysHowFar = try LocalStorage().list(options.path).first {
                SealedFileName($0, prefix: prefix, pathExtension: "jsonl")?.cursor.logID == logID
            }
        case .csv:
            let manifest = CSVSink.manifestPath(options.path, prefix: prefix)
            saysHowFar = access(manifest, F_OK) == 0 ? manifest : nil
        }
        guard let saysHowFar else { return }
        throw ConnectorError(
            .configuration, code: "offsets_are_in_files",
            "the sink goes on behind what its files in \(options.path) hold, as \(saysHowFar) says",
            hint: "to start from the beginning, move the files of \(prefix) out of \(options.path) first")
    }

    /// Looks whether we may write where `path` is, or where it would be created.
    private static func fault(in path: String) -> String? {
        var directory = path
        while access(directory, F_OK) != 0 {
            guard let slash = directory.lastIndex(of: "/"), slash > directory.startIndex else {
                directory = "/"
                break
            }
            directory = String(directory[..<slash])
        }
        var status = stat()
        guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            return "\(directory) is not a directory"
        }
        return access(directory, W_OK | X_OK) == 0
            ? nil : "no permission to write in \(directory); give it to the user that runs the server"
    }
}
