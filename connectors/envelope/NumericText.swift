/// A `numeric` in PostgreSQL's text form, split: sign, digits before and behind the point. Never an exponent
/// (`numeric_out`).
struct NumericText {
    var isNegative: Bool
    var whole: UnsafeRawBufferPointer
    var fraction: UnsafeRawBufferPointer

    /// Nil where the text is no finite decimal number (`NaN`, `Infinity`, anything else).
    init?(_ text: UnsafeRawBufferPointer) {
        var index = 0
        isNegative = text.count > 0 && text[0] == 0x2D
        if isNegative { index = 1 }
        let start = index
        while index < text.count, NumericText.isDigit(text[index]) { index += 1 }
        let point = index
        var fractionStart = index
        if index < text.count, text[index] == 0x2E {
            index += 1
            fractionStart = index
            while index < text.count, NumericText.isDigit(text[index]) { index += 1 }
        }
        guard index == text.count, point > start || index > fractionStart else { return nil }
        whole = UnsafeRawBufferPointer(rebasing: text[start..<point])
        fraction = UnsafeRawBufferPointer(rebasing: text[fractionStart..<index])
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Digits behind the point that are not just trailing zeros: the scale that `VariableScaleDecimal` shows.
    var significantScale: Int {
        var scale = fraction.count
        while scale > 0, fraction[scale - 1] == 0x30 { scale -= 1 }
        return scale
    }
}

/// Turns decimal digits into the bytes of Kafka Connect's `Decimal`: the unscaled value as a two's complement,
/// big-endian, in as few bytes as hold it (Java's `BigInteger.toByteArray`).
///
/// Holds the scratch memory for numbers beyond 18 digits.
struct UnscaledDecimal {
    private var limbs: [UInt32] = []
    private(set) var bytes: [UInt8] = []

    /// Calls `body` with the bytes of `number` × 10^`scale`. False where digits other than zero would be lost.
    mutating func withBytes(
        of number: NumericText, scale: Int, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        let kept = min(max(scale, 0), number.fraction.count)
        for index in kept..<number.fraction.count where number.fraction[index] != 0x30 { return false }
        var whole = number.whole
        if scale < 0 {
            // numeric(5,-2): the last digits before the point are zeros that the scale stands for.
            let cut = min(-scale, whole.count)
            for index in whole.count - cut..<whole.count where whole[index] != 0x30 { return false }
            whole = UnsafeRawBufferPointer(rebasing: whole[..<(whole.count - cut)])
        }
        let fraction = UnsafeRawBufferPointer(rebasing: number.fraction[..<kept])
        let zeros = max(scale, 0) - kept
        if whole.count + fraction.count + zeros <= 18 {
            small(whole, fraction, zeros, number.isNegative, body)
        } else {
            large(whole, fraction, zeros, number.isNegative)
            bytes.withUnsafeBytes(body)
        }
        return true
    }

    private func small(
        _ whole: UnsafeRawBufferPointer, _ fraction: UnsafeRawBufferPointer, _ zeros: Int, _ isNegative: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var value: Int64 = 0
        for byte in whole { value = value &* 10 &+ Int64(byte &- 0x30) }
        for byte in fraction { value = value &* 10 &+ Int64(byte &- 0x30) }
        for _ in 0..<max(zeros, 0) { value = value &* 10 }
        if isNegative { value = 0 &- value }
        // Bytes that only repeat the sign are left out.
        let spare = (value < 0 ? ~value : value).leadingZeroBitCount - 1
        withUnsafeBytes(of: value.bigEndian) { body(UnsafeRawBufferPointer(rebasing: $0[min(spare / 8, 7)...])) }
    }

    private mutating func large(
        _ whole: UnsafeRawBufferPointer, _ fraction: UnsafeRawBufferPointer, _ zeros: Int, _ isNegative: Bool
    ) {
        limbs.removeAll(keepingCapacity: true)
        var group: UInt64 = 0
        var factor: UInt64 = 1
        func isFull() -> Bool { factor == 1_000_000_000 }
        for part in [whole, fraction] {
            for byte in part {
                group = group * 10 + UInt64(byte &- 0x30)
                factor *= 10
                if isFull() {
                    multiplyAdd(factor, group)
                    (group, factor) = (0, 1)
                }
            }
        }
        for _ in 0..<zeros {
            group *= 10
            factor *= 10
            if isFull() {
                multiplyAdd(factor, group)
                (group, factor) = (0, 1)
            }
        }
        if factor > 1 { multiplyAdd(factor, group) }
        writeBytes(isNegative)
    }

    /// limbs × `factor` + `addend`, little-endian limbs.
    private mutating func multiplyAdd(_ factor: UInt64, _ addend: UInt64) {
        var carry = addend
        for index in limbs.indices {
            let product = UInt64(limbs[index]) * factor + carry
            limbs[index] = UInt32(truncatingIfNeeded: product)
            carry = product >> 32
        }
        if carry > 0 { limbs.append(UInt32(truncatingIfNeeded: carry)) }
    }

    private mutating func writeBytes(_ isNegative: Bool) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(0)
        for limb in limbs.reversed() {
            for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: limb >> shift)) }
        }
        if isNegative {
            var carry: UInt8 = 1
            for index in bytes.indices.reversed() {
                let (sum, overflow) = (~bytes[index]).addingReportingOverflow(carry)
                bytes[index] = sum
                carry = overflow ? 1 : 0
            }
        }
        let sign: UInt8 = bytes[0] & 0x80 == 0 ? 0 : 0xFF
        var start = 0
        while start + 1 < bytes.count, bytes[start] == sign, bytes[start + 1] & 0x80 == sign & 0x80 { start += 1 }
        bytes.removeFirst(start)
    }
}
