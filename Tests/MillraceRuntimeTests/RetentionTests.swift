import MillraceCore
import Testing

@testable import MillraceRuntime

@Suite struct RetentionTests {
    /// Segments of 100 bytes; the last is being written.
    private func segments(_ count: Int, age: Duration = .zero) -> [Retention.Segment] {
        (1...count).map { Retention.Segment(end: UInt64($0 * 100), byteCount: 100, isSealed: $0 < count, age: age) }
    }

    @Test func whatASinkNeedsIsNeverRemoved() {
        let retention = Retention(byteLimit: 0, ageLimit: .zero)
        let old = segments(5, age: .seconds(1_000_000))
        #expect(retention.trimOffset(old, needed: 0, isUnderPressure: true) == nil)
        #expect(retention.trimOffset(old, needed: 199, isUnderPressure: true) == 100)
        #expect(retention.trimOffset(old, needed: 200, isUnderPressure: true) == 200)
    }

    @Test func theSegmentThatIsWrittenStays() {
        #expect(Retention(byteLimit: 0).trimOffset(segments(3), needed: .max, isUnderPressure: true) == 200)
        #expect(Retention(byteLimit: 0).trimOffset(segments(1), needed: .max, isUnderPressure: true) == nil)
        #expect(Retention().trimOffset([], needed: nil, isUnderPressure: false) == nil)
    }

    @Test func historyIsKeptUpToItsSize() {
        let retention = Retention(byteLimit: 250, ageLimit: .seconds(-1))
        #expect(retention.trimOffset(segments(5), needed: .max, isUnderPressure: false) == 300)
        #expect(retention.trimOffset(segments(2), needed: .max, isUnderPressure: false) == nil)
    }

    @Test func historyIsKeptForItsTime() {
        let retention = Retention(byteLimit: -1, ageLimit: .seconds(60))
        #expect(retention.trimOffset(segments(4, age: .seconds(61)), needed: .max, isUnderPressure: false) == 300)
        #expect(retention.trimOffset(segments(4, age: .seconds(59)), needed: .max, isUnderPressure: false) == nil)
        let forEver = Retention(byteLimit: -1, ageLimit: .seconds(-1))
        #expect(forEver.trimOffset(segments(4, age: .seconds(1 << 40)), needed: .max, isUnderPressure: false) == nil)
    }

    @Test func withoutASinkOnlyAgeCounts() {
        let retention = Retention(byteLimit: 0, ageLimit: .seconds(60))
        #expect(retention.trimOffset(segments(4), needed: nil, isUnderPressure: true) == nil)
        #expect(retention.trimOffset(segments(4, age: .seconds(61)), needed: nil, isUnderPressure: false) == 300)
    }

    @Test func underPressureHistoryIsGivenUp() {
        #expect(Retention().trimOffset(segments(4), needed: 250, isUnderPressure: true) == 200)
        #expect(Retention().trimOffset(segments(4), needed: 250, isUnderPressure: false) == nil)
    }

    @Test func theLogLeavesRoomForTheCatalog() {
        #expect(DiskReserve.isReached(free: 0, capacity: 0) == false)
        #expect(DiskReserve.isReached(free: 15 << 20, capacity: 1 << 40))
        #expect(!DiskReserve.isReached(free: 16 << 20, capacity: 1 << 40))
        #expect(DiskReserve.isReached(free: 2 << 20, capacity: 24 << 20))
        #expect(!DiskReserve.isReached(free: 3 << 20, capacity: 24 << 20))
        #expect(DiskReserve.isReached(free: 20 << 20, capacity: 1 << 40, adding: 5 << 20))
        #expect(!DiskReserve.isReached(on: "/nowhere/at/all"))
    }

    @Test func settingsComeFromTheSourcesProperties() {
        let settings = LogSettings(
            ConnectorConfig([
                "log.segment.bytes": "1000", "log.retention.bytes": "2000", "log.retention.ms": "3000",
                "log.max.bytes": "4000",
            ]))
        #expect(settings.segmentByteLimit == 1000)
        #expect(settings.retention == Retention(byteLimit: 2000, ageLimit: .milliseconds(3000)))
        #expect(settings.maxByteCount == 4000)
        let narrow = LogSettings(ConnectorConfig(["log.max.bytes": "1000"]))
        #expect(narrow.segmentByteLimit == 250)
        let definition = ConfigDefinition(keys: [ConfigKey("log.segment.bytes", .long, default: "77", "Size.")])
        #expect(LogSettings(ConnectorConfig([:]), definition).segmentByteLimit == 77)
        #expect(LogSettings(ConnectorConfig(["log.max.bytes": "0"])).maxByteCount == nil)
        let defaults = LogSettings(ConnectorConfig(["log.max.bytes": "-1", "log.retention.ms": "soon"]))
        #expect(defaults.maxByteCount == nil)
        #expect(defaults.retention == Retention(byteLimit: 1 << 30, ageLimit: .seconds(604_800)))
    }
}
