import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The pieces of `source` that are the same in every event of a transaction, written when it begins.
struct TransactionText {
    let text = JSONBuffer(capacity: 512)
    /// `,"source":{"version":…,"snapshot":"`
    private(set) var head = 0..<0
    /// `","db":…,"sequence":"[…,\"`
    private(set) var sequence = 0..<0
    /// `\"]","ts_us":…,"ts_ns":…,`
    private(set) var times = 0..<0
    /// `,"txId":…,"lsn":`
    private(set) var transaction = 0..<0
    /// `,"xmin":null,"origin":null,"origin_lsn":…}`
    private(set) var tail = 0..<0

    /// What other systems may show as the version of the connector.
    static let version = "millrace-0.1"

    mutating func write(_ info: TransactionInfo, lastCommitEnd: LSN?, _ options: EnvelopeOptions) {
        text.removeAll()
        let microseconds = info.commitTime.microsecondsSince1970
        text.append(",\"source\":{\"version\":\"\(TransactionText.version)\",\"connector\":\"postgresql\",\"name\":")
        text.append(quoted: options.topicPrefix)
        text.append(",\"ts_ms\":")
        text.append(decimal: microseconds / 1000)
        text.append(",\"snapshot\":\"")
        head = 0..<text.count
        text.append("\",\"db\":")
        text.append(quoted: options.database)
        text.append(",\"sequence\":\"[")
        if let lastCommitEnd, !info.flags.contains(.snapshot) {
            text.append("\\\"\(lastCommitEnd.value)\\\"")
        } else {
            text.append("null")
        }
        text.append(",\\\"")
        sequence = head.upperBound..<text.count
        text.append("\\\"]\",\"ts_us\":\(microseconds),\"ts_ns\":\(microseconds)000,")
        times = sequence.upperBound..<text.count
        let hasID = info.xid != 0 && !info.flags.contains(.nonTransactional)
        text.append(",\"txId\":\(hasID ? String(info.xid) : "null"),\"lsn\":")
        transaction = times.upperBound..<text.count
        let origin = info.originLSN == .zero ? "null" : String(info.originLSN.value)
        text.append(",\"xmin\":null,\"origin\":null,\"origin_lsn\":\(origin)}")
        tail = transaction.upperBound..<text.count
    }
}

/// The time of day, for the `ts_ms`, `ts_us` and `ts_ns` of an envelope.
struct ProcessingTime {
    /// Nanoseconds since 1970: 19 digits until the year 2286.
    var nanoseconds: UInt64

    static func now() -> ProcessingTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let seconds = UInt64(max(now.tv_sec, 0))
        return ProcessingTime(nanoseconds: seconds &* 1_000_000_000 &+ UInt64(max(now.tv_nsec, 0)))
    }
}
