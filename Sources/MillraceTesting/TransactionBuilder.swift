package import MillraceCore

/// A column value as a test writes it: `"text"`, `nil` for null, `.unchanged` for TOAST that the update did not touch.
package enum TestValue: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByNilLiteral {
    case null
    case unchanged
    case text(String)

    package init(stringLiteral value: String) {
        self = .text(value)
    }

    package init(nilLiteral: ()) {
        self = .null
    }
}

/// Writes the changes of one transaction as records, from readable Swift.
package final class TransactionBuilder {
    private let buffer: RecordBuffer
    private let info: TransactionInfo
    private var nextLSN: UInt64
    private var left: [RelationID: Relation] = [:]
    /// Row changes, truncates and messages so far, those of earlier parts included.
    package private(set) var changeCount: UInt64

    /// Begins the transaction in `buffer`.
    package init(_ info: TransactionInfo, into buffer: RecordBuffer) {
        self.buffer = buffer
        self.info = info
        changeCount = info.firstOrdinal
        nextLSN = info.commitLSN.value
        buffer.begin(info)
    }

    package func commit() {
        buffer.commit(changeCount: changeCount)
    }

    package func relation(_ relation: Relation) {
        buffer.relation(relation)
        left[relation.id] = relation
    }

    /// Relations that were written in this transaction.
    package var relations: [RelationID: Relation] { left }

    package func insert(_ relation: Relation, _ values: [TestValue]) {
        row(RecordKind.insert, relation, [(0x4E, values)])
    }

    /// `key`: only the replica identity's columns are set; `old`: all columns (REPLICA IDENTITY FULL); neither: the
    /// identity has not changed.
    package func update(
        _ relation: Relation, key: [TestValue]? = nil, old: [TestValue]? = nil, new: [TestValue]
    ) {
        var tuples: [(UInt8, [TestValue])] = []
        if let key { tuples.append((0x4B, key)) } else if let old { tuples.append((0x4F, old)) }
        tuples.append((0x4E, new))
        row(RecordKind.update, relation, tuples)
    }

    package func delete(_ relation: Relation, key: [TestValue]) {
        row(RecordKind.delete, relation, [(0x4B, key)])
    }

    package func delete(_ relation: Relation, old: [TestValue]) {
        row(RecordKind.delete, relation, [(0x4F, old)])
    }

    package func truncate(_ relations: [Relation], cascade: Bool = false, restartIdentity: Bool = false) {
        let options = UInt8(cascade ? 1 : 0) | UInt8(restartIdentity ? 2 : 0)
        buffer.truncate(lsn: takeLSN(), options: options, relations: relations.map(\.id))
        changeCount += 1
    }

    package func message(prefix: String, content: String, isTransactional: Bool = true) {
        let lsn = takeLSN()
        Array(prefix.utf8).withUnsafeBytes { prefix in
            Array(content.utf8).withUnsafeBytes { content in
                buffer.message(lsn: lsn, isTransactional: isTransactional, prefix: prefix, content: content)
            }
        }
        changeCount += 1
    }

    package func load(_ relation: Relation, _ phase: LoadPhase) {
        buffer.load(relation.id, phase)
    }

    package func sourceState(_ state: String) {
        Array(state.utf8).withUnsafeBytes { buffer.sourceState($0) }
    }

    private func row(_ kind: UInt8, _ relation: Relation, _ tuples: [(marker: UInt8, values: [TestValue])]) {
        var writer = ByteWriter()
        for (marker, values) in tuples {
            writer.append(marker)
            writer.append(UInt16(values.count))
            for value in values { Self.append(value, to: &writer) }
        }
        let lsn = takeLSN()
        writer.bytes.withUnsafeBytes { buffer.row(kind, relation: relation.id, lsn: lsn, body: $0) }
        changeCount += 1
    }

    private static func append(_ value: TestValue, to writer: inout ByteWriter) {
        switch value {
        case .null: writer.append(TupleView.Kind.null)
        case .unchanged: writer.append(TupleView.Kind.unchanged)
        case .text(let text):
            writer.append(TupleView.Kind.text)
            writer.append(text)
        }
    }

    /// Rows of a full load all carry the consistent point; changes lie a little before their commit.
    private func takeLSN() -> LSN {
        if info.flags.contains(.snapshot) { return info.commitLSN }
        return LSN(nextLSN)
    }
}
