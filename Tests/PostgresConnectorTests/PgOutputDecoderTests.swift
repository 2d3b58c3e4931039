import MillraceCore
import Testing

@testable import PostgresConnector

@Suite struct PgOutputDecoderTests {
    @Test func readsWhatAServerSent() throws {
        #expect(try dump(PgOutputRecordings.plain) == Self.plain)
    }

    @Test func readsWhatAServerStreamed() throws {
        #expect(try dump(PgOutputRecordings.streamed) == Self.streamed)
    }

    @Test func refusesEveryPrefixOfAMessage() throws {
        for hex in PgOutputRecordings.plain + PgOutputRecordings.streamed {
            let bytes = PgOutputRecordings.bytes(hex)
            // A stop has no content; the text of a type and of an origin may end anywhere that has a zero.
            guard let kind = bytes.first, kind != PgOutputKind.streamStop, kind != PgOutputKind.type else { continue }
            for length in stride(from: 1, to: bytes.count, by: bytes.count > 500 ? 97 : 1) {
                #expect(throws: MalformedRecord.self) {
                    try Array(bytes[..<length]).withUnsafeBytes { try PgOutputDump.line($0, inStream: false) }
                }
            }
        }
    }

    @Test func refusesTuplesOfDifferentLength() {
        // Old tuple of one column, new tuple of two.
        let update: [UInt8] = [0x55, 0, 0, 0, 1, 0x4B, 0, 1, 0x6E, 0x4E, 0, 2, 0x6E, 0x6E]
        #expect(throws: MalformedRecord.self) {
            try update.withUnsafeBytes { try PgOutputDecoder.update($0, inStream: false) }
        }
    }

    private func dump(_ recording: [String]) throws -> String {
        var inStream = false
        return try recording.map { hex in
            let bytes = PgOutputRecordings.bytes(hex)
            if bytes.first == PgOutputKind.streamStop { inStream = false }
            defer { if bytes.first == PgOutputKind.streamStart { inStream = true } }
            return try bytes.withUnsafeBytes { try PgOutputDump.line($0, inStream: inStream) }
        }.joined(separator: "\n")
    }

    private static let plain = """
        begin 2250 commit 0/1ABD0768 at 848546233748469
        relation 16400 public.t identity d (*id 23 -1, name 1043 24, big 25 -1, n 1700 524294)
        insert 16400 N('1', 'one', null, '1.50')
        insert 16400 N('2', 'zwei', 3000 bytes, null)
        commit 0/1ABD0768 end 0/1ABD0798 at 848546233748469
        begin 2251 commit 0/1ABD07F0 at 848546233752349
        update 16400 N('1', 'ONE', null, '1.50')
        commit 0/1ABD07F0 end 0/1ABD0820 at 848546233752349
        begin 2252 commit 0/1ABD0908 at 848546233752465
        update 16400 K('2', null, null, null) N('3', 'zwei', unchanged, '7.00')
        commit 0/1ABD0908 end 0/1ABD0938 at 848546233752465
        begin 2253 commit 0/1ABD09E8 at 848546233752521
        delete 16400 K('3', null, null, null)
        commit 0/1ABD09E8 end 0/1ABD0A18 at 848546233752521
        begin 2254 commit 0/1ABD0A58 at 848546233752617
        relation 16407 public.Ü "q identity f (*a 23 -1, *b 25 -1)
        insert 16407 N('1', 'ä')
        commit 0/1ABD0A58 end 0/1ABD0A88 at 848546233752617
        begin 2255 commit 0/1ABD0AE0 at 848546233752673
        update 16407 O('1', 'ä') N('1', null)
        commit 0/1ABD0AE0 end 0/1ABD0B10 at 848546233752673
        begin 2256 commit 0/1ABD0B50 at 848546233752702
        delete 16407 O('1', null)
        commit 0/1ABD0B50 end 0/1ABD0B80 at 848546233752702
        begin 2257 commit 0/1ABD0C60 at 848546233752811
        type
        relation 16417 public.m identity d (*id 23 -1, m 16413 -1)
        insert 16417 N('1', 'ok')
        commit 0/1ABD0C60 end 0/1ABD0C90 at 848546233752811
        begin 2258 commit 0/1ABD1DA8 at 848546233753234
        relation 16400 public.t identity d (*id 23 -1, name 1043 24, big 25 -1, n 1700 524294)
        type
        relation 16417 public.m identity d (*id 23 -1, m 16413 -1)
        truncate [16400, 16417] options 3
        commit 0/1ABD1DA8 end 0/1ABD1FB0 at 848546233753234
        message pre [0, 255] at 0/1ABD2038 outside
        begin 2259 commit 0/1ABD2038 at 848546233753840
        message pre [105, 110] at 0/1ABD1FE8
        commit 0/1ABD2038 end 0/1ABD2068 at 848546233753840
        begin 2262 commit 0/1ABD2E38 at 848546233754302
        relation 16400 public.t identity d (*id 23 -1, title 1043 24, big 25 -1, n 1700 524294, x 23 -1)
        insert 16400 N('9', null, null, null, '5')
        commit 0/1ABD2E38 end 0/1ABD2E68 at 848546233754302
        begin 2264 commit 0/1ABD31B0 at 631152000000000
        origin elsewhere 0/ABCD
        type
        relation 16417 public.m identity d (*id 23 -1, m 16413 -1)
        insert 16417 N('5', null)
        commit 0/1ABD31B0 end 0/1ABD31F8 at 631152000000000
        """

    private static let streamed = """
        stream start 2265 first
        [2265] relation 16400 public.t identity d (*id 23 -1, title 1043 24, big 25 -1, n 1700 524294, x 23 -1)
        [2265] insert 16400 N('10', 'top', null, null, '5')
        stream stop
        stream abort 2266 of 2265
        stream start 2265
        [2268] relation 16400 public.t identity d (*id 23 -1, title 1043 24, big 25 -1, n 1700 524294, x 23 -1)
        [2268] update 16400 N('10', 'b', null, null, '5')
        stream stop
        stream start 2265
        stream stop
        stream start 2265
        [2265] message pre [115, 116, 114, 101, 97, 109, 101, 100] at 0/1AC02410
        stream stop
        stream 2265 commit 0/1AC02410 end 0/1AC02450 at 848546234265868
        stream start 2269 first
        stream stop
        stream abort 2269 of 2269
        """
}

