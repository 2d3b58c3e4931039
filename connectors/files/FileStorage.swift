package import MillraceCore

/// What a file sink asks of a file system. A parameter, so that a test can stop it at any step.
package protocol FileStorage: AnyObject, Sendable {
    /// With everything above it; no error if it is there.
    func createDirectory(_ path: String) throws(ConnectorError)
    /// Names in a directory, in no order.
    func list(_ directory: String) throws(ConnectorError) -> [String]
    /// Opens for writing at the end; `truncating`: empties the file first.
    func open(_ path: String, truncating: Bool) throws(ConnectorError) -> Int32
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(ConnectorError)
    /// Until it returns, nothing that was written is sure.
    func sync(_ file: Int32) throws(ConnectorError)
    func close(_ file: Int32)
    func rename(_ from: String, _ to: String) throws(ConnectorError)
    /// No error if it is not there.
    func remove(_ path: String) throws(ConnectorError)
    /// Makes names that were added, removed or changed sure.
    func syncDirectory(_ path: String) throws(ConnectorError)
    /// Nil: not there.
    func read(_ path: String) throws(ConnectorError) -> [UInt8]?
    /// Keeps others off; nil: somebody else holds it. Ends with `close`.
    func lock(_ path: String) throws(ConnectorError) -> Int32?
}
