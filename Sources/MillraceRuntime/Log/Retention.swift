import MillraceCore
import MillraceLog

/// Which part of a log may go. Pure: who may be hurt and how full the disk is come in as values.
struct Retention: Hashable, Sendable {
    /// `log.retention.bytes`: history that is kept although every sink is past it; negative for no limit.
    var byteLimit: Int64 = 1 << 30
    /// `log.retention.ms`: how long history is kept; negative for ever.
    var ageLimit: Duration = .seconds(7 * 24 * 3600)

    /// One whole file of the log, oldest first.
    struct Segment: Hashable, Sendable {
        var end: UInt64
        var byteCount: UInt64
        var isSealed: Bool
        /// Since its last write.
        var age: Duration
    }

    /// The offset before which the log can be trimmed; nil for nothing.
    ///
    /// - `needed`: the smallest durable cursor offset of the sinks there are; nil when there is no sink. Then the size
    ///   does not count: the first sink is usually on its way and wants the full load.
    /// - `isUnderPressure`: the disk or `log.max.bytes` is full, so history is given up; what a sink needs never is.
    func trimOffset(_ segments: [Segment], needed: UInt64?, isUnderPressure: Bool) -> UInt64? {
        var total = segments.reduce(0) { $0 &+ $1.byteCount }
        var offset: UInt64?
        for segment in segments {
            guard segment.isSealed, segment.end <= needed ?? .max else { break }
            let isTooMuch = byteLimit >= 0 && total > UInt64(byteLimit) && needed != nil
            let isTooOld = ageLimit >= .zero && segment.age > ageLimit
            guard isTooMuch || isTooOld || (isUnderPressure && needed != nil) else { break }
            total -= min(segment.byteCount, total)
            offset = segment.end
        }
        return offset
    }
}

/// What a source connector's properties say about its log.
struct LogSettings: Hashable, Sendable {
    var segmentByteLimit = LogOptions().segmentByteLimit
    var retention = Retention()
    /// `log.max.bytes`: disk that the log may take; nil for no limit.
    var maxByteCount: UInt64?

    init() {}

    /// Values that are no numbers are refused by validation; whatever gets past it counts as absent.
    init(_ config: ConnectorConfig, _ definition: ConfigDefinition = ConfigDefinition(keys: [])) {
        let number = { (name: String) in config.string(name, definition).flatMap { Int64($0.trimmed) } }
        if let bytes = number("log.segment.bytes"), bytes > 0 { segmentByteLimit = Int(bytes) }
        if let bytes = number("log.retention.bytes") { retention.byteLimit = bytes }
        if let milliseconds = number("log.retention.ms") { retention.ageLimit = .milliseconds(milliseconds) }
        if let bytes = number("log.max.bytes"), bytes > 0 { maxByteCount = UInt64(bytes) }
        // Only whole segments make room: with fewer than a handful of them the limit could be a dead end.
        if let limit = maxByteCount { segmentByteLimit = max(1, min(segmentByteLimit, Int(clamping: limit / 4))) }
    }

    var logOptions: LogOptions { LogOptions(segmentByteLimit: segmentByteLimit) }
}
