/// Writes values as JSON. Holds the scratch memory that some types need; used by one thread.
final class ColumnWriter {
    private var decimals = UnscaledDecimal()
    private let elementScratch = JSONBuffer()
    private let bytesScratch = JSONBuffer()
    private let textScratch = JSONBuffer()
    private let objectScratch = JSONBuffer()
    /// Arrays of several dimensions nest; with a schema there is no type for that.
    private let allowsNesting: Bool

    init(allowsNesting: Bool) {
        self.allowsNesting = allowsNesting
    }

    /// Writes one value that is neither null nor absent.
    func write(
        _ text: UnsafeRawBufferPointer, _ encoder: ColumnEncoder, _ elements: [ColumnEncoder], into out: JSONBuffer
    ) throws(EncodingFailure) {
        switch encoder {
        case .text: guard out.append(quoted: text) else { throw .notUTF8 }
        case .integer: try integer(text, out)
        case .boolean: try boolean(text, out)
        case .float(let isSingle):
            guard FloatText.write(text, isSingle: isSingle, into: out) else { throw .malformed }
        case .decimal(let scale): try decimal(text, scale, out)
        case .decimalNumber(let scale): try decimalNumber(text, scale, out)
        case .variableScaleDecimal: try variableScaleDecimal(text, out)
        case .decimalDouble: guard FloatText.writeNearestDouble(text, into: out) else { throw .malformed }
        case .decimalString: decimalString(text, out)
        case .money(let mode, let digits, let asNumber): try money(text, mode, digits, asNumber, out)
        case .bitBoolean: try bitBoolean(text, out)
        case .bits: try bits(text, out)
        case .bytea(let mode): try bytea(text, mode, out)
        case .textBytes(let mode): binary(text, mode, out)
        case .geometricBytes(let mode): try geometric(text, mode, out)
        case .date, .isoDate, .time, .timestamp, .zonedTime, .zonedTimestamp, .microDuration, .isoInterval:
            try temporal(text, encoder, out)
        case .hstoreJSON: try hstoreJSON(text, out)
        case .hstoreMap: try hstore(text, out)
        case .point: try point(text, out)
        case .vector: try vector(text, out)
        case .sparseVector: try sparseVector(text, out)
        case .geometry: try geometry(text, out)
        case .array(let element, let delimiter): try array(text, elements[element], delimiter, elements, out)
        case .alwaysNull: out.append("null")
        }
    }

    // MARK: Numbers

    private func integer(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        var index = text.count > 1 && text[0] == 0x2D ? 1 : 0
        guard index < text.count else { throw .malformed }
        while index < text.count {
            guard NumericText.isDigit(text[index]) else { throw .malformed }
            index &+= 1
        }
        out.append(text)
    }

    private func boolean(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        guard text.count == 1, text[0] == 0x74 || text[0] == 0x66 else { throw .malformed }
        out.append(text[0] == 0x74 ? "true" : "false")
    }

    private func number(_ text: UnsafeRawBufferPointer) throws(EncodingFailure) -> NumericText {
        if let number = NumericText(text) { return number }
        throw FloatText.special(text) == nil ? .malformed : .notFinite
    }

    private func decimal(_ text: UnsafeRawBufferPointer, _ scale: Int, _ out: JSONBuffer) throws(EncodingFailure) {
        let number = try number(text)
        guard decimals.withBytes(of: number, scale: scale, { out.append(base64: $0) }) else { throw .malformed }
    }

    private func decimalNumber(
        _ text: UnsafeRawBufferPointer, _ scale: Int, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        let number = try number(text)
        if number.isNegative { out.append(byte: 0x2D) }
        number.whole.isEmpty ? out.append(byte: 0x30) : out.append(number.whole)
        guard scale > 0 else { return }
        out.append(byte: 0x2E)
        out.append(number.fraction)
        for _ in min(number.fraction.count, scale)..<scale { out.append(byte: 0x30) }
    }

