import Envelope
import Foundation
import Logging
import MillraceCore
import Testing

@testable import FileConnector

@Suite struct DefinitionTests {
    private let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../connectors/files")
        .standardized

    private func make(
        _ config: [String: String], topics: TopicSelection = .all, prefix: String = "srv",
        source: [String: String] = [:]
    ) throws {
        let context = TaskContext(connectorName: "files", taskID: 0, logger: Logger(label: "test"))
        let source = SourceDescription(connectorName: "s", topicPrefix: prefix, config: ConnectorConfig(source))
        _ = try FileSinkPlugin().makeSink(ConnectorConfig(config), source: source, topics: topics, context)
    }

    @Test func theExampleIsValid() throws {
        struct Example: Decodable {
            var name: String
            var config: [String: String]
        }
        let example = try JSONDecoder().decode(
            Example.self, from: try Data(contentsOf: folder.appending(path: "sink.example.json")))
        #expect(example.config["connector.class"] == FileSinkPlugin().className)
        let report = ConfigValidation.report(
            on: ConnectorConfig(example.config.merging(["name": example.name]) { $1 }),
            for: FileSinkDefinition.definition, isSource: false, version: "1")
        #expect(report.entries.filter { !$0.errors.isEmpty }.map(\.key.name) == [])
        try make(example.config)
    }

    @Test func theReadmeListsEveryPropertyWithItsDefault() throws {
        let readme = String(decoding: try Data(contentsOf: folder.appending(path: "README.md")), as: UTF8.self)
        for key in FileSinkDefinition.definition.keys {
            #expect(readme.contains("| `\(key.name)` | \(key.defaultValue.map { "`\($0)`" } ?? "") |"), "\(key.name)")
        }
    }

    @Test(arguments: [
        ("path", "s3://bucket/x", "S3"), ("path", "relative", "absolute"), ("path", "", "path"),
        ("format", "xml", "format"),
        ("rotate.bytes", "0", "rotate.bytes"), ("rotate.interval.ms", "soon", "rotate.interval.ms"),
        ("transforms", "unwrap", "transforms"),
    ])
    func wrongPropertiesAreNamed(_ name: String, _ value: String, _ word: String) throws {
        let error = #expect(throws: ConnectorError.self) { try make(["path": "/out"].merging([name: value]) { $1 }) }
        #expect(error?.kind == .configuration)
        #expect(error?.message.contains(word) == true)
    }

    @Test func valuesThatTheSourceMasksAreNotWrittenInTheClear() throws {
        let error = #expect(throws: ConnectorError.self) {
            try make(["path": "/out", "format": "csv"], source: ["column.mask.with.5.chars": "public.t.secret"])
        }
        #expect(error?.code == "unsupported_property")
    }

    @Test func tooLongAPrefixIsRefusedBeforeAnyFileIsWritten() {
        #expect(throws: ConnectorError.self) { try make(["path": "/out"], prefix: String(repeating: "p", count: 100)) }
    }

    @Test func preflightLooksWhereTheFilesWouldGo() {
        let plugin = FileSinkPlugin()
        #expect(plugin.preflight(ConnectorConfig(["path": "/proc/version/x"])).map(\.property) == ["path"])
        #expect(plugin.preflight(ConnectorConfig(["path": "/tmp/not/there/yet"])).isEmpty)
        #expect(
            plugin.preflight(ConnectorConfig(["path": "/tmp", "transforms": "x"])).map(\.property) == ["transforms"])
        #expect(
            plugin.preflight(ConnectorConfig(["path": "/tmp", "converters": "x"])).map(\.property) == ["converters"])
    }

    @Test func offsetsCannotBeMovedPastFilesThatSayOtherwise() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "millrace-files-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let storage = LocalStorage()
        let source = SourceDescription(connectorName: "s", topicPrefix: "srv", config: ConnectorConfig([:]))
        let context = TaskContext(connectorName: "files", taskID: 0, logger: Logger(label: "test"))
        func reset(_ format: String) throws {
            try FileSinkPlugin().alterOffsets(
                ConnectorConfig(["path": folder.path, "format": format]), source: source, to: nil, logID: 7, context)
        }
        // Nothing there: the runtime's cursor is the only one.
        try reset("jsonl")
        try storage.createDirectory(folder.path)
        for format in ["jsonl", "csv"] {
            try reset(format)
            let cursor = Cursor(logID: 7, offset: 90, commitLSN: LSN(50), ordinal: 1)
            let name = SealedFileName(
                prefix: "srv", sequence: 1, startOffset: 0, firstLSN: LSN(40), firstOrdinal: 0, cursor: cursor,
                lastCommitEnd: LSN(51))
            let path =
                format == "csv"
                ? CSVSink.manifestPath(folder.path, prefix: "srv") : "\(folder.path)/\(name.text("jsonl"))"
            try Data().write(to: URL(filePath: path))
            let error = #expect(throws: ConnectorError.self) { try reset(format) }
            #expect(error?.code == "offsets_are_in_files" && error?.hint?.contains("move the files of srv") == true)
            try FileManager.default.removeItem(atPath: path)
        }
    }

    @Test func aRealDirectoryGetsRealFiles() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "millrace-files-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let storage = LocalStorage()
        let path = folder.path + "/a/b"
        try storage.createDirectory(path)
        var file = OutputFile(storage, temporaryPath: path + "/.x.tmp")
        file.buffer.append("line\n")
        try file.seal(as: "x.jsonl", in: path)
        #expect(try storage.list(path) == ["x.jsonl"])
        #expect(try storage.read(path + "/x.jsonl") == Array("line\n".utf8))
        #expect(try storage.read(path + "/nothing") == nil)
        let lock = try storage.lock(path + "/.lock")
        #expect(try lock != nil && storage.lock(path + "/.lock") == nil)
        lock.map { storage.close($0) }
        let error = #expect(throws: ConnectorError.self) { try storage.list(path + "/nothing") }
        #expect(error?.kind == .transient)
    }
}
