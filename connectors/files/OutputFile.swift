import Envelope
import MillraceCore

/// A file on its way: it has a temporary name until everything in it is on disk.
struct OutputFile {
    private let storage: any FileStorage
    let temporaryPath: String
    private var handle: Int32?
    let buffer = JSONBuffer(capacity: 1 << 16)
    private var written = 0

    static let bufferLimit = 1 << 20

    init(_ storage: any FileStorage, temporaryPath: String) {
        self.storage = storage
        self.temporaryPath = temporaryPath
    }

    var byteCount: Int { written + buffer.count }
    var isEmpty: Bool { byteCount == 0 }

    /// Hands what has gathered to the operating system.
    mutating func spill() throws(ConnectorError) {
        guard buffer.count > 0 else { return }
        let file: Int32
        if let handle {
            file = handle
        } else {
            file = try storage.open(temporaryPath, truncating: written == 0)
            handle = file
        }
        try storage.write(file, buffer.bytes)
        written += buffer.count
        buffer.removeAll()
    }

    /// Gives the descriptor back; the file is opened again when there is more.
    mutating func release() throws(ConnectorError) {
        guard let handle else { return }
        self.handle = nil
        // A descriptor that is opened later learns of errors only from then on: make sure now.
        try sync(handle)
    }

    /// Makes the content sure, under the temporary name.
    mutating func finish() throws(ConnectorError) {
        try spill()
        try release()
    }

    private func sync(_ file: Int32) throws(ConnectorError) {
        defer { storage.close(file) }
        try storage.sync(file)
    }

    /// Makes the content sure and gives it its name in `directory`; then the name is sure too.
    mutating func seal(as name: String, in directory: String) throws(ConnectorError) {
        try finish()
        // Killed here: the file still has its temporary name, is removed at the next start and written again.
        try storage.rename(temporaryPath, directory + "/" + name)
        // Killed here: the name is there or not; both are true to the content.
        try storage.syncDirectory(directory)
        written = 0
    }

    /// Lets go of the file and leaves it where it is.
    mutating func abandon() {
        if let handle { storage.close(handle) }
        handle = nil
    }

    /// Forgets the content.
    mutating func discard() {
        abandon()
        buffer.removeAll()
        written = 0
        try? storage.remove(temporaryPath)
    }
}
