package import MillraceCore

/// What the server remembers of its connectors between two runs. The only thing that a node shares, so it is small:
/// whoever implements this protocol over PostgreSQL has moved the catalog there.
///
/// Every method blocks until what it wrote is durable. Callable from any thread.
package protocol Catalog: AnyObject, Sendable {
    /// In the order in which they were created.
    func connectors() throws(ConnectorError) -> [StoredConnector]

    /// The name must not be taken.
    func insert(_ connector: StoredConnector) throws(ConnectorError)
    func setConfig(_ config: [String: String], of name: String) throws(ConnectorError)
    func setTargetState(_ state: String, of name: String) throws(ConnectorError)

    /// Marks a connector as deleted, before its log is removed.
    func beginDeletion(of name: String) throws(ConnectorError)
    /// Forgets a connector and everything that is stored for it, cursors of sinks that read from it included.
    func finishDeletion(of name: String) throws(ConnectorError)

    /// Durable cursors of the sinks that read from `source`, by sink.
    func cursors(onSource source: String) throws(ConnectorError) -> [String: Cursor]
    /// Nil forgets the cursor: the sink starts from the beginning of the log.
    func setCursor(_ cursor: Cursor?, sink: String, source: String) throws(ConnectorError)

    /// In order of their names.
    func topics(of connector: String) throws(ConnectorError) -> [String]
    func addTopics(_ topics: Set<String>, of connector: String) throws(ConnectorError)
    func removeTopics(of connector: String) throws(ConnectorError)

    /// JSON texts of a source's offsets by the JSON text of their partition, in order of the latter.
    func sourceOffsets(of connector: String) throws(ConnectorError) -> [StoredOffset]
    /// Nil removes the partition.
    func setSourceOffset(_ offset: String?, partition: String, of connector: String) throws(ConnectorError)

    func close()
}

package struct StoredConnector: Hashable, Sendable {
    package var name: String
    package var config: [String: String]
    /// `RUNNING`, `PAUSED` or `STOPPED`.
    package var targetState: String
    /// A deletion of it has begun and must be finished.
    package var isDeleted: Bool

    package init(name: String, config: [String: String], targetState: String, isDeleted: Bool = false) {
        self.name = name
        self.config = config
        self.targetState = targetState
        self.isDeleted = isDeleted
    }
}

package struct StoredOffset: Hashable, Sendable {
    package var partition: String
    package var offset: String

    package init(partition: String, offset: String) {
        self.partition = partition
        self.offset = offset
    }
}
