package import MillraceCore

/// One event, as ranges of `EncodedEvents.json`.
package struct EncodedEvent {
    /// Headers beyond those that say where the event came from.
    package enum Headers {
        /// Not even those: messages and transaction records.
        case none
        case context
        /// `__debezium.newkey`: the delete of a row whose key has changed.
        case newKey
        /// `__debezium.oldkey`: the create of a row whose key has changed.
        case oldKey
        /// All of them are `convertedHeaders`: the event was transformed or converted.
        case converted
    }

    /// Index into the encoder's `topics`.
    package var topic: Int
    /// Nil: no key.
    package var key: Range<Int>?
    /// Nil: a tombstone.
    package var value: Range<Int>?
    package var headers: Headers
    /// The other key of a changed key, without its schema.
    package var otherKey: Range<Int>
    package var commitLSN: LSN
    package var ordinal: UInt64
    package var commitTime: Timestamp
    /// Index into the encoder's `schemas`.
    var schemas = 0
    /// Indexes of `EncodedEvents.headers`.
    package var convertedHeaders = 0..<0
    /// Chosen by a transform; nil: by the key.
    package var partition: Int?
}

/// A header in the form that its converter gave it.
package struct EncodedHeader {
    package var name: String
    /// Range of `EncodedEvents.json`; nil: null.
    package var value: Range<Int>?
}

/// What an encoder hands out: events, and the places between them at which transactions are complete.
package enum EncodedItem {
    case event(EncodedEvent)
    case boundary(EncodedBoundary)
}

/// Everything up to `cursor` has been handed out, and nothing behind it.
package struct EncodedBoundary: Hashable {
    package var cursor: Cursor
    /// End of the last commit, which the next events name in `source.sequence`.
    package var lastCommitEnd: LSN?

    package init(cursor: Cursor, lastCommitEnd: LSN?) {
        self.cursor = cursor
        self.lastCommitEnd = lastCommitEnd
    }
}

/// Events on their way out of an encoder. Emptied and used again, so that nothing is allocated per event.
package final class EncodedEvents {
    package let json = JSONBuffer(capacity: 1 << 16)
    package private(set) var items: [EncodedItem] = []
    package private(set) var headers: [EncodedHeader] = []

    package init() {}

    package var isEmpty: Bool { items.isEmpty }

    package func removeAll() {
        json.removeAll()
        items.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
    }

    /// Takes back what an event that could not be converted has left.
    func forget(json count: Int, headers headerCount: Int) {
        json.truncate(to: count)
        headers.removeSubrange(headerCount...)
    }

    func append(_ event: EncodedEvent) {
        items.append(.event(event))
    }

    func append(_ header: EncodedHeader) {
        headers.append(header)
    }

    func append(_ boundary: EncodedBoundary) {
        items.append(.boundary(boundary))
    }
}
