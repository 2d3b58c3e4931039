package import MillraceCore

/// The kinds of pgoutput's messages: the first byte of each (section 55.9 of PostgreSQL's documentation).
enum PgOutputKind {
    static let begin: UInt8 = 0x42  // 'B'
    static let commit: UInt8 = 0x43  // 'C'
    static let origin: UInt8 = 0x4F  // 'O'
    static let relation: UInt8 = 0x52  // 'R'
    static let type: UInt8 = 0x59  // 'Y'
    static let insert: UInt8 = 0x49  // 'I'
    static let update: UInt8 = 0x55  // 'U'
    static let delete: UInt8 = 0x44  // 'D'
    static let truncate: UInt8 = 0x54  // 'T'
    static let message: UInt8 = 0x4D  // 'M'
    static let streamStart: UInt8 = 0x53  // 'S'
    static let streamStop: UInt8 = 0x45  // 'E'
    static let streamCommit: UInt8 = 0x63  // 'c'
    static let streamAbort: UInt8 = 0x41  // 'A'
}

/// A transaction follows, whole and committed.
package struct PgOutputBegin: Hashable, Sendable {
    /// LSN of the commit record (`final_lsn`).
    package var commitLSN: LSN
    package var commitTime: Timestamp
    package var xid: UInt32
}

/// The end of a transaction, streamed or not.
package struct PgOutputCommit: Hashable, Sendable {
    package var flags: UInt8
    package var commitLSN: LSN
    package var endLSN: LSN
    package var commitTime: Timestamp
}

/// Where the transaction was first committed, if it came to the source by replication.
package struct PgOutputOrigin: Hashable, Sendable {
    package var commitLSN: LSN
    package var name: String
}

/// A table as the server describes it before the first change of it, and again after it was altered.
package struct PgOutputRelation: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        /// Part of the replica identity.
        package var isKey: Bool
        package var name: String
        package var typeOID: UInt32
        package var typeModifier: Int32

        package init(isKey: Bool, name: String, typeOID: UInt32, typeModifier: Int32) {
            self.isKey = isKey
            self.name = name
            self.typeOID = typeOID
            self.typeModifier = typeModifier
        }
    }

    package var oid: UInt32
    package var namespace: String
    package var name: String
    /// `pg_class.relreplident`.
    package var replicaIdentity: UInt8
    package var columns: [Column]

    package init(oid: UInt32, namespace: String, name: String, replicaIdentity: UInt8, columns: [Column]) {
        self.oid = oid
        self.namespace = namespace
        self.name = name
        self.replicaIdentity = replicaIdentity
        self.columns = columns
    }
}

/// An insert, update or delete, not looked into further than is needed to trust its lengths.
struct PgOutputRow {
    var relation: UInt32
    /// Everything behind the relation's id, as it goes into the log. A view into the message.
    var body: UnsafeRawBufferPointer
    /// Columns of each of its tuples.
    var columnCount: Int
}

struct PgOutputTruncate: Hashable {
    /// 1: CASCADE, 2: RESTART IDENTITY.
    var options: UInt8
    var relations: [UInt32]
}

/// A logical decoding message. A view into the message.
struct PgOutputLogicalMessage {
    var isTransactional: Bool
    var lsn: LSN
    var prefix: UnsafeRawBufferPointer
    var content: UnsafeRawBufferPointer
}

/// A stretch of a transaction that is still in progress follows.
struct PgOutputStreamStart: Hashable {
    var xid: UInt32
    var isFirst: Bool
}

/// A streamed transaction (`subxid == xid`) or a subtransaction of it was rolled back.
struct PgOutputStreamAbort: Hashable {
    var xid: UInt32
    var subxid: UInt32
}
