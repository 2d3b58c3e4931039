/// A value in Kafka Connect's data model. What it means is in its schema; without one it is its own case.
package enum ConnectValue: Sendable, Hashable {
    case null
    case int8(Int8)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case boolean(Bool)
    case string(String)
    /// Decimals too: the unscaled value, big-endian, two's complement, under the schema's `scale`.
    case bytes([UInt8])
    case array([ConnectValue])
    /// In order. Without a schema this is what a structure is.
    case map([ConnectEntry])
    /// One value for each field of the schema, in their order.
    case structure([ConnectValue])

    package var isNull: Bool { self == .null }
}

/// A pair of a map.
package struct ConnectEntry: Sendable, Hashable {
    package var key: ConnectValue
    package var value: ConnectValue

    package init(_ key: ConnectValue, _ value: ConnectValue) {
        self.key = key
        self.value = value
    }
}
