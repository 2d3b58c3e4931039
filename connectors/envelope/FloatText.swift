#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Floating-point numbers as Java spells them (`Double.toString`, `Float.toString` since JDK 19), from PostgreSQL's
/// shortest exact text: the digits are the same, so the text is rearranged and nothing is parsed.
enum FloatText {
    static let maxDigits = 32

    /// Writes the number; false where the text is none. NaN and the infinities become strings, as Jackson writes them.
    static func write(_ text: UnsafeRawBufferPointer, isSingle: Bool, into out: JSONBuffer) -> Bool {
        if let special = special(text) {
            out.append(byte: 0x22)
            out.append(special)
            out.append(byte: 0x22)
            return true
        }
        return writeFinite(text, isSingle: isSingle, into: out)
    }

    static func special(_ text: UnsafeRawBufferPointer) -> StaticString? {
        switch text.count {
        case 3 where text[0] == 0x4E: "NaN"
        case 8 where text[0] == 0x49: "Infinity"
        case 9 where text[1] == 0x49: "-Infinity"
        default: nil
        }
    }

    private static func writeFinite(_ text: UnsafeRawBufferPointer, isSingle: Bool, into out: JSONBuffer) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: maxDigits, alignment: 1) { digits in
            guard var number = Parts(text, digits) else { return false }
            if number.count == 1 && number.exponent < (isSingle ? -38 : -307) && number.hasDigits {
                number.refineSubnormal(text, digits, isSingle: isSingle)
            }
            number.write(digits, into: out)
            return true
        }
    }

    /// 0.d₁d₂d₃… × 10^(exponent + 1): the digits are kept outside.
    private struct Parts {
        var isNegative = false
        var count = 0
        /// Power of ten of the first digit.
        var exponent = 0

        var hasDigits: Bool { count > 0 }

        init?(_ text: UnsafeRawBufferPointer, _ digits: UnsafeMutableRawBufferPointer) {
            var index = 0
            if index < text.count, text[index] == 0x2D {
                isNegative = true
                index += 1
            }
            var pointPosition: Int?
            var seen = 0
            while index < text.count {
                let byte = text[index]
                if NumericText.isDigit(byte) {
                    if count > 0 || byte != 0x30 {
                        guard count < digits.count else { return nil }
                        if count == 0 { exponent = -seen }
                        digits[count] = byte
                        count += 1
                    }
                    seen += 1
                } else if byte == 0x2E, pointPosition == nil {
                    pointPosition = seen
                } else {
                    break
                }
                index += 1
            }
            guard seen > 0 else { return nil }
            exponent += (pointPosition ?? seen) - 1
            if index < text.count {
                guard let power = Parts.power(text, index) else { return nil }
                exponent += power
            }
            while count > 0, digits[count - 1] == 0x30 { count -= 1 }
        }

        private static func power(_ text: UnsafeRawBufferPointer, _ start: Int) -> Int? {
            var index = start
            guard text[index] == 0x65 || text[index] == 0x45 else { return nil }
            index += 1
            var isNegative = false
            if index < text.count, text[index] == 0x2D || text[index] == 0x2B {
                isNegative = text[index] == 0x2D
                index += 1
            }
            guard index < text.count, text.count - index <= 4 else { return nil }
            var power = 0
            while index < text.count {
                guard NumericText.isDigit(text[index]) else { return nil }
                power = power * 10 + Int(text[index] - 0x30)
                index += 1
            }
            return isNegative ? -power : power
        }

        /// Among the smallest numbers one digit is enough, but Java takes the two digits that come nearest.
        mutating func refineSubnormal(
            _ text: UnsafeRawBufferPointer, _ digits: UnsafeMutableRawBufferPointer, isSingle: Bool
        ) {
            guard let value = Double(String(decoding: text, as: UTF8.self))?.magnitude else { return }
            // How many times the smallest number; each times as many tenths of its decimal exponent.
            let steps = isSingle ? Double(Float(value).bitPattern) : Double(value.bitPattern)
            let unit = isSingle ? 1.401298464324817 : 4.940656458412465
            let unitExponent = isSingle ? -45 : -324
            var scaled = steps * unit
            var power = unitExponent
            while scaled >= 10 {
                scaled /= 10
                power += 1
            }
            let tenths = Int((scaled * 10).rounded())
            guard tenths < 100 else { return }
            digits[0] = UInt8(0x30 + tenths / 10)
            digits[1] = UInt8(0x30 + tenths % 10)
            exponent = power
            count = tenths % 10 == 0 ? 1 : 2
        }

        func write(_ digits: UnsafeMutableRawBufferPointer, into out: JSONBuffer) {
            if isNegative { out.append(byte: 0x2D) }
            guard count > 0 else { return out.append("0.0") }
            let all = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[..<count])
            if exponent >= 0 && exponent < 7 {
                let whole = min(count, exponent + 1)
                out.append(UnsafeRawBufferPointer(rebasing: all[..<whole]))
                for _ in whole..<exponent + 1 { out.append(byte: 0x30) }
                out.append(byte: 0x2E)
                whole < count ? out.append(UnsafeRawBufferPointer(rebasing: all[whole...])) : out.append(byte: 0x30)
            } else if exponent < 0 && exponent >= -3 {
                out.append("0.")
                for _ in 0..<(-exponent - 1) { out.append(byte: 0x30) }
                out.append(all)
            } else {
                out.append(byte: all[0])
                out.append(byte: 0x2E)
                count > 1 ? out.append(UnsafeRawBufferPointer(rebasing: all[1...])) : out.append(byte: 0x30)
                out.append(byte: 0x45)
                out.append(decimal: Int64(exponent))
            }
        }
    }

    /// A number in memory. `quotesSpecials`: NaN and the infinities in quotes, as JSON needs them.
    static func write<Number: BinaryFloatingPoint & CustomStringConvertible>(
        _ value: Number, quotesSpecials: Bool, into out: JSONBuffer
    ) {
        guard value.isFinite else {
            if quotesSpecials { out.append(byte: 0x22) }
            out.append(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
            if quotesSpecials { out.append(byte: 0x22) }
            return
        }
        var shortest = value.description
        _ = shortest.withUTF8 {
            writeFinite(UnsafeRawBufferPointer($0), isSingle: Number.self == Float.self, into: out)
        }
    }

    /// The double nearest to a decimal text, as Java spells it (`decimal.handling.mode=double`).
    static func writeNearestDouble(_ text: UnsafeRawBufferPointer, into out: JSONBuffer) -> Bool {
        if let special = special(text) {
            out.append(byte: 0x22)
            out.append(special)
            out.append(byte: 0x22)
            return true
        }
        guard let value = nearestDouble(text) else { return false }
        if value.isInfinite {
            out.append(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
            return true
        }
        var shortest = value.description
        return shortest.withUTF8 { writeFinite(UnsafeRawBufferPointer($0), isSingle: false, into: out) }
    }

    /// Correctly rounded (glibc's strtod); nil where the text is no number.
    static func nearestDouble(_ text: UnsafeRawBufferPointer) -> Double? {
        guard text.count > 0, text.count < 1 << 20 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: text.count + 1, alignment: 1) { copy in
            copy.copyMemory(from: text)
            copy[text.count] = 0
            guard let start = copy.baseAddress?.assumingMemoryBound(to: CChar.self) else { return nil }
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(start, &end)
            return end == start + text.count ? value : nil
        }
    }
}
