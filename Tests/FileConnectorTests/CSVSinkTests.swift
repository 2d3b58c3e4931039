import MillraceCore
import MillraceTesting
import Testing

@testable import FileConnector

@Suite struct CSVSinkTests {
    private let a = Relation.table(1, "a", [.int4("id", key: true), .text("v")])
    private let b = Relation.table(2, "b", replicaIdentity: .full, [.int4("id", key: true), .text("v")])
    private let evil = Relation.table(3, "../../x/é", schema: "..", [.int4("id", key: true)])

    private func run(
        _ properties: [String: String] = [:], _ body: (TransactionBuilder) -> Void
    ) throws -> SinkRun {
        let run = SinkRun(properties.merging(["format": "csv"]) { $1 })
        let builder = BatchBuilder()
        builder.transaction(lsn: 100, body)
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([builder.build()], to: sink)
        return run
    }

    @Test func rowsBeginWithTheirOperation() throws {
        let run = try run {
            $0.relation(a)
            $0.insert(a, ["1", "x,\"y\"\nz"])
            $0.insert(a, ["2", ""])
            $0.insert(a, ["3", nil])
            $0.update(a, new: ["1", "b"])
            $0.update(a, key: ["2", nil], new: ["20", "b"])
            $0.delete(a, key: ["3", nil])
            $0.truncate([a])
        }
        #expect(
            run.text("csv")
                == "Op,id,v\r\nI,1,\"x,\"\"y\"\"\nz\"\r\nI,2,\"\"\r\nI,3,\r\nU,1,b\r\nD,2,\r\nI,20,b\r\nD,3,\r\nT,,\r\n"
        )
        #expect(run.storage.finished("csv").first?.hasPrefix("/out/public/a/srv-000001-") == true)
    }

    @Test func unchangedValuesAreFilledInOrRefused() throws {
        func change(_ transaction: TransactionBuilder) {
            transaction.relation(b)
            transaction.update(b, old: ["1", "long"], new: ["1", .unchanged])
        }
        #expect(try run([:], change).text("csv") == "Op,id,v\r\nU,1,long\r\n")
        func missing(_ transaction: TransactionBuilder) {
            transaction.relation(a)
            transaction.update(a, new: ["1", .unchanged])
        }
        let error = #expect(throws: ConnectorError.self) { try run([:], missing) }
        #expect(error?.code == "unchanged_toast")
        #expect(error?.message.contains("column v of public.a") == true)
        #expect(
            try run(["csv.unavailable.value": "(unchanged)"], missing).text("csv") == "Op,id,v\r\nU,1,(unchanged)\r\n")
    }

    @Test func anotherDefinitionBeginsAnotherFile() throws {
        let wider = Relation.table(1, "a", [.int4("id", key: true), .text("v"), .text("w")])
        let run = try run {
            $0.relation(a)
            $0.insert(a, ["1", "x"])
            $0.relation(wider)
            $0.insert(wider, ["2", "x", "y"])
        }
        #expect(
            run.storage.finished("csv").compactMap { run.storage.content($0) } == [
                "Op,id,v\r\nI,1,x\r\n", "Op,id,v,w\r\nI,2,x,y\r\n",
            ])
    }

    @Test func noNameLeavesItsDirectory() throws {
        let run = try run(["csv.header": "false"]) {
            $0.relation(evil)
            $0.insert(evil, ["1"])
        }
        #expect(run.text("csv") == "I,1\r\n")
        for path in run.storage.paths {
            #expect(path.hasPrefix("/out"))
            #expect(!path.split(separator: "/").contains(".."))
        }
        #expect(run.storage.finished("csv").first?.hasPrefix("/out/%2E%2E/..%2F..%2Fx%2F%C3%A9/") == true)
    }

    private func batches() -> [ChangeBatch] {
        let builder = BatchBuilder()
        var batches: [ChangeBatch] = []
        for step in 1...4 {
            builder.transaction(lsn: UInt64(step * 100)) {
                if step == 1 {
                    $0.relation(a)
                    $0.relation(b)
                }
                $0.insert(a, [.text(String(step)), "x"])
                $0.insert(b, [.text(String(step)), "y"])
            }
            batches.append(builder.build())
        }
        return batches
    }

    /// The files of several tables count together or not at all, also when only some have their names.
    @Test(arguments: [true, false], [1, 100_000])
    func afterACrashAtAnyStepEveryRowIsThereOnce(_ losesNames: Bool, _ rotateBytes: Int) throws {
        let properties = ["format": "csv", "csv.header": "false", "rotate.bytes": String(rotateBytes)]
        var failures = 0
        for step in 0..<300 {
            let run = SinkRun(properties)
            run.storage.stepsLeft = step
            let first = try run.makeSink()
            do {
                try run.deliver(batches(), to: first)
            } catch {
                failures += 1
            }
            first.stop()
            let isOver = run.storage.stepsLeft ?? 0 > 0
            run.storage.crash(losesNames: losesNames)
            let second = try run.makeSink()
            try run.deliver(batches(), to: second)
            second.stop()
            #expect(
                run.text("csv") == "I,1,x\r\nI,2,x\r\nI,3,x\r\nI,4,x\r\nI,1,y\r\nI,2,y\r\nI,3,y\r\nI,4,y\r\n",
                "stopped at step \(step)")
            if isOver { break }
        }
        #expect(failures > 4)
    }

    @Test func theStatusCountsRowsByTable() throws {
        let run = SinkRun(["format": "csv"])
        let sink = try run.makeSink()
        try run.deliver(batches(), to: sink)
        #expect(sink.status().changes == 8)
        #expect(sink.status().transactions == 4)
        #expect(sink.status().changesByTable == ["public.a": 4, "public.b": 4])
        sink.stop()
    }

    @Test func aDamagedManifestIsRefused() throws {
        let run = SinkRun(["format": "csv"])
        run.storage.put("/out/.srv.commit", "millrace csv commit 1\n1\n")
        let error = #expect(throws: ConnectorError.self) { try run.makeSink().start(after: nil, logID: 1) }
        #expect(error?.code == "manifest_damaged")
    }
}
