import MillraceCore

/// Java's `SimpleDateFormat`, in UTC, for the letters that have no language: `y M d D H h k m s S a Z X`, quoted text.
struct DateFormat {
    private enum Piece {
        case text(String)
        case field(Character, Int)
    }

    private var pieces: [Piece] = []

    init(_ config: StepConfig, _ name: String, else defaultFormat: String) throws(ConnectorError) {
        let text = config[name] ?? defaultFormat
        guard let format = DateFormat(text) else {
            throw config.invalid(
                name, "only the letters y, M (as a number), d, D, H, k, m, s, S, Z and X are supported")
        }
        self = format
    }

    /// Nil for letters that are not supported.
    init?(_ format: String) {
        var rest = Substring(format)
        while let character = rest.first {
            if character == "'" {
                rest.removeFirst()
                if rest.first == "'" {
                    rest.removeFirst()
                    append("'")
                    continue
                }
                guard let close = rest.firstIndex(of: "'") else { return nil }
                append(String(rest[..<close]))
                rest = rest[rest.index(after: close)...]
            } else if character.isASCII, character.isLetter {
                let run = rest.prefix { $0 == character }
                guard "yMdDHkmsSZX".contains(character), character != "M" || run.count <= 2 else { return nil }
                pieces.append(.field(character, run.count))
                rest = rest.dropFirst(run.count)
            } else {
                append(String(character))
                rest.removeFirst()
            }
        }
    }

    private mutating func append(_ text: String) {
        if case .text(let before)? = pieces.last {
            pieces[pieces.count - 1] = .text(before + text)
        } else {
            pieces.append(.text(text))
        }
    }

    /// `milliseconds`: since 1970.
    func text(milliseconds: Int64) -> String {
        let moment = CalendarMoment(milliseconds: milliseconds)
        return pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .field(let letter, let width): DateFormat.field(letter, width, moment)
            }
        }.joined()
    }

    private static func field(_ letter: Character, _ width: Int, _ moment: CalendarMoment) -> String {
        switch letter {
        case "y": width == 2 ? padded(moment.year % 100, 2) : padded(moment.year, width)
        case "M": padded(moment.month, width)
        case "d": padded(moment.day, width)
        case "D": padded(moment.dayOfYear, width)
        case "H": padded(moment.hour, width)
        case "k": padded(moment.hour == 0 ? 24 : moment.hour, width)
        case "m": padded(moment.minute, width)
        case "s": padded(moment.second, width)
        case "S": padded(moment.millisecond, width)
        case "Z": "+0000"
        default: "Z"
        }
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
    }

    /// Reads what `text(milliseconds:)` writes: milliseconds since 1970; nil where it is of another form.
    func milliseconds(_ text: String) -> Int64? {
        var moment = CalendarMoment(milliseconds: 0)
        var rest = Substring(text)
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .text(let text):
                guard rest.hasPrefix(text) else { return nil }
                rest = rest.dropFirst(text.count)
            case .field(let letter, let width):
                // Digits follow each other without a sign between them only where the widths are fixed.
                var limit = 19
                if index + 1 < pieces.count, case .field = pieces[index + 1] { limit = width }
                guard moment.read(letter, &rest, limit) else { return nil }
            }
        }
        return rest.isEmpty ? moment.milliseconds : nil
    }
}

/// A moment in the proleptic Gregorian calendar, UTC.
struct CalendarMoment {
    var year = 1970
    var month = 1
    var day = 1
    var hour = 0
    var minute = 0
    var second = 0
    var millisecond = 0

    /// Since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
    init(milliseconds: Int64) {
        let days = Int(milliseconds.flooredQuotient(86_400_000))
        let rest = Int(milliseconds - Int64(days) * 86_400_000)
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60)
        millisecond = rest % 1000
    }

    var dayOfYear: Int {
        Int(TimeText.days(year: year, month: month, day: day) - TimeText.days(year: year, month: 1, day: 1)) + 1
    }

    var milliseconds: Int64 {
        let days = TimeText.days(year: year, month: month, day: day)
        return days &* 86_400_000 &+ Int64((hour * 3600 + minute * 60 + second) * 1000 + millisecond)
    }

    mutating func read(_ letter: Character, _ rest: inout Substring, _ limit: Int) -> Bool {
        if letter == "X" || letter == "Z" {
            guard let zone = ["Z", "+0000", "+00:00", "+00", "UTC", "GMT"].first(where: { rest.hasPrefix($0) }) else {
                return false
            }
            rest = rest.dropFirst(zone.count)
            return true
        }
        let digits = rest.prefix(limit).prefix { $0.isASCII && $0.isNumber }
        guard let value = Int(digits), value <= 999_999 else { return false }
        rest = rest.dropFirst(digits.count)
        switch letter {
        case "y": year = value
        case "M": month = value
        case "d": day = value
        case "D": (month, day) = (1, value)
        case "H": hour = value
        case "k": hour = value % 24
        case "m": minute = value
        case "s": second = value
        default: millisecond = value
        }
        return (1...12).contains(month) && (0...999_999).contains(year)
    }
}

extension Int64 {
    func flooredQuotient(_ divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
