import Envelope
import MillraceCore

/// Rows as CSV (RFC 4180): lines end in CR LF, a value with a comma, a quote or a line break is quoted, quotes are doubled.
/// NULL is nothing at all, the empty string is `""`.
enum CSVText {
    static func append(_ value: UnsafeRawBufferPointer, to out: JSONBuffer) {
        guard needsQuotes(value) else { return out.append(value) }
        out.append(byte: 0x22)
        var start = 0
        for index in 0..<value.count where value[index] == 0x22 {
            out.append(UnsafeRawBufferPointer(rebasing: value[start...index]))
            start = index
        }
        out.append(UnsafeRawBufferPointer(rebasing: value[start...]))
        out.append(byte: 0x22)
    }

    private static func needsQuotes(_ value: UnsafeRawBufferPointer) -> Bool {
        if value.isEmpty { return true }
        for byte in value where byte == 0x2C || byte == 0x22 || byte == 0x0A || byte == 0x0D { return true }
        return false
    }

    static func appendLineEnd(to out: JSONBuffer) {
        out.append(byte: 0x0D)
        out.append(byte: 0x0A)
    }

    static func header(_ relation: Relation, to out: JSONBuffer) {
        out.append("Op")
        for column in relation.columns {
            out.append(byte: 0x2C)
            var name = column.name
            name.withUTF8 { append(UnsafeRawBufferPointer($0), to: out) }
        }
        appendLineEnd(to: out)
    }

    /// A line without values: `T` for a truncate.
    static func emptyRow(_ operation: UInt8, _ relation: Relation, to out: JSONBuffer) {
        out.append(byte: operation)
        for _ in relation.columns { out.append(byte: 0x2C) }
        appendLineEnd(to: out)
    }

    /// `old` has the values that `tuple` left out as unchanged, if anything has; otherwise `unavailable` stands for them.
    static func row(
        _ operation: UInt8, _ tuple: TupleView, _ old: OldTuple?, _ relation: Relation, unavailable: [UInt8]?,
        to out: JSONBuffer
    ) throws(ConnectorError) {
        guard tuple.count == relation.columns.count else {
            throw ConnectorError(
                .protocolViolation, code: "column_count",
                "a row of \(relation.qualifiedName) has another number of columns than its relation")
        }
        out.append(byte: operation)
        var values = tuple.makeIterator()
        var oldValues = old?.tuple.makeIterator()
        for index in 0..<tuple.count {
            out.append(byte: 0x2C)
            let oldValue = oldValues?.next()
            switch values.next() {
            case .null, nil: break
            case .text(let text): append(text, to: out)
            case .binary: throw failure("binary_format", index, relation, "the value is in binary format")
            case .unchanged:
                if case .text(let text)? = oldValue {
                    append(text, to: out)
                } else if let unavailable {
                    unavailable.withUnsafeBytes { append($0, to: out) }
                } else {
                    throw failure(
                        "unchanged_toast", index, relation,
                        "an update left the value unchanged and the source did not send it",
                        hint:
                            "ALTER TABLE \(relation.qualifiedName) REPLICA IDENTITY FULL, or set csv.unavailable.value")
                }
            }
        }
        appendLineEnd(to: out)
    }

    private static func failure(
        _ code: String, _ index: Int, _ relation: Relation, _ reason: String, hint: String? = nil
    ) -> ConnectorError {
        ConnectorError(
            .data, code: code, "column \(relation.columns[index].name) of \(relation.qualifiedName): \(reason)",
            hint: hint)
    }

    /// Whether an update changed the columns that identify the row: then it is written as D and I, as one line could not
    /// say which row it replaces.
    static func changesIdentity(_ old: OldTuple, _ new: TupleView, _ relation: Relation) -> Bool {
        var oldValues = old.tuple.makeIterator()
        var newValues = new.makeIterator()
        let key = relation.primaryKey.isEmpty ? relation.identityColumns : relation.primaryKey
        for index in relation.columns.indices {
            guard let before = oldValues.next(), let after = newValues.next() else { return false }
            guard key.contains(index) else { continue }
            if case .text(let left) = before, case .text(let right) = after {
                if !left.elementsEqual(right) { return true }
            } else if case .null = before, case .text = after, relation.columns[index].isReplicaIdentity {
                return true
            }
        }
        return false
    }
}
