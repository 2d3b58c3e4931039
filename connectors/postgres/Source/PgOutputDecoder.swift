internal import MillraceCore

/// Reads pgoutput's messages, one function per message, in the order of section 55.9 of PostgreSQL's documentation.
///
/// Every function gets the whole message and checks every length, for the bytes come from outside. Those that may occur
/// inside a streamed transaction are told so (`inStream`): an xid then stands behind the kind.
enum PgOutputDecoder {
    typealias Bytes = UnsafeRawBufferPointer

    static func begin(_ message: Bytes) throws(MalformedRecord) -> PgOutputBegin {
        var reader = ByteReader(message, offset: 1)
        return PgOutputBegin(
            commitLSN: LSN(try reader.uint64()), commitTime: Timestamp(microsecondsSince2000: try reader.int64()),
            xid: try reader.uint32())
    }

    static func commit(_ message: Bytes) throws(MalformedRecord) -> PgOutputCommit {
        try commit(ByteReader(message, offset: 1))
    }

    private static func commit(_ start: ByteReader) throws(MalformedRecord) -> PgOutputCommit {
        var reader = start
        return PgOutputCommit(
            flags: try reader.uint8(), commitLSN: LSN(try reader.uint64()), endLSN: LSN(try reader.uint64()),
            commitTime: Timestamp(microsecondsSince2000: try reader.int64()))
    }

    static func origin(_ message: Bytes) throws(MalformedRecord) -> PgOutputOrigin {
        var reader = ByteReader(message, offset: 1)
        return PgOutputOrigin(commitLSN: LSN(try reader.uint64()), name: try reader.zeroTerminatedString())
    }

    static func relation(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputRelation {
        var reader = ByteReader(message, offset: bodyOffset(inStream))
        let oid = try reader.uint32()
        let namespace = try reader.zeroTerminatedString()
        let name = try reader.zeroTerminatedString()
        let replicaIdentity = try reader.uint8()
        let count = Int(try reader.uint16())
        var columns: [PgOutputRelation.Column] = []
        for _ in 0..<count {
            let flags = try reader.uint8()
            columns.append(
                PgOutputRelation.Column(
                    isKey: flags & 1 != 0, name: try reader.zeroTerminatedString(), typeOID: try reader.uint32(),
                    typeModifier: Int32(bitPattern: try reader.uint32())))
        }
        return PgOutputRelation(
            // The server sends an empty name for pg_catalog (logicalrep_write_namespace).
            oid: oid, namespace: namespace.isEmpty ? "pg_catalog" : namespace, name: name,
            replicaIdentity: replicaIdentity, columns: columns)
    }

    // A type message names the types that are not built in. The describer asks the catalog for them, and for more.

    static func insert(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputRow {
        let (relation, body) = try rowBody(message, inStream)
        guard body[0] == Marker.new, TupleView.measure(Bytes(rebasing: body[1...])) == body.count - 1 else {
            throw MalformedRecord("an insert of relation \(relation) is malformed")
        }
        return PgOutputRow(relation: relation, body: body, columnCount: columnCount(body, at: 1))
    }

    static func update(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputRow {
        let (relation, body) = try rowBody(message, inStream)
        var new = 0
        if body[0] == Marker.key || body[0] == Marker.old {
            guard let length = TupleView.measure(Bytes(rebasing: body[1...])) else {
                throw MalformedRecord("the old tuple of an update of relation \(relation) is malformed")
            }
            new = 1 + length
        }
        guard new < body.count, body[new] == Marker.new,
            TupleView.measure(Bytes(rebasing: body[(new + 1)...])) == body.count - new - 1
        else { throw MalformedRecord("an update of relation \(relation) is malformed") }
        let count = columnCount(body, at: new + 1)
        guard new == 0 || columnCount(body, at: 1) == count else {
            throw MalformedRecord("the tuples of an update of relation \(relation) differ in length")
        }
        return PgOutputRow(relation: relation, body: body, columnCount: count)
    }

    static func delete(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputRow {
        let (relation, body) = try rowBody(message, inStream)
        guard body[0] == Marker.key || body[0] == Marker.old,
            TupleView.measure(Bytes(rebasing: body[1...])) == body.count - 1
        else { throw MalformedRecord("a delete of relation \(relation) is malformed") }
        return PgOutputRow(relation: relation, body: body, columnCount: columnCount(body, at: 1))
    }

    static func truncate(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputTruncate {
        var reader = ByteReader(message, offset: bodyOffset(inStream))
        let count = Int(try reader.uint32())
        let options = try reader.uint8()
        guard count <= reader.remaining / 4 else {
            throw MalformedRecord("a truncate of \(count) relations is cut off")
        }
        var relations: [UInt32] = []
        relations.reserveCapacity(count)
        for _ in 0..<count { relations.append(try reader.uint32()) }
        return PgOutputTruncate(options: options, relations: relations)
    }

    static func message(_ message: Bytes, inStream: Bool) throws(MalformedRecord) -> PgOutputLogicalMessage {
        var reader = ByteReader(message, offset: bodyOffset(inStream))
        let flags = try reader.uint8()
        let lsn = LSN(try reader.uint64())
        let prefix = try reader.zeroTerminated()
        let length = Int(try reader.uint32())
        return PgOutputLogicalMessage(
            isTransactional: flags & 1 != 0, lsn: lsn, prefix: prefix, content: try reader.slice(length))
    }

    static func streamStart(_ message: Bytes) throws(MalformedRecord) -> PgOutputStreamStart {
        var reader = ByteReader(message, offset: 1)
        return PgOutputStreamStart(xid: try reader.uint32(), isFirst: try reader.uint8() != 0)
    }

    static func streamCommit(_ message: Bytes) throws(MalformedRecord) -> (xid: UInt32, commit: PgOutputCommit) {
        var reader = ByteReader(message, offset: 1)
        let xid = try reader.uint32()
        return (xid, try commit(reader))
    }

    /// The LSN and the time that follow in `streaming 'parallel'` are not asked for.
    static func streamAbort(_ message: Bytes) throws(MalformedRecord) -> PgOutputStreamAbort {
        var reader = ByteReader(message, offset: 1)
        return PgOutputStreamAbort(xid: try reader.uint32(), subxid: try reader.uint32())
    }

    /// The xid of the subtransaction that a message inside a streamed transaction belongs to.
    static func streamedXID(_ message: Bytes) throws(MalformedRecord) -> UInt32 {
        var reader = ByteReader(message, offset: 1)
        return try reader.uint32()
    }

    // MARK: Parts

    private enum Marker {
        static let new: UInt8 = 0x4E  // 'N'
        static let key: UInt8 = 0x4B  // 'K'
        static let old: UInt8 = 0x4F  // 'O'
    }

    @inline(__always)
    private static func bodyOffset(_ inStream: Bool) -> Int { inStream ? 5 : 1 }

    /// The relation's id and what follows: a marker and the two bytes of a column count at least.
    @inline(__always)
    private static func rowBody(
        _ message: Bytes, _ inStream: Bool
    ) throws(MalformedRecord) -> (relation: UInt32, body: Bytes) {
        let start = bodyOffset(inStream)
        guard message.count >= start + 7 else { throw MalformedRecord("a row message of \(message.count) bytes") }
        let relation = UInt32(bigEndian: message.loadUnaligned(fromByteOffset: start, as: UInt32.self))
        return (relation, Bytes(rebasing: message[(start + 4)...]))
    }

    /// Only for tuples that have been measured.
    @inline(__always)
    private static func columnCount(_ body: Bytes, at offset: Int) -> Int {
        Int(UInt16(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }
}
