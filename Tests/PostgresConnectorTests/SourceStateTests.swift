import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct SourceStateTests {
    @Test func readsBackWhatItWrote() throws {
        let state = SourceState(
            systemIdentifier: "7123456789012345678", timeline: 3, database: "dä\"ta", slotName: "s",
            publicationName: "p/q", slotIsOurs: true, phase: .streaming, startLSN: LSN(0x16_B374_D848),
            confirmedLSN: LSN(7), stale: [16_400: "the type of \"v\" was changed"])
        #expect(try SourceState.decode(state.encoded()) == state)
        #expect(try SourceState.decode([]) == nil)
    }

    @Test func keepsToItsForm() {
        let state = SourceState(
            systemIdentifier: "1", timeline: 1, database: "d", slotName: "s", publicationName: "p", slotIsOurs: false,
            phase: .snapshot)
        #expect(
            String(decoding: state.encoded(), as: UTF8.self)
                == #"{"confirmedLSN":"0/0","database":"d","phase":"snapshot","publication":"p","slot":"s","#
                + #""slotIsOurs":false,"startLSN":"0/0","systemIdentifier":"1","timeline":1,"version":1}"#)
    }

    @Test(arguments: ["{}", "x", "[]", #"{"version":2}"#])
    func refusesWhatItDoesNotKnow(text: String) throws {
        let error = #expect(throws: ConnectorError.self) { try SourceState.decode(Array(text.utf8)) }
        #expect(error?.code == "state_unreadable")
    }
}
