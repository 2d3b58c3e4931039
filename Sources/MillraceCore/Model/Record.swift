/// The kinds of records in a change log: the first byte of each. docs/LOG_FORMAT.md has the bytes of every one.
package enum RecordKind {
    package static let begin: UInt8 = 0x42  // 'B'
    package static let commit: UInt8 = 0x43  // 'C'
    package static let relation: UInt8 = 0x52  // 'R'
    package static let insert: UInt8 = 0x49  // 'I'
    package static let update: UInt8 = 0x55  // 'U'
    package static let delete: UInt8 = 0x44  // 'D'
    package static let truncate: UInt8 = 0x54  // 'T'
    package static let message: UInt8 = 0x4D  // 'M'
    package static let sourceState: UInt8 = 0x53  // 'S'
    package static let load: UInt8 = 0x4C  // 'L'
}

/// The old row image of an update or a delete.
package enum OldTuple {
    /// Only the columns of the replica identity, the others null (pgoutput 'K').
    case key(TupleView)
    /// All columns: REPLICA IDENTITY FULL (pgoutput 'O').
    case full(TupleView)

    @inlinable
    package var tuple: TupleView {
        switch self {
        case .key(let tuple), .full(let tuple): tuple
        }
    }
}

/// Relations that one TRUNCATE emptied together.
package struct TruncateView {
    package var cascade: Bool
    package var restartIdentity: Bool
    @usableFromInline
    package var ids: UnsafeRawBufferPointer

    @inlinable
    package init(cascade: Bool, restartIdentity: Bool, ids: UnsafeRawBufferPointer) {
        self.cascade = cascade
        self.restartIdentity = restartIdentity
        self.ids = ids
    }

    package var relations: [RelationID] {
        stride(from: 0, to: ids.count - 3, by: 4).map {
            RelationID(UInt32(bigEndian: ids.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))
        }
    }
}

/// A logical decoding message (`pg_logical_emit_message`).
package struct MessageView {
    package var isTransactional: Bool
    package var prefix: UnsafeRawBufferPointer
    package var content: UnsafeRawBufferPointer

    @inlinable
    package init(isTransactional: Bool, prefix: UnsafeRawBufferPointer, content: UnsafeRawBufferPointer) {
        self.isTransactional = isTransactional
        self.prefix = prefix
        self.content = content
    }
}

/// Which part of a table's full load a `load` record marks.
package enum LoadPhase: UInt8, Sendable {
    /// What the target holds of this table is about to be replaced by the rows that follow.
    case begin = 1
    /// All rows of the table have been written.
    case end = 2
}

/// One record of the log. Everything in it is a view into the bytes of its batch.
package enum Record {
    case begin(TransactionInfo)
    /// `changeCount`: changes of the whole transaction (of all frames together).
    case commit(changeCount: UInt64)
    /// The encoded relation: `Relation.decode`.
    case relation(UnsafeRawBufferPointer)
    case insert(RelationID, lsn: LSN, new: TupleView)
    case update(RelationID, lsn: LSN, old: OldTuple?, new: TupleView)
    case delete(RelationID, lsn: LSN, old: OldTuple)
    case truncate(lsn: LSN, TruncateView)
    case message(lsn: LSN, MessageView)
    case sourceState(UnsafeRawBufferPointer)
    case load(RelationID, LoadPhase)
}
