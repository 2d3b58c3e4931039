import KafkaTesting
import MillraceCore
import MillraceTesting
import Testing

@testable import KafkaConnector

@Suite struct KafkaSinkTests {
    private static let people = SinkRun.people

    @Test func aRowBecomesARecordWithKeyValuePositionAndCommitTime() throws {
        let run = try SinkRun()
        let builder = BatchBuilder()
        let time = Timestamp(microsecondsSince1970: 1_700_000_000_123_456)
        builder.transaction(lsn: 0x16_0000_0100, commitTime: time) { transaction in
            transaction.relation(Self.people)
            transaction.insert(Self.people, ["1", "Ada"])
            transaction.insert(Self.people, ["2", "Bob"])
        }
        try run.deliver(builder.build())
        let records = try run.records().sorted { $0.position < $1.position }
        #expect(records.map(\.key) == ["{\"id\":1}", "{\"id\":2}"])
        #expect(records.map(\.position) == ["16/100:0", "16/100:1"])
        #expect(records.map(\.timestamp) == [1_700_000_000_123, 1_700_000_000_123])
        let first = try #require(records.first)
        #expect(first.value?.contains("\"after\":{\"id\":1,\"name\":\"Ada\"}") == true)
        #expect(first.header("__debezium.context.connectorLogicalName") == "srv")
        #expect(first.header("__debezium.context.taskId") == "0")
    }

