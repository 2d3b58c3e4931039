import Foundation
import MillraceCore
import MillraceTesting
import Testing

@testable import FileConnector

/// The checks that every sink has to pass, with the tables that result when the events in the files are applied.
@Suite struct ConformanceTests {
    @Test func jsonLinesPassTheSuiteOfAllSinks() throws {
        let conformance = SinkConformance {
            // Each boundary ends a file, so that everything accepted is finished at once.
            let run = SinkRun(["rotate.bytes": "1", "skipped.operations": "none"])
            return SinkConformance.Subject(makeSink: run.makeSink) { table in
                try Self.rows(of: table, run.text("jsonl"))
            }
        }
        let findings = try conformance.run()
        #expect(findings.isEmpty, "\(findings.joined(separator: "\n"))")
    }

    private static func rows(of table: String, _ text: String) throws -> [[TestValue]] {
        var tables = TestTables()
        for line in text.split(separator: "\n") {
            let event = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
            guard event["topic"] as? String == "srv.\(table)", let value = event["value"] as? [String: Any] else {
                continue
            }
            let names = table == "public.pets" ? ["id", "name"] : ["id", "name", "note", "age"]
            func values(_ image: String) -> [TestValue] {
                let row = value[image] as? [String: Any] ?? [:]
                return names.filter { row[$0] != nil }.map { self.value(row[$0]) }
            }
            let after = values("after")
            let relation = relation(table, columnCount: max(after.count, values("before").count))
            let headers = event["headers"] as? [[String: Any]] ?? []
            func header(_ name: String) -> [String: Any]? {
                headers.first { $0["key"] as? String == name }?["value"] as? [String: Any]
            }
            // The delete and the create of a changed key are one change of one row.
            if header("__debezium.newkey") != nil { continue }
            if let oldKey = header("__debezium.oldkey") {
                tables.apply(.update(after, key: [self.value(oldKey["id"])]), to: relation)
                continue
            }
            switch value["op"] as? String {
            case "c", "r": tables.apply(.insert(after), to: relation)
            case "u": tables.apply(.update(after), to: relation)
            case "d": tables.apply(.delete(values("before")), to: relation)
            case "t": tables.apply(.truncate, to: relation)
            default: throw ConnectorError(.bug, code: "test", "an event without op: \(line)")
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
