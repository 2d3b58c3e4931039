import MillraceCore

/// One connection to a `SimulatedServer`: makes pgoutput's messages out of what decoding meets behind a position.
struct Walsender {
    /// Transactions that commit before it are left out.
    let from: UInt64
    private var position = 0
    private var queue: [(bytes: [UInt8], lsn: UInt64)] = []
    private var head = 0
    /// Definitions that were sent outside of streamed transactions.
    private var sent: Set<UInt32> = []
    /// The same inside, by stream.
    private var sentInside: [Int: Set<UInt32>] = [:]
    private var begun: Set<Int> = []
    private(set) var lsn: UInt64

    init(from: UInt64) {
        self.from = from
        lsn = from
    }

    /// The next message; nil where decoding has met the end of the WAL.
    mutating func next(_ server: SimulatedServer) -> (bytes: [UInt8], lsn: UInt64)? {
        while head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
            guard position < server.events.count else { return nil }
            decode(server.events[position], server)
            position += 1
        }
        defer { head += 1 }
        return queue[head]
    }

    private mutating func decode(_ event: SimulatedServer.Event, _ server: SimulatedServer) {
        switch event {
        case .altered(let table):
            sent.remove(table)
            for index in sentInside.keys { sentInside[index]?.remove(table) }
        case .transaction(let lsn, let xid, let changes):
            guard lsn >= from else { return }
            self.lsn = lsn
            add(PgOutput.begin(lsn, xid: xid))
            for change in changes {
                if sent.insert(change.table).inserted { add(PgOutput.relation(change.table, change.version)) }
                add(PgOutput.change(change))
            }
            add(PgOutput.commit(lsn))
        case .block(let index, let range): block(index, range, server)
        case .rollBack(let index, let xid):
            let stream = server.streams[index]
            guard isWanted(stream), begun.contains(index) else { return }
            add(PgOutput.streamAbort(stream.xid, xid))
        case .end(let index): end(index, server)
        }
    }

    private func isWanted(_ stream: SimulatedServer.Stream) -> Bool {
        (stream.commitLSN ?? stream.abortLSN ?? .max) >= from
    }

    private mutating func block(_ index: Int, _ range: Range<Int>, _ server: SimulatedServer) {
        let stream = server.streams[index]
        guard isWanted(stream) else { return }
        add(PgOutput.streamStart(stream.xid, isFirst: begun.insert(index).inserted))
        for operation in stream.operations[range] {
            if sentInside[index, default: []].insert(operation.change.table).inserted {
                add(PgOutput.relation(operation.change.table, operation.change.version, xid: operation.xid))
            }
            add(PgOutput.change(operation.change, xid: operation.xid))
        }
        add(PgOutput.streamStop)
    }

    private mutating func end(_ index: Int, _ server: SimulatedServer) {
        let stream = server.streams[index]
        guard isWanted(stream), begun.contains(index) else { return }
        if let lsn = stream.commitLSN {
            self.lsn = lsn
            add(PgOutput.streamCommit(stream.xid, lsn))
            sent.formUnion(sentInside[index] ?? [])
        } else {
            add(PgOutput.streamAbort(stream.xid, stream.xid))
        }
        sentInside[index] = nil
    }

    private mutating func add(_ bytes: [UInt8]) { queue.append((bytes, lsn)) }
}

/// Writes pgoutput's messages, as section 55.9 of PostgreSQL's documentation has them.
enum PgOutput {
    static func begin(_ lsn: UInt64, xid: UInt32) -> [UInt8] {
        message("B") {
            $0.append(lsn)
            $0.append(Int64(bitPattern: lsn))
            $0.append(xid)
        }
    }

    static func commit(_ lsn: UInt64) -> [UInt8] { message("C") { commit(lsn, &$0) } }

    private static func commit(_ lsn: UInt64, _ writer: inout ByteWriter) {
        writer.append(UInt8(0))
        writer.append(lsn)
        writer.append(lsn + SimulatedServer.endLength)
        writer.append(Int64(bitPattern: lsn))
    }

    /// The table's columns: its key, and a value that is called after the definition.
    static func relation(_ table: UInt32, _ version: Int, xid: UInt32? = nil) -> [UInt8] {
        message("R", xid) { writer in
            writer.append(table)
            writer.append(raw: Array("public\0t\(table)\0".utf8))
            writer.append(UInt8(ascii: "d"))
            writer.append(UInt16(2))
            for (flags, name) in [(1, "id"), (0, "v\(version)")] as [(UInt8, String)] {
                writer.append(flags)
                writer.append(raw: Array((name + "\0").utf8))
                writer.append(UInt32(25))
                writer.append(Int32(-1))
            }
        }
    }

    static func change(_ change: Change, xid: UInt32? = nil) -> [UInt8] {
        switch change.operation {
        case .insert:
            return message("I", xid) {
                $0.append(change.table)
                tuple("N", change.key, change.value, &$0)
            }
        case .update:
            return message("U", xid) {
                $0.append(change.table)
                if let oldKey = change.oldKey { key(oldKey, &$0) }
                tuple("N", change.key, change.value, &$0)
            }
        case .delete:
            return message("D", xid) {
                $0.append(change.table)
                key(change.key, &$0)
            }
        case .truncate:
            return message("T", xid) {
                $0.append(UInt32(1))
                $0.append(UInt8(0))
                $0.append(change.table)
            }
        }
    }

    static func streamStart(_ xid: UInt32, isFirst: Bool) -> [UInt8] {
        message("S", xid) { $0.append(UInt8(isFirst ? 1 : 0)) }
    }

    static let streamStop = [UInt8(ascii: "E")]

    static func streamCommit(_ xid: UInt32, _ lsn: UInt64) -> [UInt8] { message("c", xid) { commit(lsn, &$0) } }
    static func streamAbort(_ xid: UInt32, _ subxid: UInt32) -> [UInt8] { message("A", xid) { $0.append(subxid) } }

    private static func key(_ key: Int, _ writer: inout ByteWriter) {
        writer.append(UInt8(ascii: "K"))
        writer.append(UInt16(2))
        text(String(key), &writer)
        writer.append(UInt8(ascii: "n"))
    }

    /// `value`: nil for one that was not sent.
    private static func tuple(_ kind: Unicode.Scalar, _ key: Int, _ value: String?, _ writer: inout ByteWriter) {
        writer.append(UInt8(ascii: kind))
        writer.append(UInt16(2))
        text(String(key), &writer)
        if let value { text(value, &writer) } else { writer.append(UInt8(ascii: "u")) }
    }

    static func text(_ text: String, _ writer: inout ByteWriter) {
        writer.append(UInt8(ascii: "t"))
        writer.append(text)
    }

    private static func message(
        _ kind: Unicode.Scalar, _ xid: UInt32? = nil, _ body: (inout ByteWriter) -> Void
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt8(ascii: kind))
        if let xid { writer.append(xid) }
        body(&writer)
        return writer.bytes
    }
}
