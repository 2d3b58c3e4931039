import MillraceCore

/// The bytes of a tuple's columns as pgoutput writes them: nil for null, `"\u{1}"` for an unchanged TOAST value.
func tuple(_ values: [String?]) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt16(values.count))
    for value in values {
        guard let value else {
            writer.append(TupleView.Kind.null)
            continue
        }
        if value == "\u{1}" {
            writer.append(TupleView.Kind.unchanged)
        } else {
            writer.append(TupleView.Kind.text)
            writer.append(value)
        }
    }
    return writer.bytes
}

func values(_ tuple: TupleView) -> [String?] {
    tuple.map { column -> String? in
        switch column {
        case .null: nil
        case .unchanged: "\u{1}"
        case .text(let bytes), .binary(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension RecordBuffer {
    func row(_ kind: UInt8, _ relation: UInt32, lsn: UInt64 = 5, _ parts: [(UInt8, [String?])]) {
        let body = parts.flatMap { [$0.0] + tuple($0.1) }
        body.withUnsafeBytes { row(kind, relation: RelationID(relation), lsn: LSN(lsn), body: $0) }
    }
}

let info = TransactionInfo(
    flags: [.snapshot], xid: 0xFFFF_FFFE, commitLSN: LSN(1 << 40), endLSN: LSN((1 << 40) + 8),
    commitTime: Timestamp(microsecondsSince2000: -12_345), firstOrdinal: 7, originLSN: LSN(3))
