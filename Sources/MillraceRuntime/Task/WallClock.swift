import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

enum WallClock {
    static var secondsSince1970: Int64 { Int64(time(nil)) }

    /// Seconds from `timestamp` to now; 0 where the source's clock is ahead of ours.
    static func age(of timestamp: Timestamp) -> Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        return max(0, Double(microseconds &- timestamp.microsecondsSince1970) / 1_000_000)
    }
}
