/// Between the bytes of an unscaled decimal (big-endian, two's complement: `BigInteger.toByteArray`) and digits.
package enum DecimalText {
    /// As `BigDecimal.toPlainString` spells it.
    package static func text(unscaled bytes: [UInt8], scale: Int) -> String {
        var (isNegative, digits) = self.digits(bytes)
        if scale <= 0 {
            if digits != "0" { digits += String(repeating: "0", count: min(-scale, 1 << 20)) }
        } else {
            if digits.utf8.count <= scale {
                digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits
            }
            digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -scale))
        }
        if digits.utf8.allSatisfy({ $0 == 0x30 || $0 == 0x2E }) { isNegative = false }
        return isNegative ? "-" + digits : digits
    }

    private static func digits(_ bytes: [UInt8]) -> (isNegative: Bool, digits: String) {
        guard let first = bytes.first else { return (false, "0") }
        let isNegative = first & 0x80 != 0
        var magnitude = bytes
        if isNegative {
            var carry = true
            for index in magnitude.indices.reversed() {
                magnitude[index] = ~magnitude[index] &+ (carry ? 1 : 0)
                carry = carry && magnitude[index] == 0
            }
            // -2^(8n-1): the complement is itself, read as unsigned.
        }
        // Base 10^9, smallest group first.
        var groups: [UInt32] = [0]
        for byte in magnitude {
            var carry = UInt64(byte)
            for index in groups.indices {
                let sum = UInt64(groups[index]) << 8 + carry
                groups[index] = UInt32(sum % 1_000_000_000)
                carry = sum / 1_000_000_000
            }
            if carry > 0 { groups.append(UInt32(carry)) }
        }
        var text = String(groups[groups.count - 1])
        for group in groups.dropLast().reversed() {
            let part = String(group)
            text += String(repeating: "0", count: 9 - part.utf8.count) + part
        }
        return (isNegative, text)
    }
}