/// Messages as text.
enum PgOutputDump {
    static func line(_ message: UnsafeRawBufferPointer, inStream: Bool) throws -> String {
        let kind = message.first ?? 0
        let prefix: String
        switch kind {
        case PgOutputKind.relation, PgOutputKind.type, PgOutputKind.insert, PgOutputKind.update, PgOutputKind.delete,
            PgOutputKind.truncate, PgOutputKind.message:
            prefix = inStream ? "[\(try PgOutputDecoder.streamedXID(message))] " : ""
        default: prefix = ""
        }
        return prefix + (try content(kind, message, inStream))
    }

    private static func content(_ kind: UInt8, _ message: UnsafeRawBufferPointer, _ inStream: Bool) throws -> String {
        switch kind {
        case PgOutputKind.begin:
            let begin = try PgOutputDecoder.begin(message)
            return "begin \(begin.xid) commit \(begin.commitLSN) at \(begin.commitTime.microsecondsSince2000)"
        case PgOutputKind.commit: return text(try PgOutputDecoder.commit(message))
        case PgOutputKind.origin:
            let origin = try PgOutputDecoder.origin(message)
            return "origin \(origin.name) \(origin.commitLSN)"
        case PgOutputKind.relation: return text(try PgOutputDecoder.relation(message, inStream: inStream))
        case PgOutputKind.type: return "type"
        case PgOutputKind.insert: return "insert " + text(try PgOutputDecoder.insert(message, inStream: inStream))
        case PgOutputKind.update: return "update " + text(try PgOutputDecoder.update(message, inStream: inStream))
        case PgOutputKind.delete: return "delete " + text(try PgOutputDecoder.delete(message, inStream: inStream))
        case PgOutputKind.truncate:
            let truncate = try PgOutputDecoder.truncate(message, inStream: inStream)
            return "truncate \(truncate.relations) options \(truncate.options)"
        case PgOutputKind.message:
            let logical = try PgOutputDecoder.message(message, inStream: inStream)
            return
                "message \(String(decoding: logical.prefix, as: UTF8.self)) \(Array(logical.content)) at \(logical.lsn)"
                + (logical.isTransactional ? "" : " outside")
        case PgOutputKind.streamStart:
            let start = try PgOutputDecoder.streamStart(message)
            return "stream start \(start.xid)" + (start.isFirst ? " first" : "")
        case PgOutputKind.streamStop: return "stream stop"
        case PgOutputKind.streamCommit:
            let (xid, commit) = try PgOutputDecoder.streamCommit(message)
            return "stream \(xid) " + text(commit)
        case PgOutputKind.streamAbort:
            let abort = try PgOutputDecoder.streamAbort(message)
            return "stream abort \(abort.subxid) of \(abort.xid)"
        default: throw MalformedRecord("unknown kind \(kind)")
        }
    }

    private static func text(_ commit: PgOutputCommit) -> String {
        "commit \(commit.commitLSN) end \(commit.endLSN) at \(commit.commitTime.microsecondsSince2000)"
    }

    private static func text(_ relation: PgOutputRelation) -> String {
        let columns = relation.columns.map { "\($0.isKey ? "*" : "")\($0.name) \($0.typeOID) \($0.typeModifier)" }
        return "relation \(relation.oid) \(relation.namespace).\(relation.name) identity "
            + "\(UnicodeScalar(relation.replicaIdentity)) (\(columns.joined(separator: ", ")))"
    }

    private static func text(_ row: PgOutputRow) -> String {
        var text = "\(row.relation)"
        var offset = 0
        while offset < row.body.count {
            let rest = UnsafeRawBufferPointer(rebasing: row.body[(offset + 1)...])
            guard let length = TupleView.measure(rest) else { return text + " malformed" }
            let tuple = TupleView(count: row.columnCount, bytes: UnsafeRawBufferPointer(rebasing: rest[2..<length]))
            let values = tuple.map { value in
                switch value {
                case .null: "null"
                case .unchanged: "unchanged"
                case .text(let bytes), .binary(let bytes):
                    bytes.count > 100 ? "\(bytes.count) bytes" : "'\(String(decoding: bytes, as: UTF8.self))'"
                }
            }
            text += " \(UnicodeScalar(row.body[offset]))(\(values.joined(separator: ", ")))"
            offset += 1 + length
        }
        return text
    }
}
