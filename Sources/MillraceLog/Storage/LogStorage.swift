/// What a change log asks of a disk. A type parameter of the log, so that tests can put a disk there that tears, loses
/// and refuses.
///
/// Every call may block. Handles close themselves when the last reference goes.
package protocol LogStorage: Sendable {
    associatedtype File: Sendable

    /// Names (not paths) of the files in `directory`, in any order.
    func list(_ directory: String) throws(LogError) -> [String]
    /// Makes `directory` and its parents where they are missing.
    func makeDirectory(_ directory: String) throws(LogError)
    /// A new, empty file for reading and writing. An error if there is one already.
    func create(_ path: String) throws(LogError) -> File
    /// An existing file for reading and writing.
    func open(_ path: String) throws(LogError) -> File
    func size(_ file: File) throws(LogError) -> UInt64
    /// Seconds since 1970 of the last write.
    func modificationTime(_ file: File) throws(LogError) -> Int64
    /// Fills `buffer` from `offset` on; returns less than its size only where the file ends.
    func read(_ file: File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LogError) -> Int
    /// Writes `head` and right behind it `body`, all of both. After an error any part may have been written.
    func write(
        _ file: File, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(LogError)
    /// Makes the content durable (fdatasync).
    func sync(_ file: File) throws(LogError)
    func truncate(_ file: File, to size: UInt64) throws(LogError)
    /// Gives a file another name, in one step; a file that has that name goes.
    func rename(_ path: String, to newPath: String) throws(LogError)
    func remove(_ path: String) throws(LogError)
    /// Makes the names in `directory` durable.
    func syncDirectory(_ directory: String) throws(LogError)
    /// For log ids and salts.
    func randomNumber() -> UInt64
}
