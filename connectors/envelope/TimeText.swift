/// Dates and times in PostgreSQL's text form (DateStyle ISO, time zone UTC), read into numbers. Every reader returns nil
/// for text that is not of its form. Calendar: proleptic Gregorian on both sides.
enum TimeText {
    enum Infinity {
        case positive
        case negative
    }

    /// `infinity` or `-infinity`.
    static func infinity(_ text: UnsafeRawBufferPointer) -> Infinity? {
        switch text.count {
        case 8 where text[0] == 0x69: .positive
        case 9 where text[0] == 0x2D && text[1] == 0x69: .negative
        default: nil
        }
    }

    struct DateTime {
        /// Astronomical: 1 BC is 0.
        var year = 0
        var month = 0
        var day = 0
        /// Since midnight; 24:00:00 is 86,400,000,000.
        var microseconds: Int64 = 0

        /// Since 1970-01-01.
        var days: Int64 { TimeText.days(year: year, month: month, day: day) }

        /// Since 1970-01-01 00:00, rounded down. Cannot overflow: years have seven digits.
        var millisecondsSince1970: Int64 { days * 86_400_000 + microseconds / 1000 }

        /// Since 1970-01-01 00:00. Nil for the last 29 years of PostgreSQL's timestamps, which it counts from 2000.
        var microsecondsSince1970: Int64? {
            let (whole, overflow) = days.multipliedReportingOverflow(by: TimeText.microsecondsPerDay)
            let (sum, secondOverflow) = whole.addingReportingOverflow(microseconds)
            return overflow || secondOverflow ? nil : sum
        }
    }

    static let microsecondsPerDay: Int64 = 86_400_000_000

    /// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    /// `2016-11-04`, `0044-03-15 BC`.
    static func date(_ text: UnsafeRawBufferPointer) -> DateTime? {
        var scanner = Scanner(text)
        guard var value = scanner.date() else { return nil }
        if scanner.isBC() { value.year = 1 - value.year }
        return scanner.isAtEnd ? value : nil
    }

    /// `2016-11-04 13:51:30.123456`; with `zoned`, an offset follows (of the session, UTC) and is subtracted.
    static func timestamp(_ text: UnsafeRawBufferPointer, zoned: Bool) -> DateTime? {
        var scanner = Scanner(text)
        guard var value = scanner.date(), scanner.skip(0x20), let time = scanner.time() else { return nil }
        value.microseconds = time
        if zoned {
            // The session's time zone is UTC, so that the date need never be carried.
            guard let offset = scanner.offset(), offset == 0 else { return nil }
        }
        if scanner.isBC() { value.year = 1 - value.year }
        return scanner.isAtEnd ? value : nil
    }

    /// `13:51:30.123456`: microseconds since midnight.
    static func time(_ text: UnsafeRawBufferPointer) -> Int64? {
        var scanner = Scanner(text)
        guard let time = scanner.time(), scanner.isAtEnd else { return nil }
        return time
    }

    /// `13:51:30.123789+02`: microseconds since midnight, the same moment in UTC.
    static func zonedTime(_ text: UnsafeRawBufferPointer) -> Int64? {
        var scanner = Scanner(text)
        guard let time = scanner.time(), let offset = scanner.offset(), scanner.isAtEnd else { return nil }
        let shifted = (time - offset * 1_000_000) % microsecondsPerDay
        return shifted < 0 ? shifted + microsecondsPerDay : shifted
    }

    private struct Scanner {
        let text: UnsafeRawBufferPointer
        var index = 0

        init(_ text: UnsafeRawBufferPointer) {
            self.text = text
        }

        var isAtEnd: Bool { index == text.count }

        mutating func skip(_ byte: UInt8) -> Bool {
            guard index < text.count, text[index] == byte else { return false }
            index += 1
            return true
        }

        /// At least `minimum` and at most `maximum` digits.
        mutating func number(_ minimum: Int, _ maximum: Int) -> Int? {
            var value = 0
            let start = index
            while index < text.count, index - start < maximum, NumericText.isDigit(text[index]) {
                value = value * 10 + Int(text[index] &- 0x30)
                index += 1
            }
            return index - start >= minimum ? value : nil
        }

        mutating func date() -> DateTime? {
            guard let year = number(4, 7), skip(0x2D), let month = number(2, 2), skip(0x2D), let day = number(2, 2),
                (1...12).contains(month), (1...31).contains(day)
            else { return nil }
            return DateTime(year: year, month: month, day: day)
        }

        mutating func time() -> Int64? {
            guard let hour = number(2, 2), skip(0x3A), let minute = number(2, 2), skip(0x3A),
                let second = number(2, 2), hour <= 24, minute < 60, second <= 60
            else { return nil }
            return Int64(hour * 3600 + minute * 60 + second) * 1_000_000 + Int64(fraction())
        }

        /// Up to six digits behind a point, as microseconds.
        mutating func fraction() -> Int {
            guard skip(0x2E) else { return 0 }
            let start = index
            guard var value = number(1, 6) else { return 0 }
            for _ in index - start..<6 { value *= 10 }
            return value
        }

        /// `+02`, `-00:30`, `+05:30:15`: seconds east of Greenwich.
        mutating func offset() -> Int64? {
            let isNegative = index < text.count && text[index] == 0x2D
            guard skip(isNegative ? 0x2D : 0x2B), var seconds = number(2, 2) else { return nil }
            seconds *= 3600
            if skip(0x3A) { seconds += (number(2, 2) ?? 0) * 60 }
            if skip(0x3A) { seconds += number(2, 2) ?? 0 }
            return Int64(isNegative ? -seconds : seconds)
        }

        mutating func isBC() -> Bool {
            guard text.count - index == 3, text[index] == 0x20, text[index + 1] == 0x42 else { return false }
            index += 3
            return true
        }
    }
}

extension JSONBuffer {
    /// `2016-11-04` as java.time prints a year: at least four digits, a sign in front of five and more.
    func append(isoDate value: TimeText.DateTime) {
        if value.year < 0 {
            append(byte: 0x2D)
        } else if value.year > 9999 {
            append(byte: 0x2B)
        }
        append(decimal: UInt64(value.year.magnitude), width: 4)
        append(byte: 0x2D)
        append(decimal: UInt64(value.month), width: 2)
        append(byte: 0x2D)
        append(decimal: UInt64(value.day), width: 2)
    }

    /// `13:51:30` and `digits` digits of the fraction; nil: as many as are not trailing zeros.
    func append(isoTime microseconds: Int64, digits: Int?) {
        let value = UInt64(max(microseconds, 0))
        let seconds = value / 1_000_000
        append(decimal: seconds / 3600, width: 2)
        append(byte: 0x3A)
        append(decimal: seconds / 60 % 60, width: 2)
        append(byte: 0x3A)
        append(decimal: seconds % 60, width: 2)
        var fraction = value % 1_000_000
        var width = 6
        if let digits {
            for _ in min(max(digits, 0), 6)..<6 {
                fraction /= 10
                width -= 1
            }
        } else {
            while width > 0, fraction % 10 == 0 {
                fraction /= 10
                width -= 1
            }
        }
        guard width > 0 else { return }
        append(byte: 0x2E)
        append(decimal: fraction, width: width)
    }
}