    private func variableScaleDecimal(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        let number = try number(text)
        let scale = number.significantScale
        out.append("{\"scale\":")
        out.append(decimal: UInt64(scale))
        out.append(",\"value\":")
        guard decimals.withBytes(of: number, scale: scale, { out.append(base64: $0) }) else { throw .malformed }
        out.append(byte: 0x7D)
    }

    private func decimalString(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) {
        switch text.count {
        case 3 where text[0] == 0x4E: out.append("\"NAN\"")
        case 8 where text[0] == 0x49: out.append("\"POSITIVE_INFINITY\"")
        case 9 where text[1] == 0x49: out.append("\"NEGATIVE_INFINITY\"")
        default: out.append(quoted: text)
        }
    }

    /// `$1,234.56`, `-$1.00`, `($1.00)`: the currency and the separators are the server's (lc_monetary); what stands behind
    /// the last separator is a fraction unless it is a group of three.
    private func money(
        _ text: UnsafeRawBufferPointer, _ mode: EnvelopeOptions.DecimalMode, _ digits: Int, _ asNumber: Bool,
        _ out: JSONBuffer
    ) throws(EncodingFailure) {
        textScratch.removeAll()
        var fraction: Int?
        var isNegative = false
        for byte in text {
            if byte == 0x2D || byte == 0x28 { isNegative = true }
            if NumericText.isDigit(byte) {
                if textScratch.count == 0 && isNegative { textScratch.append(byte: 0x2D) }
                textScratch.append(byte: byte)
                fraction = fraction.map { $0 + 1 }
            } else if byte == 0x2E || byte == 0x2C {
                fraction = 0
            }
        }
        guard textScratch.count > 0 else { throw .malformed }
        let behind = fraction.map { $0 == 3 ? 0 : $0 } ?? 0
        bytesScratch.removeAll()
        let all = textScratch.bytes
        bytesScratch.append(UnsafeRawBufferPointer(rebasing: all[..<(all.count - behind)]))
        if behind > 0 {
            bytesScratch.append(byte: 0x2E)
            bytesScratch.append(UnsafeRawBufferPointer(rebasing: all[(all.count - behind)...]))
        }
        switch mode {
        case .precise where asNumber: try decimalNumber(bytesScratch.bytes, digits, out)
        case .precise: try decimal(bytesScratch.bytes, digits, out)
        case .double: guard FloatText.writeNearestDouble(bytesScratch.bytes, into: out) else { throw .malformed }
        case .string: out.append(quoted: bytesScratch.bytes)
        }
    }

    // MARK: Bits and bytes

    private func bitBoolean(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        guard text.count <= 1 else { throw .malformed }
        out.append(text.first == 0x31 ? "true" : "false")
    }

    /// The last bit of the text is bit 0 of the first byte; zero bytes at the end are left out (`BitSet.toByteArray`).
    private func bits(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        bytesScratch.removeAll()
        var byte: UInt8 = 0
        for index in 0..<text.count {
            let digit = text[text.count - 1 - index]
            guard digit == 0x30 || digit == 0x31 else { throw .malformed }
            byte |= (digit &- 0x30) << UInt8(index % 8)
            if index % 8 == 7 || index == text.count - 1 {
                bytesScratch.append(byte: byte)
                byte = 0
            }
        }
        while let last = bytesScratch.bytes.last, last == 0 { bytesScratch.truncate(to: bytesScratch.count - 1) }
        out.append(base64: bytesScratch.bytes)
    }

    /// `\x0102` (bytea_output hex).
    private func bytea(
        _ text: UnsafeRawBufferPointer, _ mode: EnvelopeOptions.BinaryMode, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        guard text.count >= 2, text[0] == 0x5C, text[1] == 0x78 else { throw .malformed }
        let digits = UnsafeRawBufferPointer(rebasing: text[2...])
        if mode == .hex {
            out.append(quoted: digits)
            return
        }
        bytesScratch.removeAll()
        guard HexText.decode(digits, into: bytesScratch) else { throw .malformed }
        binary(bytesScratch.bytes, mode, out)
    }

