import MillraceTesting
import Testing

/// The comparison with the recordings must see what it is there to see.
@Suite struct ComparisonTests {
    private let capture: Result<Capture, any Error> = Result { try Capture("01-basic-crud") }

    private func differences(_ change: (inout [String]) -> Void) throws -> Int {
        let expected = try capture.get().expected
        var actual = expected
        change(&actual)
        return EventComparison.differences(expected: expected, actual: actual).count
    }

    @Test func equalEventsHaveNoDifferences() throws {
        #expect(try differences { _ in } == 0)
    }

    @Test func timesAndPositionsMayDiffer() throws {
        #expect(try differences { $0[0] = $0[0].replacing("2097943136", with: "17") } == 0)
        #expect(try differences { $0[0] = $0[0].replacing("\"ts_ms\":1795222062404", with: "\"ts_ms\":5") } == 0)
    }

    @Test(arguments: [
        ("\"balance\":\"BBo=\"", "\"balance\":\"AA==\""), ("\"snapshot\":\"first\"", "\"snapshot\":\"true\""),
        ("\"ts_ms\":1795222062404", "\"ts_ms\":\"5\""), ("\"xmin\":null", "\"xmin\":3"),
        ("\"txId\":6779", "\"txId\":null"),
        ("[null,\\\"2097943136\\\"]", "[\\\"5\\\",\\\"6\\\"]"), ("\"op\":\"r\",", ""),
        ("\"key\":{\"id\":1}", "\"key\":{\"id\": 1}"),
        ("srv.public.customers", "srv.public.customer"), ("01a1fb92-c43c-7c20", "01a1fb92-c43c"),
    ])
    func everythingElseIsADifference(_ from: String, _ to: String) throws {
        #expect(try capture.get().expected[0].contains(from))
        #expect(try differences { $0[0] = $0[0].replacing(from, with: to) } >= 1)
    }

    @Test func missingAndSurplusEventsAreDifferences() throws {
        #expect(try differences { $0.removeLast() } == 1)
        #expect(try differences { $0.append($0[0]) } == 1)
        #expect(try differences { $0.swapAt(0, 1) } == 2)
    }

    @Test func eventsOfOneTransactionShareItsNumber() throws {
        #expect(try differences { $0[10] = $0[10].replacing("\"txId\":6785", with: "\"txId\":9999") } >= 1)
    }
}
