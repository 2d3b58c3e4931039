import MillraceCore

/// What a column's default expression (`pg_get_expr`) says without being evaluated: a constant, or a call of a function,
/// for which Debezium shows the zero of the type.
enum DefaultValue: Hashable {
    case none
    /// In the type's text form.
    case constant(String)
    case function

    init(_ expression: String) {
        var text = expression.trimmed[...]
        if DefaultValue.isFunctionCall(text) {
            self = .function
            return
        }
        if text.hasPrefix("E'") { text = text.dropFirst() }
        if text.hasPrefix("B'") || text.hasPrefix("X'") { text = text.dropFirst() }
        if text.hasPrefix("'") {
            self = DefaultValue.quoted(text, hasEscapes: expression.trimmed.hasPrefix("E'"))
            return
        }
        // (0)::numeric, (-1), 0.00, true
        let bare = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)[0]
        let inner = bare.hasPrefix("(") && bare.hasSuffix(")") ? bare.dropFirst().dropLast() : bare
        switch inner {
        case "true": self = .constant("t")
        case "false": self = .constant("f")
        default: self = DefaultValue.isNumber(inner) ? .constant(String(inner)) : .none
        }
    }

    /// `now()`, `nextval('x'::regclass)`, `(now() AT TIME ZONE …)`.
    private static func isFunctionCall(_ text: Substring) -> Bool {
        var rest = text
        if rest.first == "(" { rest = rest.dropFirst() }
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
        return !name.isEmpty && rest.dropFirst(name.count).first == "("
    }

    private static func quoted(_ text: Substring, hasEscapes: Bool) -> DefaultValue {
        var value = ""
        var rest = text.dropFirst()
        while let character = rest.first {
            rest = rest.dropFirst()
            if character == "'" {
                guard rest.first == "'" else {
                    return rest.isEmpty || rest.hasPrefix("::") ? .constant(value) : .none
                }
                rest = rest.dropFirst()
            } else if character == "\\", hasEscapes, let next = rest.first {
                guard next == "\\" || next == "'" else { return .none }
                value.append(next)
                rest = rest.dropFirst()
                continue
            }
            value.append(character)
        }
        return .none
    }

    private static func isNumber(_ text: Substring) -> Bool {
        let digits = text.first == "-" ? text.dropFirst() : text
        return !digits.isEmpty && digits.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
    }
}

extension ColumnEncoder {
    /// The default as JSON; nil for none, and for those that Debezium leaves out: bytea, money, arrays, structures.
    func defaultJSON(_ expression: String, _ elements: [ColumnEncoder], _ type: ColumnType) -> String? {
        if case .builtIn(let oid) = type, ColumnEncoder.withoutDefault.contains(oid) { return nil }
        switch self {
        case .array, .alwaysNull, .bytea, .money, .variableScaleDecimal, .point, .hstoreJSON, .hstoreMap, .geometry,
            .textBytes, .geometricBytes, .vector, .sparseVector:
            return nil
        default: break
        }
        switch DefaultValue(expression) {
        case .none: return nil
        case .function:
            if self == .text {
                return type == .builtIn(TypeOID.uuid) ? "\"00000000-0000-0000-0000-000000000000\"" : "\"\""
            }
            return zeroText.flatMap { json($0, elements) }
        case .constant(let text):
            if self == .boolean, text == "true" || text == "false" { return text }
            return json(text, elements)
        }
    }

    /// Network addresses and ranges.
    private static let withoutDefault = TypeOID.ranges.union([
        TypeOID.inet, TypeOID.cidr, TypeOID.macaddr, TypeOID.macaddr8,
    ])

    /// Nil where the text is not of this type.
    private func json(_ text: String, _ elements: [ColumnEncoder]) -> String? {
        var text = text
        let out = JSONBuffer()
        let writer = ColumnWriter(allowsNesting: false)
        let isWritten: Void? = text.withUTF8 { bytes in
            try? writer.write(UnsafeRawBufferPointer(bytes), self, elements, into: out)
        }
        return isWritten == nil ? nil : String(decoding: out.bytes, as: UTF8.self)
    }

