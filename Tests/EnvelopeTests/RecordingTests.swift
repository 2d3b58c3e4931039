import Envelope
import MillraceCore
import MillraceTesting
import Testing

/// The envelope against what Debezium itself emitted, without a server.
@Suite struct RecordingTests {
    @Test(arguments: [
        "01-basic-crud", "02-schemas-enabled", "03-types-numeric-precise", "06-types-character", "07-time-adaptive",
        "22-types-arrays", "26-unknown-types-on", "35-pk-update", "37-truncate-published", "40-toast-unchanged",
        "44-column-exclude", "48-schema-evolution", "57-logical-messages", "59-transaction-metadata",
    ])
    func eventsEqualTheRecording(_ name: String) throws {
        let capture = try Capture(name)
        let source = SourceDescription(connectorName: "inventory", topicPrefix: "srv", config: capture.config)
        let options = try EnvelopeOptions(source: source, sink: ConnectorConfig([:]))
        let actual = try EventHarness(options).lines(of: capture.batch)
        let differences = EventComparison.differences(expected: capture.expected, actual: actual)
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }
}
