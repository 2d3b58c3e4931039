import Envelope
import Logging
import MillraceCore
import MillraceTesting

@testable import FileConnector

/// Feeds batches to file sinks over one storage, restarting them as the server would.
final class SinkRun {
    let storage = MemoryStorage()
    var properties: [String: String]
    var clock = ContinuousClock.now
    private(set) var stored: Cursor?

    init(_ properties: [String: String] = [:]) {
        self.properties = properties.merging(["path": "/out"]) { $1 }
    }

    func makeSink() throws -> any Sink {
        let config = ConnectorConfig(properties)
        let options = try FileSinkOptions(config)
        let source = SourceDescription(connectorName: "s", topicPrefix: "srv", config: config)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        switch options.format {
        case .jsonl:
            let form = try EventForm(ofSource: source, sink: config)
            return try JSONLinesSink(
                options, form, prefix: "srv", isWanted: { _ in true }, storage: storage, logger: logger,
                now: { self.clock })
        case .csv:
            return CSVSink(
                options, prefix: "srv", isWanted: { _ in true }, storage: storage, logger: logger,
                now: { self.clock })
        }
    }

    /// Gives the sink what lies behind its cursor, as the log would; notes what it calls durable.
    func deliver(_ batches: [ChangeBatch], to sink: any Sink, logID: UInt64 = 1) throws {
        let begun = try sink.start(after: stored, logID: logID)
        for batch in batches where batch.end.offset > begun?.offset ?? 0 {
            // Cursors of these tests lie between batches.
            if case .durable(let cursor) = try sink.write(batch) { stored = cursor }
        }
        if let cursor = try sink.flush() { stored = cursor }
    }

    /// All finished files, in the order of their names.
    func text(_ pathExtension: String) -> String {
        storage.finished(pathExtension).compactMap { storage.content($0) }.joined()
    }

    /// Events without what differs from run to run.
    var events: [String] {
        let lines = text("jsonl").replacing(/"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"/, with: "\"run\"")
        return EventComparison.normalized(lines.split(separator: "\n").map(String.init))
    }
}
