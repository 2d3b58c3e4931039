import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

@Suite struct SlotTests {
    private func failure(
        _ sqlState: String?, _ message: String, detail: String? = nil
    ) throws -> ConnectorError {
        let options = try SourceOptions(
            ConnectorConfig([
                "topic.prefix": "t", "database.hostname": "h", "database.user": "u", "database.dbname": "d",
                "slot.name": "it's",
            ]))
        var error = PostgresError(sqlState: sqlState, message: message, operation: "receive changes")
        error.detail = detail
        return error.streamingFailure(options, position: LSN(0x1_0000_0001))
    }

    @Test(arguments: [
        ("42704", "publication \"p\" does not exist", "publication_gap", ConnectorError.Kind.consistency),
        ("42704", "replication slot \"it's\" does not exist", "slot_missing", .consistency),
        ("55000", "can no longer get changes from replication slot \"it's\"", "slot_lost", .consistency),
        ("55006", "replication slot \"it's\" is active for PID 5", "slot_active", .transient),
        ("XX000", "invalid memory alloc request size 1258291203", "row_too_large", .data),
        ("57P01", "terminating connection due to administrator command", "server_unavailable", .transient),
        ("28P01", "password authentication failed", "authentication_failed", .configuration),
    ])
    func namesTheState(sqlState: String, message: String, code: String, kind: ConnectorError.Kind) throws {
        let error = try failure(sqlState, message)
        #expect(error.code == code)
        #expect(error.kind == kind)
        #expect(error.foreignCode == sqlState)
    }

    @Test func lostConnectionsAreTriedAgain() throws {
        #expect(try failure(nil, "server closed the connection unexpectedly").kind == .transient)
    }

    @Test func saysWhereAndHow() throws {
        let lost = try failure(
            "55000", "x", detail: "This slot has been invalidated because it exceeded the maximum reserved size.")
        #expect(lost.code == "slot_lost")
        #expect(lost.message.contains("1/1"))
        #expect(lost.hint?.contains("pg_drop_replication_slot('it''s')") == true)
        let gap = try failure("42704", "publication \"p\" does not exist")
        #expect(gap.hint?.contains("pg_replication_slot_advance('it''s'") == true)
    }

    @Test func looksAtTheServersSlots() throws {
        let database = try StreamingDatabase()
        let name = "look_\(database.name)"
        let connection = try database.connect()
        #expect(try Slot.find(name, connection) == nil)
        try database.sql("select pg_create_logical_replication_slot('\(name)', 'pgoutput')")
        let slot = try #require(try Slot.find(name, connection))
        #expect(slot.plugin == "pgoutput")
        #expect(slot.database == database.name)
        #expect(slot.confirmedFlushLSN != nil)
        #expect(!slot.isLost)
        try slot.check(database: database.name)
        let replication = try ReplicationConnection(try SourceOptions(database.config()).connection)
        #expect(replication.isLocal)
        let system = try replication.identifySystem()
        #expect(system.database == database.name)
        #expect(system.timeline == 1)
        #expect(try replication.timelineHistory(1).isEmpty)
        let created = try replication.createSlot("made_\(database.name)", isTemporary: true, exportsSnapshot: true)
        #expect(created.consistentPoint >= system.flushLSN)
        #expect(created.snapshotName?.isEmpty == false)
    }
}