    func binary(_ bytes: UnsafeRawBufferPointer, _ mode: EnvelopeOptions.BinaryMode, _ out: JSONBuffer) {
        switch mode {
        case .bytes, .base64:
            out.append(base64: bytes)
        case .base64URLSafe:
            out.append(base64: bytes, urlSafe: true)
        case .hex:
            out.append(byte: 0x22)
            let digits: StaticString = "0123456789abcdef"
            for byte in bytes {
                out.append(byte: digits.utf8Start[Int(byte >> 4)])
                out.append(byte: digits.utf8Start[Int(byte & 15)])
            }
            out.append(byte: 0x22)
        }
    }

    /// `[(0,0),(1,1)]` becomes `[(0.0,0.0),(1.0,1.0)]`, as the JDBC driver's classes print themselves.
    private func geometric(
        _ text: UnsafeRawBufferPointer, _ mode: EnvelopeOptions.BinaryMode, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        bytesScratch.removeAll()
        var index = 0
        while index < text.count {
            let start = index
            while index < text.count, ColumnWriter.isPartOfNumber(text[index]) { index += 1 }
            if index > start {
                let number = UnsafeRawBufferPointer(rebasing: text[start..<index])
                guard FloatText.write(number, isSingle: false, into: bytesScratch) else { throw .malformed }
            } else {
                bytesScratch.append(byte: text[index])
                index += 1
            }
        }
        binary(bytesScratch.bytes, mode, out)
    }

    static func isPartOfNumber(_ byte: UInt8) -> Bool {
        NumericText.isDigit(byte) || byte == 0x2D || byte == 0x2B || byte == 0x2E || byte == 0x65
    }

    // MARK: Containers

    private func array(
        _ text: UnsafeRawBufferPointer, _ element: ColumnEncoder, _ delimiter: UInt8, _ elements: [ColumnEncoder],
        _ out: JSONBuffer
    ) throws(EncodingFailure) {
        guard var tokens = ArrayText(text, delimiter: delimiter, scratch: elementScratch) else { throw .malformed }
        var depth = 0
        var needsComma = false
        repeat {
            guard let token = tokens.next() else { throw .malformed }
            if case .close = token {
                depth -= 1
                out.append(byte: 0x5D)
                needsComma = true
                continue
            }
            if needsComma { out.append(byte: 0x2C) }
            needsComma = true
            switch token {
            case .open:
                depth += 1
                guard depth == 1 || allowsNesting else { throw .multidimensional }
                out.append(byte: 0x5B)
                needsComma = false
            case .null: out.append("null")
            case .element(let value): try write(value, element, elements, into: out)
            case .close: break
            }
        } while depth > 0
        guard tokens.isAtEnd else { throw .malformed }
    }

    private func hstoreJSON(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        objectScratch.removeAll()
        try hstore(text, objectScratch)
        guard out.append(quoted: objectScratch.bytes) else { throw .notUTF8 }
    }

    private func hstore(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        var pairs = HstoreText(text)
        out.append(byte: 0x7B)
        var isFirst = true
        while !pairs.isAtEnd {
            if !isFirst { out.append(byte: 0x2C) }
            isFirst = false
            guard pairs.next(into: textScratch) == true else { throw .malformed }
            guard out.append(quoted: textScratch.bytes) else { throw .notUTF8 }
            out.append(byte: 0x3A)
            guard let hasValue = pairs.next(into: textScratch) else { throw .malformed }
            if hasValue {
                guard out.append(quoted: textScratch.bytes) else { throw .notUTF8 }
            } else {
                out.append("null")
            }
        }
        out.append(byte: 0x7D)
    }
}