    /// What Debezium takes for the result of a default's function: zero, midnight, 1970. Nil: no default.
    private var zeroText: String? {
        switch self {
        case .boolean: "f"
        case .integer: "0"
        case .float, .decimal, .decimalNumber, .decimalDouble, .decimalString: "0.0"
        case .date, .isoDate: "1970-01-01"
        case .time: "00:00:00"
        case .zonedTime: "00:00:00+00"
        case .timestamp: "1970-01-01 00:00:00"
        case .zonedTimestamp: "1970-01-01 00:00:00+00"
        case .microDuration, .isoInterval: "00:00:00"
        default: nil
        }
    }

    /// What stands for a column that is not null and whose value is not known: the old image of a delete holds the key
    /// only.
    var zeroJSON: String {
        switch self {
        case .boolean, .bitBoolean: "false"
        case .integer, .date, .microDuration: "0"
        case .time(let unit): unit == .iso ? "\"00:00:00Z\"" : "0"
        case .timestamp(let unit): unit == .iso ? "\"1970-01-01T00:00:00Z\"" : "0"
        case .float, .decimalDouble: "0.0"
        case .text, .bytea, .textBytes, .geometricBytes, .bits: "\"\""
        case .decimal: "\"AA==\""
        case .decimalNumber(let scale): ColumnEncoder.zero(scale)
        case .variableScaleDecimal: "{\"scale\":0,\"value\":\"AA==\"}"
        case .decimalString: "\"0\""
        case .money(let mode, let digits, let asNumber): ColumnEncoder.zeroMoney(mode, digits, asNumber)
        case .isoDate: "\"1970-01-01Z\""
        case .zonedTime: "\"00:00:00Z\""
        case .zonedTimestamp: "\"1970-01-01T00:00:00Z\""
        case .isoInterval: "\"P0Y0M0DT0H0M0S\""
        case .hstoreJSON: "\"{}\""
        case .hstoreMap: "{}"
        case .point: "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}"
        case .geometry: "{\"wkb\":\"AQcAAAAAAAAA\",\"srid\":null}"
        case .vector, .array: "[]"
        case .sparseVector: "{\"dimensions\":0,\"vector\":[]}"
        case .alwaysNull: "null"
        }
    }

    private static func zero(_ scale: Int) -> String {
        scale > 0 ? "0." + String(repeating: "0", count: scale) : "0"
    }

    private static func zeroMoney(_ mode: EnvelopeOptions.DecimalMode, _ digits: Int, _ asNumber: Bool) -> String {
        switch mode {
        case .precise: asNumber ? zero(digits) : "\"AA==\""
        case .double: "0.0"
        case .string: "\"0\""
        }
    }

    /// What stands for a TOASTed value that the source did not send; nil where nothing could be told from a value.
    func unavailableJSON(_ placeholder: [UInt8], _ elements: [ColumnEncoder]) -> String? {
        let out = JSONBuffer()
        return placeholder.withUnsafeBytes { bytes in
            switch self {
            case .text, .decimalString: out.append(quoted: bytes)
            case .bytea(.bytes), .textBytes(.bytes), .geometricBytes(.bytes): out.append(base64: bytes)
            case .bytea(.hex): out.append(quoted: bytes)
            // Debezium itself: in the modes of base64 there is no placeholder.
            case .bytea, .textBytes, .geometricBytes: out.append("null")
            case .hstoreJSON:
                out.append(quoted: ColumnEncoder.pair(placeholder))
            case .hstoreMap: out.append(ColumnEncoder.pair(placeholder))
            case .alwaysNull: out.append("null")
            case .array(let element, _):
                if elements[element] == .integer {
                    out.append("[" + placeholder.map { String($0) }.joined(separator: ",") + "]")
                } else if elements[element] == .text {
                    out.append("[")
                    out.append(quoted: bytes)
                    out.append("]")
                } else {
                    return nil
                }
            default: return nil
            }
            return String(decoding: out.bytes, as: UTF8.self)
        }
    }

    private static func pair(_ placeholder: [UInt8]) -> String {
        let out = JSONBuffer()
        out.append("{")
        placeholder.withUnsafeBytes { _ = out.append(quoted: $0) }
        out.append(":")
        placeholder.withUnsafeBytes { _ = out.append(quoted: $0) }
        out.append("}")
        return String(decoding: out.bytes, as: UTF8.self)
    }
}
