import MillraceCore

// The checks of `SinkConformance`. Each gets an empty target.

extension SinkConformance {
    private static let people = Relation.table(
        10, "people", [.int4("id", key: true), .text("name"), .text("note")])
    private static let peopleWithAge = Relation.table(
        10, "people", [.int4("id", key: true), .text("name"), .text("note"), .int4("age")])
    private static let pets = Relation.table(11, "pets", [.int4("id", key: true), .text("name")])

    static var checks: [Check] {
        [
            Check(name: "order", needs: [], body: order),
            Check(name: "several transactions and tables in a batch", needs: [], body: severalTables),
            Check(name: "full load", needs: [], body: fullLoad),
            Check(name: "a transaction in several batches", needs: [], body: splitTransaction),
            Check(name: "an older stored cursor after a restart", needs: .ownCursor, body: olderCursor),
            Check(name: "a transaction cut short by a restart", needs: .ownCursor, body: cutShort),
            Check(name: "unchanged TOAST", needs: .upserts, body: unchangedTOAST),
            Check(name: "a key that changes", needs: .upserts, body: keyChange),
            Check(name: "several changes to one row in a batch", needs: .upserts, body: manyChangesToOneRow),
            Check(name: "truncate", needs: [.upserts, .truncates], body: truncate),
            Check(name: "a column added in mid-batch", needs: [.upserts, .schemaChanges], body: schemaChange),
            Check(name: "an empty flush", needs: [], body: emptyFlush),
            Check(name: "stop during a write", needs: .ownCursor, body: stopDuringWrite),
            Check(name: "stop without a start", needs: [], body: stopWithoutStart),
        ]
    }

    private static func order(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        for step in 0..<5 {
            let id = TestValue.text("\(step)")
            bench.commit(UInt64(100 + step), [(people, .insert([id, "first", nil]))], defining: [people])
            let batch = try bench.deliver()
            guard let durable = bench.durable, durable == batch.end else { continue }
            try bench.compare("after transaction \(step)")
        }
    }

