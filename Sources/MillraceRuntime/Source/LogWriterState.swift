import MillraceCore
import MillraceLog

/// What waits to be written to a log, and how far writing is: the part of a `LogWriter` that both threads touch.
struct LogWriterState {
    enum Item {
        case buffer(RecordBuffer)
        case spool(any TransactionSpool, TransactionInfo)
        case rollBack
        case reset
    }

    private(set) var queue: [Item] = []
    private var head = 0
    /// Bytes handed over and not written yet.
    private(set) var queuedBytes = 0
    /// Items ever handed over, and those of them that are durable.
    private(set) var submitted: UInt64 = 0
    var durableCount: UInt64 = 0
    var durableLSN = LSN.zero
    var recovered: RecoveredLog
    /// Whether what was submitted ends inside a transaction.
    private(set) var submittedOpenTransaction = false
    /// Why the log takes nothing just now; it is tried again.
    var stall: ConnectorError?
    /// Why it never will again.
    var failure: ConnectorError?
    var isStopping = false
    private var pool: [RecordBuffer] = []

    init(recovered: RecoveredLog) {
        self.recovered = recovered
        durableLSN = recovered.lastEndLSN ?? .zero
    }

    var isEmpty: Bool { head == queue.count }

    static let pooledBuffers = 4

    mutating func takeBuffer() -> RecordBuffer {
        pool.popLast() ?? RecordBuffer()
    }

    mutating func recycle(_ buffer: RecordBuffer) {
        buffer.removeAll()
        if pool.count < Self.pooledBuffers { pool.append(buffer) }
    }

    mutating func push(_ item: Item) {
        switch item {
        case .buffer(let buffer):
            queuedBytes += buffer.count
            if !buffer.isEmpty { submittedOpenTransaction = buffer.endsInTransaction }
        case .spool: submittedOpenTransaction = false
        case .rollBack, .reset: submittedOpenTransaction = false
        }
        queue.append(item)
        submitted += 1
    }

    mutating func pop() -> Item? {
        guard head < queue.count else { return nil }
        let item = queue[head]
        head += 1
        // The array is emptied whenever the writer has caught up, so it does not creep.
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return item
    }

    mutating func noteWritten(_ byteCount: Int) {
        queuedBytes -= byteCount
    }

    mutating func dropQueue() {
        queue.removeAll()
        head = 0
        queuedBytes = 0
    }
}
