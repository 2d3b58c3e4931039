import Foundation
import MillraceTesting
import Testing

/// Files with events: nothing twice, nothing missing, whatever is killed.
@Suite(.serialized)
struct FileSinkTests {
    @Test
    func killedManyTimesTheFilesHoldEveryChangeOnceAndInOrder() throws {
        var random = SeededRandom(seed: 3)
        let shop = try Replication(
            "create table t (id int primary key, v int); insert into t select i, 0 from generate_series(1, 2000) i")
        let folder = shop.millrace.folder.path + "/files"
        try shop.millrace.putConnector("source", shop.sourceConfig)
        try shop.millrace.putConnector(
            "files",
            [
                "connector.class": "file-sink", "source": "source", "path": folder, "format": "jsonl",
                "rotate.interval.ms": "200", "rotate.bytes": "200000",
            ])
        var expected = 2000
        for round in 1...5 {
            for _ in 0..<20 {
                try shop.execute(
                    "insert into t select \(expected) + i, \(round) from generate_series(1, 50) i")
                expected += 50
                if Int.random(in: 0..<20, using: &random) == 0 { try shop.millrace.crashAndRestart() }
            }
            try shop.millrace.crashAndRestart()
        }
        let total = expected
        let ids = try eventually(
            "all rows are in files", within: .seconds(40), state: { "\((try? self.ids(in: folder).count) ?? -1)" }
        ) { () -> [Int]? in
            let ids = try self.ids(in: folder)
            return ids.count >= total ? ids : nil
        }
        #expect(ids.count == total)
        // The load may read blocks in parallel; behind it, the order is that of the commits.
        #expect(Set(ids.prefix(2000)) == Set(1...2000))
        #expect(Array(ids.dropFirst(2000)) == Array(2001...total))
    }

    /// Ids of table t in the order of the files' names and lines.
    private func ids(in folder: String) throws -> [Int] {
        var ids: [Int] = []
        for file in files(below: folder) where file.hasSuffix(".jsonl") {
            for line in readText(file).split(separator: "\n") {
                let event = JSONNode(parsing: String(line))
                guard event["topic"].string == "shop.public.t" else { continue }
                let value = event["value"]["payload"].isNull ? event["value"] : event["value"]["payload"]
                guard let id = value["after"]["id"].int else { throw TestFailure("no row in \(line)") }
                ids.append(id)
            }
        }
        return ids
    }

    private func files(below folder: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.sorted().map { folder + "/" + $0 }
    }
}