    private static func severalTables(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(
            100, [(people, .insert(["1", "Ada", "ü\t\\\"'\n"])), (pets, .insert(["1", "Rex"]))],
            defining: [people, pets])
        bench.commit(110, [(pets, .insert(["2", ""])), (people, .insert(["2", nil, nil]))])
        try bench.deliver()
        bench.commit(120, [(people, .insert(["3", "relation known from the batch before", nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func fullLoad(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.builder.snapshot(lsn: 50) { transaction in
            transaction.relation(people)
            transaction.load(people, .begin)
            transaction.insert(people, ["1", "a", nil])
        }
        try bench.deliver()
        bench.builder.snapshot(lsn: 50, firstOrdinal: 1) { transaction in
            transaction.insert(people, ["2", "b", nil])
            transaction.load(people, .end)
        }
        bench.model(.insert(["1", "a", nil]), people)
        bench.model(.insert(["2", "b", nil]), people)
        try bench.deliver()
        bench.commit(60, [(people, .insert(["3", "c", nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func splitTransaction(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(90, [(people, .insert(["0", "before", nil]))], defining: [people])
        try bench.deliver()
        let before = bench.durable
        bench.builder.transaction(lsn: 100, xid: 7, commit: false) { $0.insert(people, ["1", "a", nil]) }
        let part = bench.builder.build()
        try bench.deliver(part)
        if let durable = bench.durable, let before, durable.ordinal != before.ordinal || durable.commitLSN > LSN(90) {
            bench.findings.append("half a transaction was called durable: \(durable)")
        }
        if bench.capabilities.contains(.wholeTransactions) { try bench.compare("in the middle of a transaction") }
        bench.builder.transaction(lsn: 100, xid: 7, firstOrdinal: 1) { $0.insert(people, ["2", "b", nil]) }
        bench.model(.insert(["1", "a", nil]), people)
        bench.model(.insert(["2", "b", nil]), people)
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func olderCursor(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(100, [(people, .insert(["1", "a", nil]))], defining: [people])
        let first = try bench.deliver()
        try settle(bench)
        bench.commit(110, [(people, .insert(["2", "b", nil])), (people, .update(["1", "c", nil]))])
        let second = try bench.deliver()
        try settle(bench)
        bench.stop()
        // The work was done, but the server only remembers the first batch, or nothing.
        for stored in [first.end, nil] {
            let begun = try bench.start(after: stored)
            if begun != second.end { bench.findings.append("went on at \(begun as Any) instead of \(second.end)") }
            bench.stop()
        }
        bench.durable = nil
        try bench.start(after: nil)
        bench.commit(120, [(people, .insert(["3", "d", nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("after the restart")
    }

    private static func cutShort(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(90, [(people, .insert(["0", "before", nil]))], defining: [people])
        let whole = try bench.deliver()
        try settle(bench)
        bench.builder.transaction(lsn: 100, xid: 7, commit: false) { $0.insert(people, ["1", "a", nil]) }
        _ = try bench.sink?.write(bench.builder.build())
        bench.stop()
        bench.durable = nil
        let begun = try bench.start(after: whole.end)
        if begun != whole.end { bench.findings.append("went on at \(begun as Any) instead of \(whole.end)") }
        try bench.compare("after half a transaction and a restart")
    }

    private static func unchangedTOAST(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(
            100, [(people, .insert(["1", "a", "a large note"])), (people, .insert(["2", "b", nil]))], defining: [people]
        )
        try bench.deliver()
        bench.commit(110, [(people, .update(["1", "aa", .unchanged]))])
        try bench.deliver()
        // The value that stays is in the same batch as the update that leaves it out.
        bench.commit(120, [(people, .insert(["3", "c", "another large note"]))])
        bench.commit(130, [(people, .update(["3", nil, .unchanged]))])
        bench.commit(140, [(people, .update(["4", "d", .unchanged], key: ["2", nil, nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func keyChange(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(
            100, [(people, .insert(["1", "a", nil])), (people, .insert(["2", "b", nil]))], defining: [people])
        try bench.deliver()
        // Two rows change places by way of a third key.
        bench.commit(
            110,
            [
                (people, .update(["3", "a", nil], key: ["1", nil, nil])),
                (people, .update(["1", "b", nil], key: ["2", nil, nil])),
                (people, .update(["2", "a", nil], key: ["3", nil, nil])),
            ])
        bench.commit(120, [(people, .update(["9", "a", nil], key: ["2", nil, nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func manyChangesToOneRow(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(
            100,
            [
                (people, .insert(["1", "a", nil])), (people, .update(["1", "b", "x"])),
                (people, .delete(["1", nil, nil])),
                (people, .insert(["1", "c", nil])), (people, .insert(["2", "gone", nil])),
                (people, .delete(["2", nil, nil])),
            ], defining: [people])
        bench.commit(110, [(people, .delete(["1", nil, nil])), (people, .insert(["1", "d", "y"]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func truncate(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(
            100, [(people, .insert(["1", "a", nil])), (pets, .insert(["1", "Rex"]))], defining: [people, pets])
        bench.commit(
            110, [(people, .insert(["2", "b", nil])), (people, .truncate), (people, .insert(["3", "c", nil]))])
        try bench.deliver()
        bench.commit(120, [(pets, .truncate)])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func schemaChange(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(100, [(people, .insert(["1", "a", nil]))], defining: [people])
        bench.commit(110, [(people, .update(["1", "b", nil]))])
        bench.commit(
            120, [(peopleWithAge, .update(["1", "b", nil, "41"])), (peopleWithAge, .insert(["2", "c", nil, "7"]))],
            defining: [peopleWithAge])
        try bench.deliver()
        bench.commit(130, [(peopleWithAge, .insert(["3", "d", nil, nil]))])
        try bench.deliver()
        try settle(bench)
        try bench.compare("at the end")
    }

    private static func emptyFlush(_ bench: ConformanceBench) throws {
        let begun = try bench.start(after: nil)
        if let begun { bench.findings.append("an empty target has a cursor: \(begun)") }
        for _ in 0..<3 {
            try bench.flush()
            _ = try bench.sink?.tick()
        }
        bench.commit(100, [(people, .insert(["1", "a", nil]))], defining: [people])
        try bench.deliver()
        try settle(bench)
        let durable = bench.durable
        try bench.flush()
        if bench.durable != durable { bench.findings.append("an empty flush moved the cursor") }
        try bench.compare("at the end")
    }

    private static func stopDuringWrite(_ bench: ConformanceBench) throws {
        try bench.start(after: nil)
        bench.commit(100, [(people, .insert(["1", "a", nil]))], defining: [people])
        try bench.deliver()
        try settle(bench)
        // An interrupt may come at any time; the call that it hits, or the next one, may fail. Nothing may be half done.
        bench.sink?.interrupt()
        bench.commit(110, [(people, .insert(["2", "b", nil])), (people, .insert(["3", "c", nil]))])
        let batch = bench.builder.build()
        _ = try? bench.sink?.write(batch)
        _ = try? bench.sink?.flush()
        bench.stop()
        bench.durable = nil
        let begun = try bench.start(after: nil)
        if begun != batch.end { try bench.deliver(batch) }
        try settle(bench)
        try bench.compare("after an interrupt and a restart")
    }

    private static func stopWithoutStart(_ bench: ConformanceBench) throws {
        let sink = try bench.subject.makeSink()
        sink.interrupt()
        sink.stop()
        _ = sink.status()
    }

    /// An orderly end: everything that was accepted must be durable then.
    private static func settle(_ bench: ConformanceBench) throws {
        try bench.flush()
        if bench.durable == nil { bench.findings.append("nothing is durable after a flush") }
    }
}
