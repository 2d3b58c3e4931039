/// Why a connector could not go on: the one error type of the connector contract.
///
/// The message never holds values of rows, nor passwords.
package struct ConnectorError: Error, Hashable, Sendable {
    /// What the runtime does about it; `RestartPolicy` maps each to retry or fail.
    package enum Kind: String, Sendable {
        /// The network, the server or the disk are not there just now: tried again with growing pauses, for ever.
        case transient
        /// The configuration or the privileges are wrong: the task fails until somebody changes them.
        case configuration
        /// Going on could lose or repeat changes (slot lost, other system, gap): the task fails until somebody decides.
        case consistency
        /// The other side refuses data that it will refuse again: the task fails.
        case data
        /// Bytes that break the protocol or the format.
        case protocolViolation
        /// The task was asked to stop.
        case stopped
        /// A broken invariant of ours.
        case bug
    }

    package var kind: Kind
    /// Stable name of the state for people and machines: `slot_missing`, `publication_gap`, `unreachable` ….
    package var code: String
    package var message: String
    /// What to do: the exact SQL, property or request. Nil where the message says it.
    package var hint: String?
    /// SQLSTATE or errno of the foreign system, where there is one.
    package var foreignCode: String?

    package init(_ kind: Kind, code: String, _ message: String, hint: String? = nil, foreignCode: String? = nil) {
        self.kind = kind
        self.code = code
        self.message = message
        self.hint = hint
        self.foreignCode = foreignCode
    }

    package static let stopped = ConnectorError(.stopped, code: "stopped", "the task was asked to stop")
}

extension ConnectorError: CustomStringConvertible {
    package var description: String {
        var text = "\(code): \(message)"
        if let foreignCode { text += " [\(foreignCode)]" }
        if let hint { text += "\n  way out: \(hint)" }
        return text
    }
}
