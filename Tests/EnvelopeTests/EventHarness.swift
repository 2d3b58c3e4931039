import Envelope
import MillraceCore

/// Runs batches through an encoder and gives back lines as the file sink writes them.
final class EventHarness {
    let encoder: EnvelopeEncoder
    private var line: EventLine
    private(set) var boundaries: [EncodedBoundary] = []

    init(
        _ options: EnvelopeOptions, resumedAt: Cursor? = nil, lastCommitEnd: LSN? = nil,
        isWanted: @escaping (String) -> Bool = { _ in true }
    ) {
        encoder = EnvelopeEncoder(options, resumedAt: resumedAt, lastCommitEnd: lastCommitEnd, isWanted: isWanted)
        line = EventLine(EventHeaders(options))
    }

    func lines(of batch: ChangeBatch) throws -> [String] {
        let events = EncodedEvents()
        var reader = batch.records()
        while let record = try reader.next() {
            try encoder.encode(record, endingAt: reader.offset, of: batch, into: events)
        }
        encoder.finish(batch, into: events)
        let out = JSONBuffer()
        for item in events.items {
            switch item {
            case .event(let event): line.append(event, of: events, topics: encoder.topics, to: out)
            case .boundary(let boundary): boundaries.append(boundary)
            }
        }
        return String(decoding: out.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
