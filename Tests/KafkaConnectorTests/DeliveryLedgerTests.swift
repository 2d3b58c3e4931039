import Envelope
import MillraceCore
import Testing

@testable import KafkaConnector

@Suite struct DeliveryLedgerTests {
    private func place(_ offset: UInt64) -> EncodedBoundary {
        EncodedBoundary(
            cursor: Cursor(logID: 1, offset: offset, commitLSN: LSN(offset), ordinal: 1), lastCommitEnd: nil)
    }

    @Test func aPlaceIsDurableWhenEverythingBeforeItIsAcknowledged() {
        var ledger = DeliveryLedger()
        let first = [ledger.send(), ledger.send()]
        ledger.reach(place(10))
        let second = ledger.send()
        ledger.reach(place(20))
        #expect(ledger.durable == nil)
        ledger.acknowledge(second)
        #expect(ledger.durable == nil)
        ledger.acknowledge(first[0])
        #expect(ledger.durable == nil)
        ledger.acknowledge(first[1])
        #expect(ledger.durable == place(20))
        #expect(ledger.isDrained)
    }

    @Test func aTransactionThatIsNotOverIsNotDurable() {
        var ledger = DeliveryLedger()
        ledger.acknowledge(ledger.send())
        #expect(ledger.durable == nil)
        #expect(ledger.isInsideTransaction)
        ledger.reach(place(10))
        #expect(ledger.durable == place(10))
        #expect(!ledger.isInsideTransaction)
    }

    @Test func aTransactionWithoutEventsIsPassedWithWhatIsBeforeIt() {
        var ledger = DeliveryLedger()
        ledger.reach(place(10))
        #expect(ledger.durable == place(10))
        let number = ledger.send()
        ledger.reach(place(20))
        ledger.reach(place(30))
        #expect(ledger.durable == place(10))
        ledger.acknowledge(number)
        #expect(ledger.durable == place(30))
    }

    @Test func inAnyOrderOfAcknowledgementsThePlaceIsTheLongestPrefix() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            var ledger = DeliveryLedger()
            var open: [(number: Int, transaction: Int)] = []
            for transaction in 1...3000 {
                for _ in 0..<Int.random(in: 0...3, using: &random) { open.append((ledger.send(), transaction)) }
                ledger.reach(place(UInt64(transaction)))
                for _ in 0..<Int.random(in: 0...4, using: &random) where !open.isEmpty {
                    // Mostly the older ones.
                    let index = Int.random(in: 0..<min(open.count, 50), using: &random)
                    ledger.acknowledge(open.remove(at: index).number)
                }
                let expected = open.isEmpty ? transaction : open[0].transaction - 1
                guard Int(ledger.durable?.cursor.offset ?? 0) == expected else {
                    Issue.record("\(ledger.durable as Any) instead of \(expected)")
                    return
                }
            }
        }
    }
}
