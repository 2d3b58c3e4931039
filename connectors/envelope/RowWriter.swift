import MillraceCore

/// Writes row images as JSON objects, by the plan of their relation.
final class RowWriter {
    private let columns: ColumnWriter
    private let maskScratch = JSONBuffer()

    init(allowsNesting: Bool) {
        columns = ColumnWriter(allowsNesting: allowsNesting)
    }

    /// The new image. Values that it left out as unchanged are taken from the old image where that has them.
    func write(
        _ tuple: TupleView, _ old: OldTuple?, _ plan: TablePlan, into out: JSONBuffer
    ) throws(ConnectorError) {
        guard tuple.count == plan.columns.count else { throw plan.malformed() }
        var values = tuple.makeIterator()
        var oldValues = old?.tuple.makeIterator()
        let text = plan.text.bytes
        let columnPlans = plan.columns
        out.append(byte: 0x7B)
        for index in columnPlans.indices {
            guard let value = values.next() else { throw plan.malformed() }
            let oldValue = oldValues?.next()
            let column = columnPlans[index]
            guard let encoder = column.encoder else { continue }
            out.append(text, column.name)
            switch value {
            case .null: out.append(text, column.null)
            case .text(let value): try write(value, encoder, column.mask, index, plan, out)
            case .unchanged:
                if case .text(let value)? = oldValue {
                    try write(value, encoder, column.mask, index, plan, out)
                } else if let placeholder = column.unavailable {
                    out.append(text, placeholder)
                } else {
                    throw plan.unavailable(index)
                }
            case .binary: throw plan.error(.binaryFormat, index)
            }
        }
        out.append(byte: 0x7D)
    }

    /// The old image: whole, or only the columns that identify the row.
    func write(_ old: OldTuple, _ plan: TablePlan, into out: JSONBuffer) throws(ConnectorError) {
        guard case .key(let tuple) = old else { return try write(old.tuple, nil, plan, into: out) }
        guard tuple.count == plan.columns.count else { throw plan.malformed() }
        var values = tuple.makeIterator()
        out.append(byte: 0x7B)
        for index in plan.columns.indices {
            guard let value = values.next() else { throw plan.malformed() }
            let column = plan.columns[index]
            guard let encoder = column.encoder else { continue }
            out.append(plan.text[column.name])
            if case .text(let text) = value {
                try write(text, encoder, column.mask, index, plan, out)
            } else {
                out.append(plan.text[column.isIdentity ? column.null : column.absent])
            }
        }
        out.append(byte: 0x7D)
    }

    @inline(__always)
    private func write(
        _ text: UnsafeRawBufferPointer, _ encoder: ColumnEncoder, _ mask: ColumnMask?, _ index: Int, _ plan: TablePlan,
        _ out: JSONBuffer
    ) throws(ConnectorError) {
        if let mask { return try writeMasked(text, encoder, mask, index, plan, out) }
        do {
            try columns.write(text, encoder, plan.elements, into: out)
        } catch {
            throw plan.error(error, index)
        }
    }

    private func writeMasked(
        _ text: UnsafeRawBufferPointer, _ encoder: ColumnEncoder, _ mask: ColumnMask, _ index: Int, _ plan: TablePlan,
        _ out: JSONBuffer
    ) throws(ConnectorError) {
        if case .fixed(let stars) = mask { return out.append(plan.text[stars]) }
        let isBytes = encoder != .text
        do {
            try columns.write(mask.masked(text, isBytes: isBytes, maskScratch), encoder, plan.elements, into: out)
        } catch {
            throw plan.error(error, index)
        }
    }
}

extension ColumnValue {
    fileprivate var isNull: Bool {
        if case .null = self { true } else { false }
    }
}

extension TablePlan {
    /// Whether the columns that are shown are null in both images or in none: JSON may show a default in place of NULL.
    func hasSameNulls(_ old: TupleView, _ new: TupleView) -> Bool {
        var oldValues = old.makeIterator()
        var newValues = new.makeIterator()
        for column in columns {
            guard let before = oldValues.next(), let after = newValues.next() else { return false }
            if case .unchanged = after { continue }
            if column.encoder == nil || column.mask?.isFixed == true { continue }
            if before.isNull != after.isNull { return false }
        }
        return true
    }

    func malformed() -> ConnectorError {
        ConnectorError(
            .protocolViolation, code: "column_count",
            "a row of \(relation.qualifiedName) has another number of columns than its relation (\(columns.count))")
    }

    func unavailable(_ index: Int) -> ConnectorError {
        ConnectorError(
            .data, code: "unchanged_toast",
            "column \(relation.columns[index].name) of \(relation.qualifiedName): an update left the value unchanged, the "
                + "source did not send it, and no placeholder can stand for it in type \(relation.columns[index].typeName)",
            hint: "ALTER TABLE \(relation.qualifiedName) REPLICA IDENTITY FULL makes the source send it")
    }

    func error(_ failure: EncodingFailure, _ index: Int) -> ConnectorError {
        let column = relation.columns[index]
        let (code, reason, hint): (String, String, String?) =
            switch failure {
            case .malformed: ("malformed_value", "the value is not in the text form of its type", nil)
            case .notUTF8: ("not_utf8", "the value is not UTF-8", nil)
            case .notFinite:
                (
                    "not_finite", "NaN and infinities have no place in decimals",
                    "set decimal.handling.mode=string or decimal.handling.mode=double"
                )
            case .outOfRange:
                (
                    "out_of_range", "64 bits, counted from 1970, do not reach that far",
                    "set time.precision.mode=isostring"
                )
            case .multidimensional:
                (
                    "multidimensional_array", "arrays of several dimensions have no schema",
                    "set value.converter.schemas.enable=false, or leave the column out with column.exclude.list"
                )
            case .binaryFormat: ("binary_format", "the value is in binary format, which is not read", nil)
            }
        return ConnectorError(
            .data, code: code, "column \(column.name) (\(column.typeName)) of \(relation.qualifiedName): \(reason)",
            hint: hint)
    }
}
