import Envelope
import MillraceCore

/// Runs batches through a pipeline and gives back lines as the file sink writes them.
final class PipelineHarness {
    let pipeline: EventPipeline
    private var line: EventLine

    init(_ form: EventForm, _ headers: EventHeaders) throws {
        pipeline = try EventPipeline(form, headers: headers) { _ in true }
        line = EventLine(headers)
    }

    func lines(of batch: ChangeBatch) throws -> [String] {
        let events = EncodedEvents()
        var reader = batch.records()
        while let record = try reader.next() {
            try pipeline.encode(record, endingAt: reader.offset, of: batch, into: events)
        }
        try pipeline.finish(batch, into: events)
        let out = JSONBuffer()
        for item in events.items {
            if case .event(let event) = item { line.append(event, of: events, topics: pipeline.topics, to: out) }
        }
        return String(decoding: out.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
