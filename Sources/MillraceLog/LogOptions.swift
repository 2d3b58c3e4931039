/// Sizes of one change log, in bytes.
package struct LogOptions: Sendable {
    /// A segment is sealed and the next one begun once it has grown to this size.
    package var segmentByteLimit: Int
    /// Records are packed into frames of about this size; a larger record gets a frame of its own.
    package var frameByteLimit: Int
    /// What a spooled transaction may hold in memory before it goes to a file.
    package var spoolMemoryByteLimit: Int
    /// What is kept in memory of what one reader has read, for others that are about to read the same: two of the largest
    /// batches that sinks ask for.
    package var sharedReadByteLimit: Int

    package init(
        segmentByteLimit: Int = 64 << 20, frameByteLimit: Int = 1 << 20, spoolMemoryByteLimit: Int = 4 << 20,
        sharedReadByteLimit: Int = 32 << 20
    ) {
        self.segmentByteLimit = max(segmentByteLimit, 1)
        self.frameByteLimit = max(frameByteLimit, 1)
        self.spoolMemoryByteLimit = max(spoolMemoryByteLimit, 0)
        self.sharedReadByteLimit = max(sharedReadByteLimit, 0)
    }
}
