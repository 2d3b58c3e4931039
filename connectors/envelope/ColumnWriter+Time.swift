extension ColumnWriter {
    func temporal(
        _ text: UnsafeRawBufferPointer, _ encoder: ColumnEncoder, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        switch encoder {
        case .date:
            if let infinity = TimeText.infinity(text) {
                // PostgreSQL's own numbers for them (DATEVAL_NOEND, DATEVAL_NOBEGIN); finite dates end well before.
                out.append(decimal: Int64(infinity == .positive ? Int32.max : Int32.min))
                return
            }
            guard let value = TimeText.date(text) else { throw .malformed }
            out.append(decimal: value.days)
        case .isoDate: try isoDate(text, out)
        case .time(let unit): try time(text, unit, out)
        case .timestamp(let unit): try timestamp(text, unit, out)
        case .zonedTime:
            guard let microseconds = TimeText.zonedTime(text) else { throw .malformed }
            out.append(byte: 0x22)
            out.append(isoTime: microseconds, digits: nil)
            out.append("Z\"")
        case .zonedTimestamp(let digits): try zonedTimestamp(text, digits, out)
        case .microDuration:
            guard let interval = IntervalText(text) else { throw .malformed }
            out.append(decimal: interval.microDuration)
        default:
            guard let interval = IntervalText(text) else { throw .malformed }
            interval.writeISO(into: out)
        }
    }

    /// Writes the word that stands for an infinity; false where the value is finite.
    private func infinity(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) -> Bool {
        guard let infinity = TimeText.infinity(text) else { return false }
        out.append(infinity == .positive ? "\"infinity\"" : "\"-infinity\"")
        return true
    }

    private func isoDate(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        if infinity(text, out) { return }
        guard let value = TimeText.date(text) else { throw .malformed }
        out.append(byte: 0x22)
        out.append(isoDate: value)
        out.append("Z\"")
    }

    private func time(
        _ text: UnsafeRawBufferPointer, _ unit: ColumnEncoder.TimeUnit, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        guard let microseconds = TimeText.time(text) else { throw .malformed }
        switch unit {
        case .milliseconds: out.append(decimal: microseconds / 1000)
        case .microseconds: out.append(decimal: microseconds)
        case .nanoseconds: out.append(decimal: microseconds &* 1000)
        case .iso:
            out.append(byte: 0x22)
            // 24:00:00 is the next day's beginning there, as in Debezium.
            out.append(isoTime: microseconds % 86_400_000_000, digits: nil)
            out.append("Z\"")
        }
    }

    private func timestamp(
        _ text: UnsafeRawBufferPointer, _ unit: ColumnEncoder.TimeUnit, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        if let infinity = TimeText.infinity(text) { return infinite(infinity, unit, out) }
        guard let value = TimeText.timestamp(text, zoned: false) else { throw .malformed }
        switch unit {
        case .milliseconds:
            out.append(decimal: value.millisecondsSince1970)
        case .microseconds:
            guard let microseconds = value.microsecondsSince1970 else { throw .outOfRange }
            out.append(decimal: microseconds)
        case .nanoseconds:
            guard let microseconds = value.microsecondsSince1970 else { throw .outOfRange }
            let (nanoseconds, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
            if overflow { throw .outOfRange }
            out.append(decimal: nanoseconds)
        case .iso:
            instant(value, nil, out)
        }
    }

    /// The JDBC driver's constants (`PGStatement.DATE_POSITIVE_INFINITY`), which Debezium hands on.
    private func infinite(_ infinity: TimeText.Infinity, _ unit: ColumnEncoder.TimeUnit, _ out: JSONBuffer) {
        switch (unit, infinity) {
        case (.nanoseconds, .positive): out.append(decimal: Int64.max)
        case (.nanoseconds, .negative): out.append(decimal: Int64.min)
        case (.iso, .positive): out.append("\"infinity\"")
        case (.iso, .negative): out.append("\"-infinity\"")
        case (_, .positive): out.append("9223372036825200000")
        case (_, .negative): out.append("-9223372036832400000")
        }
    }

    private func zonedTimestamp(
        _ text: UnsafeRawBufferPointer, _ digits: Int, _ out: JSONBuffer
    ) throws(EncodingFailure) {
        if infinity(text, out) { return }
        guard let value = TimeText.timestamp(text, zoned: true) else { throw .malformed }
        instant(value, digits, out)
    }

    /// `digits`: nil for as many as it takes.
    private func instant(_ value: TimeText.DateTime, _ digits: Int?, _ out: JSONBuffer) {
        out.append(byte: 0x22)
        out.append(isoDate: value)
        out.append(byte: 0x54)
        out.append(isoTime: value.microseconds, digits: digits)
        out.append("Z\"")
    }
}
