package import MillraceCore

/// One event between the encoder, the transforms and the converters (`org.apache.kafka.connect.source.SourceRecord`).
package struct ConnectRecord: Sendable, Hashable {
    package var topic: String
    /// Nil: the sink chooses by the key.
    package var partition: Int?
    /// Nil: the key has no schema, or there is no key (`key` is null).
    package var keySchema: ConnectSchema?
    package var key: ConnectValue
    /// Nil: the value has no schema, or is a tombstone (`value` is null).
    package var valueSchema: ConnectSchema?
    package var value: ConnectValue
    package var headers: [ConnectHeader]
    /// Milliseconds since 1970: the source's commit.
    package var timestamp: Int64?
    /// Where the change stands in the log.
    package var commitLSN: LSN
    package var ordinal: UInt64

    package init(
        topic: String, partition: Int? = nil, keySchema: ConnectSchema? = nil, key: ConnectValue = .null,
        valueSchema: ConnectSchema? = nil, value: ConnectValue = .null, headers: [ConnectHeader] = [],
        timestamp: Int64? = nil, commitLSN: LSN = .zero, ordinal: UInt64 = 0
    ) {
        self.topic = topic
        self.partition = partition
        self.keySchema = keySchema
        self.key = key
        self.valueSchema = valueSchema
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
        self.commitLSN = commitLSN
        self.ordinal = ordinal
    }
}

/// A header of an event. Several may have the same key.
package struct ConnectHeader: Sendable, Hashable {
    package var key: String
    package var schema: ConnectSchema?
    package var value: ConnectValue

    package init(_ key: String, _ schema: ConnectSchema?, _ value: ConnectValue) {
        self.key = key
        self.schema = schema
        self.value = value
    }
}

/// A single message transformation. Used by one thread; may keep what it has worked out (schemas, by identity).
package protocol Transform: AnyObject {
    /// The record that takes this one's place; nil drops it.
    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord?
}
