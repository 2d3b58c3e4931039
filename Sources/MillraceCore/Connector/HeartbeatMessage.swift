/// Heartbeats come through the source's own WAL, as logical messages of this prefix: they have a place among its commits,
/// and every reader of the change log finds them at the same one.
package enum HeartbeatMessage {
    private static let namespace = "millrace.heartbeat."

    /// One per slot, so that no source takes another one's heartbeats for its own.
    package static func prefix(slot: String) -> String { namespace + slot }

    /// Whether it is the prefix of a heartbeat, of whatever slot.
    package static func matches(_ prefix: UnsafeRawBufferPointer) -> Bool {
        prefix.starts(with: namespace.utf8)
    }
}
