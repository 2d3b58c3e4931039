import Foundation
import KafkaTesting
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

/// The checks that every sink has to pass, with the tables that result when the events are applied.
@Suite struct ConformanceTests {
    @Test func idempotentProducersPassTheSuiteOfAllSinks() throws {
        // The cursor is the runtime's.
        try check([.upserts, .truncates, .schemaChanges], [:])
    }

    @Test func transactionsPassTheSuiteOfAllSinks() throws {
        // The mock cluster shows records of open transactions to every reader.
        try check([.ownCursor, .upserts, .truncates, .schemaChanges], ["exactly.once.support": "required"])
    }

    private func check(_ capabilities: SinkConformance.Capabilities, _ properties: [String: String]) throws {
        let conformance = SinkConformance(capabilities: capabilities) {
            let kafka = try MockKafka(topics: ["srv.public.people": 1, "srv.public.pets": 1])
            let run = try SinkRun(properties.merging(["skipped.operations": "none"]) { $1 }, kafka: kafka)
            return SinkConformance.Subject(makeSink: run.makeSink) { table in
                try Self.rows(of: table, run.records(of: "srv.\(table)"))
            }
        }
        let findings = try conformance.run()
        #expect(findings.isEmpty, "\(findings.joined(separator: "\n"))")
    }

    private static func rows(of table: String, _ records: [KafkaRecord]) throws -> [[TestValue]] {
        var tables = TestTables()
        let names = table == "public.pets" ? ["id", "name"] : ["id", "name", "note", "age"]
        func object(_ text: String?) throws -> [String: Any] {
            try text.flatMap { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] } ?? [:]
        }
        for record in records where record.value != nil {
            let value = try object(record.value)
            func values(_ image: String) -> [TestValue] {
                let row = value[image] as? [String: Any] ?? [:]
                return names.filter { row[$0] != nil }.map { self.value(row[$0]) }
            }
            let after = values("after")
            let relation = relation(table, columnCount: max(after.count, values("before").count))
            // The delete and the create of a changed key are one change of one row.
            if record.header("__debezium.newkey") != nil { continue }
            if let oldKey = record.header("__debezium.oldkey") {
                tables.apply(.update(after, key: [self.value(try object(oldKey)["id"])]), to: relation)
                continue
            }
            switch value["op"] as? String {
            case "c", "r": tables.apply(.insert(after), to: relation)
            case "u": tables.apply(.update(after), to: relation)
            case "d": tables.apply(.delete(values("before")), to: relation)
            case "t": tables.apply(.truncate, to: relation)
            default: throw TestFailure("an event without op: \(record)")
            }
        }
        return tables.sorted(table)
    }

    private static func relation(_ table: String, columnCount: Int) -> Relation {
        let columns = (0..<columnCount).map { Column.text("c\($0)", key: $0 == 0) }
        return .table(1, String(table.dropFirst("public.".count)), columns)
    }

    private static func value(_ value: Any?) -> TestValue {
        switch value {
        case let text as String: text == "__debezium_unavailable_value" ? .unchanged : .text(text)
        case let number as NSNumber: .text("\(number)")
        default: .null
        }
    }
}
