import MillraceCore

@testable import PostgresConnector

/// Where an assembler's records go in tests: a log in memory that may be busy.
final class FeedDouble: LogFeeding {
    let log = MemoryLog()
    var isBusy = false

    func makeBuffer() -> RecordBuffer { RecordBuffer() }

    func submit(_ buffer: RecordBuffer) throws(ConnectorError) {
        _ = try log.submit(buffer, timeout: .zero)
    }

    func offer(_ buffer: RecordBuffer) throws(ConnectorError) -> Bool {
        isBusy ? false : try log.submit(buffer, timeout: .zero)
    }

    func makeSpool(xid: UInt32) throws(ConnectorError) -> any TransactionSpool { try log.makeSpool(xid: xid) }

    func submit(_ spool: any TransactionSpool, _ info: TransactionInfo) throws(ConnectorError) {
        _ = try log.submit(spool, info, timeout: .zero)
    }

    func rollBackOpenTransaction() throws(ConnectorError) { try log.rollBackOpenTransaction() }
}

/// Makes pgoutput's messages.
enum PgOutputWriter {
    static func begin(_ commitLSN: UInt64, xid: UInt32 = 1) -> [UInt8] {
        bytes(PgOutputKind.begin) {
            $0.append(commitLSN); $0.append(Int64(7)); $0.append(xid)
        }
    }

    static func commit(_ commitLSN: UInt64) -> [UInt8] {
        bytes(PgOutputKind.commit) {
            $0.append(UInt8(0)); $0.append(commitLSN); $0.append(commitLSN + 8); $0.append(Int64(7))
        }
    }

    static func relation(_ oid: UInt32, _ name: String, columns: [String], xid: UInt32? = nil) -> [UInt8] {
        bytes(PgOutputKind.relation) { writer in
            if let xid { writer.append(xid) }
            writer.append(oid)
            writer.append(raw: Array("public".utf8) + [0] + Array(name.utf8) + [0])
            writer.append(UInt8(ascii: "d"))
            writer.append(UInt16(columns.count))
            for (index, column) in columns.enumerated() {
                writer.append(UInt8(index == 0 ? 1 : 0))
                writer.append(raw: Array(column.utf8) + [0])
                writer.append(UInt32(25))
                writer.append(Int32(-1))
            }
        }
    }

    static func insert(_ oid: UInt32, _ values: [String?], xid: UInt32? = nil) -> [UInt8] {
        bytes(PgOutputKind.insert) { writer in
            if let xid { writer.append(xid) }
            writer.append(oid)
            writer.append(UInt8(ascii: "N"))
            tuple(values, &writer)
        }
    }

    static func streamStart(_ xid: UInt32, isFirst: Bool = true) -> [UInt8] {
        bytes(PgOutputKind.streamStart) {
            $0.append(xid); $0.append(UInt8(isFirst ? 1 : 0))
        }
    }

    static let streamStop: [UInt8] = [PgOutputKind.streamStop]

    static func streamCommit(_ xid: UInt32, _ commitLSN: UInt64) -> [UInt8] {
        bytes(PgOutputKind.streamCommit) {
            $0.append(xid); $0.append(UInt8(0)); $0.append(commitLSN); $0.append(commitLSN + 8); $0.append(Int64(7))
        }
    }

    static func streamAbort(_ xid: UInt32, _ subxid: UInt32) -> [UInt8] {
        bytes(PgOutputKind.streamAbort) {
            $0.append(xid); $0.append(subxid)
        }
    }

    private static func tuple(_ values: [String?], _ writer: inout ByteWriter) {
        writer.append(UInt16(values.count))
        for value in values {
            if let value {
                writer.append(UInt8(ascii: "t"))
                writer.append(value)
            } else {
                writer.append(UInt8(ascii: "n"))
            }
        }
    }

    private static func bytes(_ kind: UInt8, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(kind)
        body(&writer)
        return writer.bytes
    }
}

/// Describes relations without a catalog. `hidden` is not captured; of `projected` the second column is left out.
func describeForTests(_ message: PgOutputRelation, _ previous: CapturedRelation?) -> CapturedRelation {
    let projection = message.name == "projected" ? message.columns.indices.filter { $0 != 1 } : nil
    let columns = (projection ?? Array(message.columns.indices)).map { index in
        Column(
            name: message.columns[index].name, attributeNumber: Int16(index + 1), typeOID: 25, typeName: "text",
            isReplicaIdentity: message.columns[index].isKey)
    }
    return CapturedRelation(
        relation: Relation(
            id: RelationID(message.oid), namespace: message.namespace, name: message.name,
            topic: "t.\(message.namespace).\(message.name)", replicaIdentity: .primaryKey, columns: columns,
            primaryKey: columns.isEmpty ? [] : [0]), isCaptured: message.name != "hidden", projection: projection)
}
