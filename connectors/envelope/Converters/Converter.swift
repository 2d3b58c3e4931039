package import MillraceCore

/// Turns keys, values or headers into the bytes that leave (`org.apache.kafka.connect.storage.Converter`). Used by one
/// thread; keeps what it has worked out per schema.
package protocol Converter: AnyObject {
    /// Whether a line of JSON can hold the bytes, and how.
    var form: ConvertedForm { get }

    /// Appends the bytes of one value. False: there are none (a tombstone, an absent key). What was appended before an
    /// error is thrown is the caller's to forget.
    func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool
}

/// What the bytes of a converter are.
package enum ConvertedForm: Sendable {
    case json
    case text
    case binary
}

/// Something made once per schema. Schemas are known by identity first, by content only where a new object comes.
struct SchemaMemo<Value> {
    private var last: (schema: ConnectSchema, value: Value)?
    private var byIdentity: [ObjectIdentifier: (schema: ConnectSchema, value: Value)] = [:]
    private var byContent: [ConnectSchema: Value] = [:]
    /// Objects beyond this many are forgotten; transforms may make new ones without end.
    private static var limit: Int { 1000 }

    mutating func value(
        for schema: ConnectSchema, make: () throws(ConnectorError) -> Value
    ) throws(ConnectorError) -> Value {
        if let last, last.schema === schema { return last.value }
        let identity = ObjectIdentifier(schema)
        if let known = byIdentity[identity] {
            last = known
            return known.value
        }
        let value: Value
        if let known = byContent[schema] {
            value = known
        } else {
            value = try make()
            if byContent.count >= Self.limit { byContent.removeAll() }
            byContent[schema] = value
        }
        if byIdentity.count >= Self.limit { byIdentity.removeAll() }
        byIdentity[identity] = (schema, value)
        last = (schema, value)
        return value
    }
}
