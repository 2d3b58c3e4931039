import Foundation
import MillraceCore
import MillraceTesting
import Testing

/// The disk of the data directory is full: the source waits, unacknowledged; `/health` says why; it goes on by itself.
@Suite(.serialized)
struct DiskTests {
    private static let tables = """
        create table t (id bigserial primary key, v text);
        alter table t alter v set storage external;
        insert into t (v) select repeat('x', 100) from generate_series(1, 100);
        """
    /// About one megabyte of changes.
    private static let megabyte = "insert into t (v) select repeat(md5(i::text), 32) from generate_series(1, 1000) i;"

    private func start(_ disk: SmallDisk?, _ config: [String: String] = [:]) throws -> Replication {
        let properties = ["log.segment.bytes": "1000000", "log.retention.bytes": "0"].merging(config) { $1 }
        let shop = try Replication(
            DiskTests.tables, sourceConfig: properties, dataDirectory: disk?.dataDirectory)
        try shop.start()
        try shop.waitUntilCaughtUp()
        return shop
    }

    @Test
    func fullDiskHoldsTheSourceSaysWhyAndGoesOnWhenSpaceIsGivenBack() throws {
        let disk = try SmallDisk(megabytes: 32)
        let shop = try start(disk)
        try disk.fill(leaving: 5 << 20)
        for _ in 0..<12 { try shop.execute(DiskTests.megabyte) }
        try shop.waitForHealth("log_disk_full")
        #expect(try shop.millrace.metric("millrace_log_blocked").values.max() == 1)
        // Not failed: it waits.
        #expect(try shop.millrace.taskStates("source") == ["RUNNING"])
        try shop.requireNothingAcknowledged(while: DiskTests.megabyte)
        #expect(disk.freeBytes > 1 << 20, "the log leaves nothing for the catalog")

        disk.giveBack()
        try shop.requireEqual("t")
        try shop.waitUntilHealthy()
        let written = try shop.currentWALLSN()
        try eventually("the source is acknowledged again", state: { shop.situation() }) {
            try shop.execute("insert into t (v) values ('one more')")
            return try shop.confirmedFlushLSN() ?? .zero > written
        }
    }

    @Test
    func logThatFilledTheDiskGivesSpaceBackWhenItsSinkGoesOn() throws {
        let disk = try SmallDisk(megabytes: 24)
        let shop = try start(disk)
        #expect(try shop.millrace.request("PUT", "/connectors/sink/pause").status == 202)
        try shop.millrace.waitForTasks("sink", "PAUSED")
        for _ in 0..<40 { try shop.execute(DiskTests.megabyte) }
        try shop.waitForHealth("log_disk_full")
        try shop.millrace.crashAndRestart()
        try shop.waitForHealth("log_disk_full")
        #expect(try shop.millrace.request("PUT", "/connectors/sink/resume").status == 202)
        try shop.requireEqual("t")
        try shop.waitUntilHealthy()
    }

    @Test
    func limitOfTheLogHoldsTheSourceAndLetsGoWhenTheSinkCatchesUp() throws {
        let shop = try start(nil, ["log.max.bytes": "8000000"])
        #expect(try shop.millrace.request("PUT", "/connectors/sink/pause").status == 202)
        try shop.millrace.waitForTasks("sink", "PAUSED")
        for _ in 0..<12 { try shop.execute(DiskTests.megabyte) }
        try shop.waitForHealth("log_limit_reached")
        #expect(try shop.millrace.taskStates("source") == ["RUNNING"])
        #expect(try shop.millrace.metric("millrace_log_bytes").values.max() ?? 0 <= 9_000_000)
        try shop.requireNothingAcknowledged(while: DiskTests.megabyte)
        #expect(try shop.millrace.request("PUT", "/connectors/sink/resume").status == 202)
        try shop.requireEqual("t")
        try shop.waitUntilHealthy()
    }

    @Test
    func fullWhileALargeTransactionIsSpooledLosesNothing() throws {
        let disk = try SmallDisk(megabytes: 48)
        let shop = try start(disk)
        try shop.source.execute("alter database \"\(shop.sourceDatabase)\" set logical_decoding_work_mem = '64kB'")
        try shop.millrace.crashAndRestart()
        try shop.waitUntilCaughtUp()
        try disk.fill(leaving: 9 << 20)
        try shop.requireNothingAcknowledged(
            while: "begin;" + String(repeating: DiskTests.megabyte, count: 16)
                + "update t set v = 'ROUND' where id % 5 = 0; commit")
        try eventually("the server says that there is no space", state: { shop.situation() }) {
            let status = try shop.millrace.request("GET", "/connectors/source/status").body
            return try status.contains("log_disk_full")
                || shop.millrace.request("GET", "/health").body.contains("log_disk_full")
        }
        try shop.waitForHealth("log_disk_full")
        disk.giveBack()
        try shop.requireEqual("t")
        try shop.waitUntilHealthy()
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: disk.dataDirectory + "/logs/source")
                .allSatisfy { !$0.hasPrefix("spool-") })
    }

    @Test
    func catalogOnAFullDiskAnswersWithAnErrorAndWorksAgain() throws {
        let disk = try SmallDisk(megabytes: 16)
        let shop = try start(disk)
        try disk.fillCompletely()
        var config = shop.sinkConfig
        config["description"] = String(repeating: "x", count: 200_000)
        let body = try String(
            decoding: JSONSerialization.data(withJSONObject: config), as: UTF8.self)
        let refused = try shop.millrace.request("PUT", "/connectors/sink/config", body: body)
        #expect(refused.status == 500, "\(refused.body)")
        #expect(refused.body.contains("full"), "\(refused.body)")
        #expect(!refused.body.contains("secret"))
        let kept = try shop.millrace.request("GET", "/connectors/sink/config").body
        #expect(!kept.contains("description"), "what was not stored is not shown")
        #expect(try shop.millrace.request("GET", "/connectors").status == 200)

        // Also from a start on the full disk: either it runs, or it says why not.
        shop.millrace.kill9()
        do {
            try shop.millrace.start()
        } catch {
            #expect(readText(shop.millrace.logFile).contains("full"), "\(error)")
        }
        shop.millrace.kill9()

        disk.giveBack()
        try shop.millrace.start()
        #expect(try shop.millrace.request("PUT", "/connectors/sink/config", body: body).status == 200)
        try shop.execute(DiskTests.megabyte)
        try shop.requireEqual("t")
    }

    @Test
    func secondServerOnTheSameDataDirectoryNamesTheFirst() throws {
        let first = try MillraceProcess()
        let output = first.folder.path + "/second.log"
        let second = try first.spawnSecond(errorOutput: output)
        #expect(second.waitForExit(within: .seconds(15)) == 3)
        let text = readText(output)
        let pid = try #require(first.pid)
        #expect(text.contains("data_directory_in_use") && text.contains("process \(pid)"), "\(text)")
        // The first is not disturbed, and a third comes in once it is gone.
        #expect(try first.request("GET", "/health").status == 200)
        try first.crashAndRestart()
        #expect(try first.request("GET", "/connectors").body == "[]")
    }
}
