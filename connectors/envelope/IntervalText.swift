/// An `interval` in PostgreSQL's text form (IntervalStyle postgres): `-1 years -2 mons +3 days -04:05:06.7`.
struct IntervalText {
    var months: Int64 = 0
    var days: Int64 = 0
    var microseconds: Int64 = 0

    /// Nil where the text is not of that form (`infinity` of server 17 included).
    init?(_ text: UnsafeRawBufferPointer) {
        var index = 0
        while index < text.count {
            guard let isNegative = IntervalText.sign(text, &index), let number = IntervalText.number(text, &index)
            else {
                return nil
            }
            if index < text.count, text[index] == 0x3A {
                guard let time = IntervalText.time(text, &index, hours: number), index == text.count else { return nil }
                microseconds = isNegative ? -time : time
                return
            }
            guard index + 1 < text.count, text[index] == 0x20 else { return nil }
            let value = isNegative ? -number : number
            switch (text[index + 1], index + 2 < text.count ? text[index + 2] : 0) {
            case (0x79, _): months += value * 12  // years
            case (0x6D, 0x6F): months += value  // mons
            case (0x64, _): days += value  // days
            default: return nil
            }
            index += 1
            while index < text.count, text[index] != 0x20 { index += 1 }
            if index < text.count { index += 1 }
        }
    }

    private static func sign(_ text: UnsafeRawBufferPointer, _ index: inout Int) -> Bool? {
        guard index < text.count else { return nil }
        guard text[index] == 0x2D || text[index] == 0x2B else { return false }
        index += 1
        return text[index - 1] == 0x2D
    }

    private static func number(_ text: UnsafeRawBufferPointer, _ index: inout Int) -> Int64? {
        let start = index
        var value: Int64 = 0
        while index < text.count, NumericText.isDigit(text[index]) {
            guard index - start < 12 else { return nil }
            value = value * 10 + Int64(text[index] &- 0x30)
            index += 1
        }
        return index > start ? value : nil
    }

    private static func time(_ text: UnsafeRawBufferPointer, _ index: inout Int, hours: Int64) -> Int64? {
        index += 1
        guard let minutes = number(text, &index), index < text.count, text[index] == 0x3A else { return nil }
        index += 1
        guard let seconds = number(text, &index) else { return nil }
        var fraction: Int64 = 0
        if index < text.count, text[index] == 0x2E {
            index += 1
            let start = index
            guard let digits = number(text, &index), index - start <= 6 else { return nil }
            fraction = digits
            for _ in index - start..<6 { fraction *= 10 }
        }
        let (whole, overflow) = (hours * 3600 + minutes * 60 + seconds).multipliedReportingOverflow(by: 1_000_000)
        let (sum, second) = whole.addingReportingOverflow(fraction)
        return overflow || second ? nil : sum
    }

    /// Debezium's `MicroDuration`: a month is 30.4375 days (a twelfth of 365.25), the sum is clamped to 64 bits.
    var microDuration: Int64 {
        let sum = Int128(months) * 2_629_800_000_000 + Int128(days) * 86_400_000_000 + Int128(microseconds)
        return Int64(clamping: sum)
    }

    /// Debezium's `Interval`: `P1Y2M3DT4H5M6.78S`, every part written, each with its own sign.
    func writeISO(into out: JSONBuffer) {
        out.append("\"P")
        out.append(decimal: months / 12)
        out.append(byte: 0x59)
        out.append(decimal: months % 12)
        out.append(byte: 0x4D)
        out.append(decimal: days)
        out.append("DT")
        out.append(decimal: microseconds / 3_600_000_000)
        out.append(byte: 0x48)
        out.append(decimal: microseconds / 60_000_000 % 60)
        out.append(byte: 0x4D)
        let rest = microseconds % 60_000_000
        if rest < 0 { out.append(byte: 0x2D) }
        out.append(decimal: rest.magnitude / 1_000_000)
        var fraction = rest.magnitude % 1_000_000
        if fraction > 0 {
            var width = 6
            while fraction % 10 == 0 {
                fraction /= 10
                width -= 1
            }
            out.append(byte: 0x2E)
            out.append(decimal: fraction, width: width)
        }
        out.append("S\"")
    }
}
