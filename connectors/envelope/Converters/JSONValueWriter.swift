package import MillraceCore

/// Values as Kafka Connect's JsonConverter writes them.
package struct JSONValueWriter {
    /// `decimal.format=NUMERIC`.
    package var decimalsAsNumbers = false
    /// `replace.null.with.default`.
    package var replacesNullWithDefault = true

    package init(decimalsAsNumbers: Bool = false, replacesNullWithDefault: Bool = true) {
        self.decimalsAsNumbers = decimalsAsNumbers
        self.replacesNullWithDefault = replacesNullWithDefault
    }

    /// `schema`: nil for values without one.
    package func write(
        _ value: ConnectValue, _ schema: ConnectSchema?, into out: JSONBuffer
    ) throws(ConnectorError) {
        switch value {
        case .null: try writeNull(schema, out)
        case .array(let items):
            out.append(byte: 0x5B)
            // An array in place of an item is an array of several dimensions, which no schema tells from one.
            var itemSchema = schema
            if case .array(let items)? = schema?.kind { itemSchema = items }
            for (index, item) in items.enumerated() {
                if index > 0 { out.append(byte: 0x2C) }
                try write(item, itemSchema, into: out)
            }
            out.append(byte: 0x5D)
        case .map(let entries): try writeMap(entries, schema, out)
        case .structure(let values):
            guard let fields = schema?.fields, fields.count == values.count else { throw Self.mismatch(schema) }
            out.append(byte: 0x7B)
            for (index, field) in fields.enumerated() {
                if index > 0 { out.append(byte: 0x2C) }
                out.append(quoted: field.name)
                out.append(byte: 0x3A)
                try write(values[index], field.schema, into: out)
            }
            out.append(byte: 0x7D)
        default: writePrimitive(value, schema, out)
        }
    }

    /// A schema's default: nothing in it can be wrong for the schema that it was made for.
    func writeDefault(_ value: ConnectValue, _ schema: ConnectSchema, into out: JSONBuffer) {
        let start = out.count
        do {
            try write(value, schema, into: out)
        } catch {
            out.truncate(to: start)
            out.append("null")
        }
    }

    private func writeNull(_ schema: ConnectSchema?, _ out: JSONBuffer) throws(ConnectorError) {
        guard let schema else { return out.append("null") }
        if replacesNullWithDefault, let value = schema.defaultValue { return try write(value, schema, into: out) }
        guard schema.isOptional else { throw Self.mismatch(schema) }
        out.append("null")
    }

    private func writeMap(
        _ entries: [ConnectEntry], _ schema: ConnectSchema?, _ out: JSONBuffer
    ) throws(ConnectorError) {
        var keys: ConnectSchema?
        var values: ConnectSchema?
        if case .map(let keySchema, let valueSchema)? = schema?.kind { (keys, values) = (keySchema, valueSchema) }
        // An object has texts for names; other keys stand in pairs.
        let isObject =
            entries.allSatisfy {
                if case .string = $0.key { return true }
                return false
            } && (keys == nil || keys?.kind == .string)
        out.append(byte: isObject ? 0x7B : 0x5B)
        for (index, entry) in entries.enumerated() {
            if index > 0 { out.append(byte: 0x2C) }
            if !isObject { out.append(byte: 0x5B) }
            try write(entry.key, keys, into: out)
            out.append(byte: isObject ? 0x3A : 0x2C)
            try write(entry.value, values, into: out)
            if !isObject { out.append(byte: 0x5D) }
        }
        out.append(byte: isObject ? 0x7D : 0x5D)
    }

    private func writePrimitive(_ value: ConnectValue, _ schema: ConnectSchema?, _ out: JSONBuffer) {
        switch value {
        case .int8(let number): out.append(decimal: Int64(number))
        case .int16(let number): out.append(decimal: Int64(number))
        case .int32(let number): out.append(decimal: Int64(number))
        case .int64(let number): out.append(decimal: number)
        case .float32(let number): FloatText.write(number, quotesSpecials: true, into: out)
        case .float64(let number): FloatText.write(number, quotesSpecials: true, into: out)
        case .boolean(let flag): out.append(flag ? "true" : "false")
        case .string(let text): out.append(quoted: text)
        case .bytes(let bytes):
            if decimalsAsNumbers, schema?.name == ConnectSchema.decimalName {
                out.append(DecimalText.text(unscaled: bytes, scale: schema?.decimalScale ?? 0))
            } else {
                bytes.withUnsafeBytes { out.append(base64: $0) }
            }
        case .null, .array, .map, .structure: break
        }
    }

    static func mismatch(_ schema: ConnectSchema?) -> ConnectorError {
        ConnectorError(
            .data, code: "schema_mismatch",
            "a value does not fit its schema\(schema?.name.map { " \($0)" } ?? ""): null for a field that is required, or a "
                + "value of another type")
    }
}

extension ConnectSchema {
    /// `scale` of a Decimal.
    package var decimalScale: Int { parameter("scale").flatMap { Int($0) } ?? 0 }
}
