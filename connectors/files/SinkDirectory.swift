import MillraceCore

/// The sink's directory as one source's task sees it: its lock, and what an earlier run left.
struct SinkDirectory {
    let storage: any FileStorage
    let path: String
    let prefix: String
    private var lock: Int32?

    init(_ storage: any FileStorage, path: String, prefix: String) {
        self.storage = storage
        self.path = path
        self.prefix = prefix
    }

    /// Two tasks that write files of one name would mix two cursors.
    mutating func open() throws(ConnectorError) {
        try storage.createDirectory(path)
        guard lock == nil else { return }
        guard let file = try storage.lock("\(path)/.\(PathText.encode(prefix)).lock") else {
            throw ConnectorError(
                .transient, code: "path_in_use", "another sink writes the files of \(prefix) in \(path)",
                hint: "give each file-sink that reads this source a path of its own")
        }
        lock = file
    }

    var isOpen: Bool { lock != nil }

    mutating func close() {
        if let lock { storage.close(lock) }
        lock = nil
    }

    /// Where a sink goes on.
    struct Resumption {
        var sequence: UInt32
        var cursor: Cursor?
        var lastCommitEnd: LSN?
    }

    /// The newest finished file of this log says how far it got; `stored` is taken where the files have been taken away.
    /// Another log (the source was reset) begins a sequence of its own behind what is there.
    func resumption(_ names: [SealedFileName], stored: Cursor?, logID: UInt64) -> Resumption {
        let stored = stored.flatMap { $0.logID == logID ? $0 : nil }
        let ours = names.filter { $0.cursor.logID == logID }
        guard let newest = ours.max(by: { $0.cursor.offset < $1.cursor.offset }) else {
            let last = names.map(\.sequence).max() ?? 0
            return Resumption(sequence: last &+ 1, cursor: stored, lastCommitEnd: stored?.commitLSN)
        }
        if let stored, stored.offset > newest.cursor.offset {
            return Resumption(sequence: newest.sequence, cursor: stored, lastCommitEnd: stored.commitLSN)
        }
        return Resumption(
            sequence: newest.sequence, cursor: newest.cursor,
            lastCommitEnd: newest.lastCommitEnd == .zero ? nil : newest.lastCommitEnd)
    }
}

/// What a sink tells others of itself, from its own thread to any.
final class SinkCounters: Sendable {
    private let status = Monitor(SinkStatus())
    private let interruption = Monitor(false)

    func add(_ body: (inout SinkStatus) -> Void) {
        status.update { body(&$0) }
    }

    func read() -> SinkStatus { status.read { $0 } }

    func interrupt() {
        interruption.update { $0 = true }
    }

    func clearInterruption() {
        interruption.update { $0 = false }
    }

    func checkInterruption() throws(ConnectorError) {
        if interruption.read({ $0 }) { throw .stopped }
    }
}
