import MillraceCore
import Testing

@testable import Envelope

@Suite struct TimeTests {
    private func json(
        _ oid: UInt32, _ text: String, modifier: Int32 = -1, mode: String = "adaptive",
        _ properties: [String: String] = [:]
    ) throws -> String {
        try ValueTests.json(
            Column(name: "v", typeOID: oid, typeModifier: modifier, typeName: "type"), text, types: [],
            properties.merging(["time.precision.mode": mode]) { $1 })
    }

    @Test(arguments: [
        ("1970-01-01", "0"), ("2000-02-29", "11016"), ("0001-01-01", "-719162"), ("0001-12-31 BC", "-719163"),
        ("4713-01-01 BC", "-2440550"), ("5874897-12-31", "2145042905"),
    ])
    func datesAreDays(_ text: String, _ expected: String) throws {
        #expect(try json(TypeOID.date, text) == expected)
    }

    @Test func timesHaveUnitsByMode() throws {
        #expect(try json(TypeOID.time, "24:00:00") == "86400000000")
        #expect(try json(TypeOID.time, "24:00:00", mode: "isostring") == "\"00:00:00Z\"")
        #expect(try json(TypeOID.time, "04:05:11.789", modifier: 3) == "14711789")
        #expect(try json(TypeOID.time, "04:05:11.789", mode: "nanoseconds") == "14711789000000")
        #expect(try json(TypeOID.time, "04:05:11.789", mode: "isostring") == "\"04:05:11.789Z\"")
        #expect(try json(TypeOID.time, "04:05:11.789012", mode: "connect") == "14711789")
        #expect(try json(TypeOID.time, "04:05:11", modifier: 0, mode: "adaptive_time_microseconds") == "14711000000")
        #expect(try json(TypeOID.timetz, "00:30:00+01") == "\"23:30:00Z\"")
    }

    @Test func timestampsHaveUnitsByMode() throws {
        let text = "2019-07-09 02:28:57.123456"
        #expect(try json(TypeOID.timestamp, text) == "1562639337123456")
        #expect(try json(TypeOID.timestamp, text, modifier: 3) == "1562639337123")
        #expect(try json(TypeOID.timestamp, text, mode: "connect") == "1562639337123")
        #expect(try json(TypeOID.timestamp, text, mode: "nanoseconds") == "1562639337123456000")
        #expect(try json(TypeOID.timestamp, text, mode: "isostring") == "\"2019-07-09T02:28:57.123456Z\"")
        #expect(try json(TypeOID.timestamp, "1582-10-10 00:00:00.1", mode: "isostring") == "\"1582-10-10T00:00:00.1Z\"")
        #expect(try json(TypeOID.timestamp, "2024-01-01 00:00:00", mode: "isostring") == "\"2024-01-01T00:00:00Z\"")
        #expect(try json(TypeOID.timestamp, "1969-12-31 23:59:59.9999", modifier: 3) == "-1")
        let last = "294276-12-31 23:59:59.999999"
        #expect(try json(TypeOID.timestamp, last, modifier: 3) == "9224318015999999")
        #expect(throws: ConnectorError.self) { try json(TypeOID.timestamp, last) }
        #expect(try json(TypeOID.timestamp, "4713-01-01 00:00:00 BC") == "-210863520000000000")
        #expect(throws: ConnectorError.self) { try json(TypeOID.timestamp, "2300-01-01 00:00:00", mode: "nanoseconds") }
    }

    @Test func infinitiesAreDebeziumsConstants() throws {
        #expect(try json(TypeOID.timestamp, "infinity") == "9223372036825200000")
        #expect(try json(TypeOID.timestamp, "-infinity") == "-9223372036832400000")
        #expect(try json(TypeOID.timestamp, "infinity", mode: "nanoseconds") == "9223372036854775807")
        #expect(try json(TypeOID.timestamptz, "-infinity") == "\"-infinity\"")
        #expect(try json(TypeOID.date, "infinity") == "2147483647")
        #expect(try json(TypeOID.date, "-infinity") == "-2147483648")
        #expect(try json(TypeOID.date, "infinity", mode: "isostring") == "\"infinity\"")
    }

    @Test func farYearsCarryASign() throws {
        #expect(try json(TypeOID.timestamptz, "21016-11-04 13:51:30.123456+00") == "\"+21016-11-04T13:51:30.123456Z\"")
        #expect(try json(TypeOID.timestamptz, "0044-03-15 12:00:00+00 BC") == "\"-0043-03-15T12:00:00.000000Z\"")
        #expect(try json(TypeOID.date, "2017-09-15", mode: "isostring") == "\"2017-09-15Z\"")
    }

    @Test(arguments: [
        ("1 year 2 mons 3 days 04:05:06.78", "37091106780000", "P1Y2M3DT4H5M6.78S"),
        ("-1 years -2 mons +3 days -04:05:06.7", "-36572706700000", "P-1Y-2M3DT-4H-5M-6.7S"),
        ("00:00:00", "0", "P0Y0M0DT0H0M0S"), ("1 mon", "2629800000000", "P0Y1M0DT0H0M0S"),
        ("178000000 years", "5617213008000000000000", "P178000000Y0M0DT0H0M0S"),
    ])
    func intervalsAreMicrosecondsOrISO(_ text: String, _ microseconds: String, _ iso: String) throws {
        let clamped = Int128(microseconds).map { String(Int64(clamping: $0)) }
        #expect(try json(TypeOID.interval, text) == clamped)
        #expect(try json(TypeOID.interval, text, ["interval.handling.mode": "string"]) == "\"\(iso)\"")
    }
}
