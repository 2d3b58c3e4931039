import MillraceCore
import MillraceTesting
import Testing

/// The network between the server and PostgreSQL, damaged in every way that a network can be.
@Suite(.serialized)
struct NetworkFaultTests {
    typealias Side = ProxiedReplication.Side

    /// One table with a key, one without: a change that is applied twice shows there.
    private static let tables = """
        create table t (id int primary key, v int, pad text);
        insert into t select i, i, repeat('x', 200) from generate_series(1, 5000) i;
        create table log (n int, pad text);
        insert into log select i, repeat('y', 100) from generate_series(1, 5000) i;
        """

    private func write(_ shop: Replication, _ round: Int) throws {
        try shop.execute(
            """
            insert into log select \(round) * 1000 + i, repeat('z', 100) from generate_series(1, 300) i;
            update t set v = v + 1 where id % 10 = \(round % 10);
            insert into log values (-\(round), 'one row');
            """)
    }

    @Test(arguments: Side.allCases)
    func everyFaultInTurnEndsInEquality(side: Side) throws {
        let network = try ProxiedReplication(
            NetworkFaultTests.tables, sourceConfig: ProxiedReplication.impatient,
            sinkConfig: ProxiedReplication.impatientSink)
        let proxy = network.proxy(side)
        try network.shop.start()
        try network.shop.waitUntilCaughtUp(within: .seconds(90))
        let faults: [FaultProxy.Fault] = [
            .reset, .silent, .vanish, .delay(milliseconds: 30), .throttle(bytesPerSecond: 200_000), .singleBytes,
        ]
        for (round, fault) in faults.enumerated() {
            try write(network.shop, round * 3 + 1)
            proxy.set(fault)
            try write(network.shop, round * 3 + 2)
            try network.requireRESTAnswers("\(fault)")
            switch fault {
            // What only slows things down must be lived with.
            case .delay, .throttle, .singleBytes: try network.shop.waitUntilCaughtUp(within: .seconds(90))
            default: break
            }
            try write(network.shop, round * 3 + 3)
            proxy.set(.pass)
            try network.shop.waitUntilCaughtUp(within: .seconds(90))
        }
        try network.shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test(arguments: Side.allCases)
    func connectionsCutInTheFullLoadEndInEquality(side: Side) throws {
        let network = try ProxiedReplication(NetworkFaultTests.tables)
        let proxy = network.proxy(side)
        let direction: FaultProxy.Cut.Direction = side == .source ? .toClient : .toServer
        try network.shop.start()
        // Slow enough that the load is still going on.
        proxy.set(.throttle(bytesPerSecond: 1_500_000))
        proxy.arm(.after(500, direction))
        for count in [3_000, 50_000, 400_000, 900_000] {
            try proxy.waitForCut(within: .seconds(90))
            proxy.arm(.after(count, direction))
        }
        try proxy.waitForCut(within: .seconds(90))
        // A row inserted before that could be part of the load, and say nothing of the other tables.
        try network.shop.waitForStreaming(within: .seconds(90))
        try network.shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func answerToTheCreationOfTheSlotIsLost() throws {
        let network = try ProxiedReplication(NetworkFaultTests.tables, sourceConfig: ProxiedReplication.impatient)
        network.sourceProxy.arm(.behind("CREATE_REPLICATION_SLOT"))
        try network.shop.start()
        try network.sourceProxy.waitForCut(within: .seconds(90))
        network.sourceProxy.arm(.behind("CREATE_REPLICATION_SLOT", .vanish))
        try network.sourceProxy.waitForCut(within: .seconds(90))
        try network.shop.requireEqual("t", "log", within: .seconds(90))
        // What the server holds of the lost attempt is not held for ever.
        network.sourceProxy.resetConnections()
        try network.shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func commitWhoseAnswerIsLostIsAppliedOnce() throws {
        let network = try ProxiedReplication(
            NetworkFaultTests.tables, sinkConfig: ProxiedReplication.impatientSink)
        let shop = network.shop
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        for (round, answer) in [FaultProxy.Cut.Answer.reset, .vanish].enumerated() {
            // A large transaction, committed by a COMMIT of its own.
            network.targetProxy.arm(.behind("COMMIT", answer))
            try shop.execute(
                "insert into log select 10000 + i, repeat('c', 100) from generate_series(1, 4000) i;"
                    + " update t set v = v + 1 where id % 2 = 0")
            try network.targetProxy.waitForCut(within: .seconds(90))
            try shop.requireEqual("t", "log", within: .seconds(90))
            // A small one, sent with its COMMIT in one piece.
            network.targetProxy.arm(.behind("marker \(round)", answer))
            try shop.execute("insert into log values (\(round), 'marker \(round)')")
            try network.targetProxy.waitForCut(within: .seconds(90))
            try shop.requireEqual("log", within: .seconds(90))
        }
        // The backends whose connection has lost its packets have not noticed; they hold nothing that we need.
        network.targetProxy.resetConnections()
        try shop.requireEqual("t", "log", within: .seconds(90))
    }

    @Test
    func feedbackThatIsCutOffMidwayIsRepeated() throws {
        let network = try ProxiedReplication(
            NetworkFaultTests.tables, sourceConfig: ["status.update.interval.ms": "100"])
        let shop = network.shop
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        for round in 1...4 {
            // A status update is 39 bytes on the wire.
            network.sourceProxy.arm(.after(39 * round + 17, .toServer))
            try write(shop, round)
            try network.sourceProxy.waitForCut(within: .seconds(90))
            try shop.requireEqual("t", "log", within: .seconds(90))
        }
        let end = try shop.currentWALLSN()
        try eventually("the slot follows", within: .seconds(90), state: { shop.situation() }) {
            try shop.confirmedFlushLSN() ?? .zero >= end
        }
    }

    @Test(arguments: Side.allCases)
    func halfOpenConnectionIsNoticedWithinItsTime(side: Side) throws {
        let network = try ProxiedReplication(
            NetworkFaultTests.tables, sourceConfig: ProxiedReplication.impatient,
            sinkConfig: ProxiedReplication.impatientSink)
        let shop = network.shop
        let name = network.connector(side)
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        for fault in side == .source ? [FaultProxy.Fault.vanish, .silent] : [.vanish] {
            network.proxy(side).set(fault)
            try write(shop, 1)
            try eventually("\(name) has noticed \(fault)", within: .seconds(60), state: { shop.situation() }) {
                let trace = try shop.millrace.status(name)["tasks"][0]["trace"].string ?? ""
                return trace.contains("unreachable") || trace.contains("receive_timeout")
            }
            network.proxy(side).set(.pass)
            try shop.requireEqual("t", "log", within: .seconds(90))
        }
        network.proxy(side).resetConnections()
    }

    @Test(arguments: [FaultProxy.Fault.vanish, .silent])
    func connectorsAreStoppedAndDeletedPromptlyWhateverTheNetworkDoes(fault: FaultProxy.Fault) throws {
        let network = try ProxiedReplication(NetworkFaultTests.tables)
        let shop = network.shop
        try shop.start()
        try shop.waitUntilCaughtUp(within: .seconds(90))
        network.sourceProxy.set(fault)
        network.targetProxy.set(fault)
        try write(shop, 1)
        // One is stopped and goes on, the other is deleted and made again.
        let (stopped, deleted) = fault == .vanish ? ("source", "sink") : ("sink", "source")
        try answers(shop, "PUT", "/connectors/\(stopped)/stop", 204)
        try network.requireRESTAnswers("\(stopped) stopped under \(fault)")
        try answers(shop, "DELETE", "/connectors/\(deleted)", 204)
        network.sourceProxy.set(.pass)
        network.targetProxy.set(.pass)
        network.sourceProxy.resetConnections()
        network.targetProxy.resetConnections()
        try answers(shop, "PUT", "/connectors/\(stopped)/resume", 202)
        try shop.millrace.putConnector(deleted, deleted == "sink" ? shop.sinkConfig : shop.sourceConfig)
        try shop.waitForStreaming(within: .seconds(90))
        try shop.requireEqual("t", "log", within: .seconds(120))
    }

    private func answers(_ shop: Replication, _ method: String, _ path: String, _ status: Int) throws {
        let start = ContinuousClock.now
        let answer = try shop.millrace.request(method, path, timeout: .seconds(60))
        let elapsed = start.duration(to: .now)
        #expect(answer.status == status, "\(method) \(path): \(answer.status) \(answer.body)")
        #expect(elapsed < .seconds(20), "\(method) \(path) took \(elapsed)")
    }
}
