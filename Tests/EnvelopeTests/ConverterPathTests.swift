import Envelope
import MillraceCore
import MillraceTesting
import Testing

/// Events that leave as the encoder wrote them, and the same through values, transforms and converters.
@Suite struct ConverterPathTests {
    /// Does nothing, so that events take the long way.
    private final class Identity: Transform {
        func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? { record }
    }

    private static let recordings = [
        "01-basic-crud", "02-schemas-enabled", "03-types-numeric-precise", "06-types-character", "07-time-adaptive",
        "22-types-arrays", "26-unknown-types-on", "35-pk-update", "37-truncate-published", "40-toast-unchanged",
        "44-column-exclude", "48-schema-evolution", "57-logical-messages", "59-transaction-metadata",
    ]

    private static let settings: [[String: String]] = [
        [:],
        ["key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"],
        ["value.converter.decimal.format": "NUMERIC", "value.converter.schemas.enable": "true"],
        ["value.converter.replace.null.with.default": "false", "key.converter.replace.null.with.default": "false"],
        ["schema.name.adjustment.mode": "avro_unicode", "field.name.adjustment.mode": "avro"],
    ]

    /// Times of writing differ between two runs.
    private static func withoutTimes(_ line: String) -> String {
        line.replacing(/,"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+}/, with: "}").replacing(/"ts_ms":\d+/, with: "")
    }

    @Test(arguments: recordings)
    func bothPathsWriteTheSameBytes(_ name: String) throws {
        let capture = try Capture(name)
        for setting in Self.settings {
            var config = capture.config
            config.values.merge(setting) { $1 }
            let source = SourceDescription(connectorName: "inventory", topicPrefix: "srv", config: config)
            let direct = try EventForm(source: source, sink: ConnectorConfig([:]))
            let long = try EventForm(source: source, sink: ConnectorConfig([:])) { [Identity()] }
            #expect(direct.isDirect && !long.isDirect)
            let headers = EventHeaders(direct.options, runID: "run")
            let one = try PipelineHarness(direct, headers).lines(of: capture.batch).map(Self.withoutTimes)
            let other = try PipelineHarness(long, headers).lines(of: capture.batch).map(Self.withoutTimes)
            #expect(one.count == other.count && !one.isEmpty)
            for (left, right) in zip(one, other) where left != right {
                Issue.record("\(setting)\n\(left)\n\(right)")
                break
            }
        }
    }

    @Test(arguments: recordings)
    func theLongWayEqualsTheRecording(_ name: String) throws {
        let capture = try Capture(name)
        let source = SourceDescription(connectorName: "inventory", topicPrefix: "srv", config: capture.config)
        let form = try EventForm(source: source, sink: ConnectorConfig([:])) { [Identity()] }
        let actual = try PipelineHarness(form, EventHeaders(form.options)).lines(of: capture.batch)
        let differences = EventComparison.differences(expected: capture.expected, actual: actual)
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }
}
