import Foundation
import MillraceCore

/// A recorded scenario: what went in (as records of a log) and what Debezium emitted.
struct Capture {
    let batch: ChangeBatch
    let expected: [String]
    let config: ConnectorConfig

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../IntegrationTests/Recordings").standardized

    init(_ name: String) throws {
        let folder = Self.folder.appending(path: name)
        expected = try Self.lines(folder.appending(path: "expected.jsonl"))
        config = try Self.config(folder)
        let buffer = RecordBuffer()
        for line in try Self.lines(folder.appending(path: "capture.jsonl")) {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            guard let fields = object as? [String: Any] else { throw Malformed(line: line) }
            try Self.append(CaptureRecord(fields: fields), to: buffer)
        }
        batch = Self.batch(buffer)
    }

    struct Malformed: Error {
        var line: String
    }

    private static func lines(_ file: URL) throws -> [String] {
        String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func config(_ folder: URL) throws -> ConnectorConfig {
        let defaults = try Data(contentsOf: Self.folder.appending(path: "connector-defaults.json"))
        var values = try JSONDecoder().decode([String: String].self, from: defaults)
        for line in try lines(folder.appending(path: "connector.properties")) {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return ConnectorConfig(values)
    }

    private static func batch(_ buffer: RecordBuffer) -> ChangeBatch {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(buffer.count, 1), alignment: 16)
        bytes.copyMemory(from: buffer.bytes)
        return ChangeBatch(
            adopting: bytes, count: buffer.count, runs: [.init(byteIndex: 0, logOffset: 0)], logID: 1, relations: [:],
            end: Cursor(logID: 1, offset: UInt64(buffer.count), commitLSN: .zero, ordinal: 0),
            endsInTransaction: false, lastCommitTime: nil)
    }

    private static func append(_ record: CaptureRecord, to buffer: RecordBuffer) throws {
        switch record.text("k") {
        case "B":
            buffer.begin(
                TransactionInfo(
                    flags: .init(rawValue: UInt8(record.number("flags"))), xid: UInt32(record.number("xid")),
                    commitLSN: LSN(UInt64(record.number("commit"))), endLSN: LSN(UInt64(record.number("end"))),
                    commitTime: Timestamp(microsecondsSince2000: Int64(record.number("time")))))
        case "C": buffer.commit(changeCount: UInt64(record.number("n")))
        case "R": buffer.relation(record.relation)
        case "L":
            buffer.load(record.relationID("rel"), record.number("phase") == 1 ? .begin : .end)
        case "S": Array(record.text("text").utf8).withUnsafeBytes { buffer.sourceState($0) }
        case "T":
            let ids = (record.fields["rels"] as? [Int] ?? []).map { RelationID(UInt32($0)) }
            buffer.truncate(lsn: record.lsn, options: UInt8(record.number("opts")), relations: ids)
        case "M":
            Array(record.text("prefix").utf8).withUnsafeBytes { prefix in
                record.bytes("content").withUnsafeBytes { content in
                    buffer.message(
                        lsn: record.lsn, isTransactional: record.flag("trans"), prefix: prefix, content: content)
                }
            }
        default:
            let kind = record.text("k").utf8.first ?? 0
            record.bytes("body").withUnsafeBytes {
                buffer.row(kind, relation: record.relationID("rel"), lsn: record.lsn, body: $0)
            }
        }
    }
}

/// One line of a capture.
struct CaptureRecord {
    var fields: [String: Any]

    func text(_ name: String) -> String { fields[name] as? String ?? "" }
    func number(_ name: String) -> Int { fields[name] as? Int ?? 0 }
    func flag(_ name: String) -> Bool { fields[name] as? Bool ?? false }
    func bytes(_ name: String) -> [UInt8] { Array(Data(base64Encoded: text(name)) ?? Data()) }
    func relationID(_ name: String) -> RelationID { RelationID(UInt32(number(name))) }
    var lsn: LSN { LSN(UInt64(number("lsn"))) }

    private func records(_ name: String) -> [CaptureRecord] {
        (fields[name] as? [[String: Any]] ?? []).map { CaptureRecord(fields: $0) }
    }

    var relation: Relation {
        let columns = records("columns").map { column in
            Column(
                name: column.text("name"), attributeNumber: Int16(column.number("att")),
                typeOID: UInt32(column.number("oid")), typeModifier: Int32(column.number("mod")),
                typeName: column.text("type"), isNotNull: column.flag("notnull"),
                isReplicaIdentity: column.flag("ri"), isGenerated: column.flag("gen"),
                defaultExpression: column.fields["default"] as? String)
        }
        return Relation(
            id: relationID("id"), namespace: text("ns"), name: text("name"), topic: text("topic"),
            replicaIdentity: ReplicaIdentity(rawValue: text("ri").utf8.first ?? 0) ?? .nothing, columns: columns,
            primaryKey: fields["pk"] as? [Int] ?? [], types: records("types").map(\.type))
    }

    private var type: TypeDefinition {
        let kind: TypeDefinition.Kind =
            switch text("kind") {
            case "enum": .enumeration(labels: fields["labels"] as? [String] ?? [])
            case "domain":
                .domain(
                    baseOID: UInt32(number("base")), baseTypeName: text("basename"), isNotNull: flag("notnull"),
                    constraints: [])
            case "array": .array(elementOID: UInt32(number("elem")))
            case "ext": .extensionMember(extensionName: text("ext"))
            case "composite": .composite(fields: [])
            default: .other
            }
        return TypeDefinition(oid: UInt32(number("oid")), namespace: text("ns"), name: text("name"), kind: kind)
    }
}