    @Test func aDeleteIsFollowedByATombstoneAndAChangedKeyNamesTheOther() throws {
        let run = try SinkRun(kafka: MockKafka(topics: ["srv.public.people": 1]))
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) { transaction in
            transaction.relation(Self.people)
            transaction.update(Self.people, key: ["1", nil], new: ["2", "Ada"])
            transaction.delete(Self.people, key: ["2", nil])
        }
        try run.deliver(builder.build())
        let records = try run.records()
        #expect(records.map(\.key) == ["{\"id\":1}", "{\"id\":1}", "{\"id\":2}", "{\"id\":2}", "{\"id\":2}"])
        #expect(records.map { $0.value == nil } == [false, true, false, false, true])
        #expect(records.map(\.position) == ["0/64:0", "0/64:0", "0/64:0", "0/64:1", "0/64:1"])
        #expect(records[0].header("__debezium.newkey") == "{\"id\":2}")
        #expect(records[2].header("__debezium.oldkey") == "{\"id\":1}")
    }

    @Test func transformsAndConvertersHaveTheirSay() throws {
        let run = try SinkRun([
            "transforms": "row,route", "transforms.row.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.route.regex": "srv\\.public\\.(.*)", "transforms.route.replacement": "copy-$1",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
        ])
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(7...7, into: BatchBuilder())], to: sink)
        let records = try run.records(of: "copy-people")
        #expect(records.map(\.key) == ["{\"id\":7}"])
        #expect(records.map(\.value) == ["{\"id\":7,\"name\":\"n\"}"])
        #expect(records.map(\.position) == ["0/AA:0"])
        #expect(records.first?.header("__debezium.context.connectorLogicalName") == "srv")
        #expect(sink.status().changesByTable == ["copy-people": 1])
    }

    @Test func thePositionCanBeLeftOut() throws {
        let run = try SinkRun(["headers.position.enabled": "false", "extended.headers.enabled": "false"])
        try run.deliver(SinkRun.inserts(1...1, into: BatchBuilder()))
        #expect(try run.records().map { $0.headers.count } == [0])
    }

    @Test func tablesWithoutAKeyHaveRecordsWithoutAKey() throws {
        let run = try SinkRun()
        let notes = Relation.table(11, "notes", replicaIdentity: .full, [.text("note")])
        let builder = BatchBuilder()
        builder.transaction(lsn: 100) { transaction in
            transaction.relation(notes)
            transaction.insert(notes, ["x"])
        }
        try run.deliver(builder.build())
        #expect(try run.records(of: "srv.public.notes").map(\.key) == [nil])
    }

    /// Keys, and the partitions of 12 in which the Java client 3.x puts them (`Utils.toPositive(Utils.murmur2(key)) % 12`).
    @Test func keysLandWhereTheJavaClientPutsThem() throws {
        let run = try SinkRun(kafka: MockKafka(topics: ["srv.public.people": 12]))
        try run.deliver(SinkRun.inserts(1...200, into: BatchBuilder()))
        let records = try run.records()
        #expect(records.count == 200)
        for record in records {
            let key = Array((record.key ?? "").utf8)
            #expect(Int(record.partition) == Int(murmur2(key) & 0x7FFF_FFFF) % 12, "\(record.key ?? "")")
        }
    }

    /// Values from the Java client's own test of the function.
    @Test func theModelOfMurmur2IsJavas() {
        let known: [(String, Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ]
        for (text, hash) in known { #expect(Int32(bitPattern: murmur2(Array(text.utf8))) == hash, "\(text)") }
    }

    /// MurmurHash2 as Kafka's clients have it, from its public definition.
    private func murmur2(_ bytes: [UInt8]) -> UInt32 {
        let m: UInt32 = 0x5BD1_E995
        var hash: UInt32 = 0x9747_B28C ^ UInt32(bytes.count)
        var index = 0
        while bytes.count - index >= 4 {
            var k = UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
            k |= UInt32(bytes[index + 3]) << 24
            k = k &* m
            k ^= k >> 24
            hash = (hash &* m) ^ (k &* m)
            index += 4
        }
        let rest = bytes[index...]
        if rest.count > 2 { hash ^= UInt32(bytes[index + 2]) << 16 }
        if rest.count > 1 { hash ^= UInt32(bytes[index + 1]) << 8 }
        if rest.count > 0 { hash = (hash ^ UInt32(bytes[index])) &* m }
        hash = (hash ^ (hash >> 13)) &* m
        return hash ^ (hash >> 15)
    }

    @Test func theStatusCountsRecordsByTable() throws {
        let run = try SinkRun()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...7, into: BatchBuilder())], to: sink)
        let status = sink.status()
        #expect(status.changes == 7)
        #expect(status.transactions == 7)
        #expect(status.changesByTable == ["public.people": 7])
    }

    @Test func onlyWhatIsAcknowledgedIsDurable() throws {
        let run = try SinkRun()
        try run.kafka.tell("topic srv.public.people 1")
        let builder = BatchBuilder()
        let first = SinkRun.inserts(1...3, into: builder)
        let second = SinkRun.inserts(4...6, into: builder)
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([first], to: sink)
        #expect(run.stored == first.end)
        try run.kafka.tell("down -1")
        #expect(try sink.write(second) == .accepted)
        #expect(try sink.tick() == first.end)
        try run.kafka.tell("up -1")
        #expect(try sink.flush() == second.end)
        #expect(try run.records().count == 6)
    }

    @Test func anInterruptEndsAWaitForBrokersThatAreAway() throws {
        let run = try SinkRun(["producer.queue.buffering.max.messages": "10"])
        let builder = BatchBuilder()
        let sink = try run.makeSink()
        defer { sink.stop() }
        try run.deliver([SinkRun.inserts(1...3, into: builder)], to: sink)
        try run.kafka.tell("down -1")
        let thread = WorkerThread("interrupt") {
            // The queue of ten is full long before.
            _ = sink.status()
            sink.interrupt()
        }
        let batch = SinkRun.inserts(4...100, into: builder)
        let error = #expect(throws: ConnectorError.self) {
            _ = try sink.write(batch)
            _ = try sink.flush()
        }
        #expect(error?.kind == .stopped)
        thread.join()
    }

    @Test func aSmallQueueSlowsTheSinkAndLosesNothing() throws {
        let run = try SinkRun(
            ["producer.queue.buffering.max.messages": "10"], kafka: MockKafka(topics: ["srv.public.people": 1]))
        try run.deliver(SinkRun.inserts(1...500, into: BatchBuilder()))
        #expect(try run.records().map(\.position) == (1...500).map { "\(LSN(UInt64(100 + $0 * 10))):0" })
    }
}
