import Foundation
import MillraceTesting
import Testing

/// From Debezium to Millrace with the same slot and publication, and back: docs/MOVING_FROM_DEBEZIUM.md. Debezium's part
/// is what it leaves in the server: a slot that somebody else has moved.
@Suite(.serialized)
struct MovingTests {
    /// As people have it: old names, numbers and booleans without quotes, properties of Kafka Connect only.
    private func connector(_ server: PostgresServer, _ database: String, snapshotMode: String) -> String {
        """
        {
          "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
          "tasks.max": 1,
          "plugin.name": "pgoutput",
          "database.hostname": "127.0.0.1", "database.port": \(server.port), "database.user": "postgres",
          "database.password": "secret", "database.dbname": "\(database)",
          "topic.prefix": "shop", "table.include.list": "public.orders",
          "slot.name": "moved_\(database)", "publication.name": "moved", "publication.autocreate.mode": "disabled",
          "snapshot.mode": "\(snapshotMode)", "tombstones.on.delete": false, "status.update.interval.ms": 200,
          "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": false,
          "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": false,
          "errors.log.enable": true, "producer.override.compression.type": "lz4", "max.batch.size": 4096
        }
        """
    }

    @Test
    func streamingGoesOnWhereDebeziumStoppedAndDebeziumCanTakeTheSlotBack() throws {
        let server = try SharedServers.source.get()
        let database = try server.makeDatabase("moved")
        let slot = "moved_\(database)"
        try server.execute(
            """
            create table orders (id int primary key, v text);
            create publication moved for table orders;
            select pg_create_logical_replication_slot('\(slot)', 'pgoutput');
            insert into orders values (1, 'Debezium has it'), (2, 'and this');
            update orders set v = 'changed' where id = 2;
            select pg_replication_slot_advance('\(slot)', pg_current_wal_lsn());
            insert into orders values (3, 'written after it stopped');
            delete from orders where id = 1;
            """, database: database)
        let millrace = try MillraceProcess()
        defer {
            millrace.kill9()
            drop(slot, server)
        }
        let answer = try millrace.request(
            "PUT", "/connectors/orders/config", body: connector(server, database, snapshotMode: "no_data"))
        #expect(answer.status == 201, "\(answer.body)")
        let folder = millrace.folder.path + "/files"
        try millrace.putConnector(
            "files", ["connector.class": "file-sink", "source": "orders", "path": folder, "rotate.interval.ms": "100"])
        try server.execute("insert into orders values (4, 'while Millrace reads')", database: database)
        let expected = ["c 3", "d 1", "c 4"]
        try eventually("the events are in files", within: .seconds(40), state: { lastLines(of: millrace.logFile) }) {
            try operations(in: folder) == expected
        }
        try eventually("the slot has moved", within: .seconds(40)) {
            let lsn = try server.query("select pg_current_wal_lsn()")
            _ = try server.execute("insert into orders select max(id) + 1, 'x' from orders", database: database)
            return try server.query(
                "select confirmed_flush_lsn >= '\(lsn)' from pg_replication_slots where slot_name = '\(slot)'") == "t"
        }

        // The way back: an orderly stop, then whoever reads the slot gets what came later, and nothing else.
        #expect(try millrace.request("PUT", "/connectors/orders/stop").status == 204)
        try eventually("the slot is free", within: .seconds(20)) {
            try server.query("select active from pg_replication_slots where slot_name = '\(slot)'") == "f"
        }
        try eventually("nothing is left in the slot", within: .seconds(20)) {
            try changes(slot, server, database) == "0"
        }
        try server.execute("insert into orders values (1000, 'for Debezium again')", database: database)
        #expect(try changes(slot, server, database) == "1")
    }

    @Test
    func withInitialTheTablesAreLoadedAgainAndNothingIsMissing() throws {
        let server = try SharedServers.source.get()
        let database = try server.makeDatabase("moved")
        let slot = "moved_\(database)"
        try server.execute(
            """
            create table orders (id int primary key, v text);
            create publication moved for table orders;
            select pg_create_logical_replication_slot('\(slot)', 'pgoutput');
            insert into orders values (1, 'Debezium has it');
            select pg_replication_slot_advance('\(slot)', pg_current_wal_lsn());
            insert into orders values (2, 'written after it stopped');
            """, database: database)
        let millrace = try MillraceProcess()
        defer {
            millrace.kill9()
            drop(slot, server)
        }
        let answer = try millrace.request(
            "PUT", "/connectors/orders/config", body: connector(server, database, snapshotMode: "initial"))
        #expect(answer.status == 201, "\(answer.body)")
        let folder = millrace.folder.path + "/files"
        try millrace.putConnector(
            "files", ["connector.class": "file-sink", "source": "orders", "path": folder, "rotate.interval.ms": "100"])
        try eventually("the rows are in files", within: .seconds(40), state: { lastLines(of: millrace.logFile) }) {
            try operations(in: folder).starts(with: ["r 1", "r 2"])
        }
        try server.execute("insert into orders values (3, 'later')", database: database)
        try eventually("and what came later", within: .seconds(40), state: { lastLines(of: millrace.logFile) }) {
            let operations = try self.operations(in: folder)
            return operations.last == "c 3" && operations.filter { $0 == "c 3" }.count == 1
        }
    }

    /// Changes that the slot would hand out, by their kinds: inserts, updates and deletes.
    private func changes(_ slot: String, _ server: PostgresServer, _ database: String) throws -> String {
        try server.query(
            """
            select count(*) from pg_logical_slot_peek_binary_changes('\(slot)', null, null,
            'proto_version', '1', 'publication_names', 'moved') where get_byte(data, 0) in (68, 73, 85)
            """, database: database)
    }

    private func drop(_ slot: String, _ server: PostgresServer) {
        _ = try? eventually("the slot is free", within: .seconds(10)) {
            try server.query("select active from pg_replication_slots where slot_name = '\(slot)'") != "t"
        }
        _ = try? server.execute("select pg_drop_replication_slot('\(slot)')")
    }

    /// `op` and key of each event, in the order of the files.
    private func operations(in folder: String) throws -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".jsonl") }.sorted().flatMap { name in
            readText(folder + "/" + name).split(separator: "\n").map { line in
                let event = JSONNode(parsing: String(line))
                return "\(event["value"]["op"].string ?? "?") \(event["key"]["id"].int ?? -1)"
            }
        }
    }
}
