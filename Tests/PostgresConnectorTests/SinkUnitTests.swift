import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// Reduction and encoding, without a server.
@Suite final class SinkUnitTests {
    /// Rows' bytes as they stand in a batch, kept until the test is over.
    private var buffers: [UnsafeMutableRawBufferPointer] = []

    deinit {
        for buffer in buffers { buffer.deallocate() }
    }

    private func bytes(_ values: [TestValue]) -> UnsafeRawPointer {
        var writer = ByteWriter()
        for value in values {
            switch value {
            case .null: writer.append(RowBytes.null)
            case .unchanged: writer.append(RowBytes.unchanged)
            case .text(let text):
                writer.append(RowBytes.text)
                writer.append(text)
            }
        }
        let start = UnsafeMutableRawPointer.allocate(byteCount: writer.bytes.count + 1, alignment: 1)
        let buffer = UnsafeMutableRawBufferPointer(start: start, count: writer.bytes.count + 1)
        buffer.copyBytes(from: writer.bytes)
        buffers.append(buffer)
        return UnsafeRawPointer(start)
    }

    private func values(_ row: UnsafeRawPointer, _ count: Int) -> [String] {
        var column = row
        return (0..<count).map { _ in
            defer { column = RowBytes.next(column) }
            switch RowBytes.kind(column) {
            case RowBytes.null: return "null"
            case RowBytes.unchanged: return "unchanged"
            default:
                return String(
                    decoding: UnsafeRawBufferPointer(start: column + 5, count: RowBytes.length(column)), as: UTF8.self)
            }
        }
    }

    private func escape(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let target = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count * 2 + 8)
        defer { target.deallocate() }
        return bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return "" }
            let count = CopyWriter.escape(base, source.count, to: target)
            return String(decoding: UnsafeBufferPointer(start: target, count: count), as: UTF8.self)
        }
    }

    @Test func copyTextEscapesExactlyFourBytes() {
        #expect(escape("plain text, nothing special") == "plain text, nothing special")
        #expect(escape("a\tb\nc\rd\\e") == "a\\tb\\nc\\rd\\\\e")
        #expect(escape("\\N") == "\\\\N")
        #expect(escape("\\.") == "\\\\.")
        #expect(escape("\u{1}\u{8}\u{B}\u{C}\u{1F}\u{7F}") == "\u{1}\u{8}\u{B}\u{C}\u{1F}\u{7F}")
        for place in 0..<24 {
            var text = Array(repeating: "é" as Character, count: 24)
            text[place] = "\\"
            #expect(escape(String(text)) == String(text).replacing("\\", with: "\\\\"))
        }
    }

    @Test func scatteredAndAdjacentKeysAreFound() throws {
        let arena = Arena()
        let row = bytes(["a", "bb", nil, "cc"])
        let adjacent = try #require(KeyLayout([0, 1]).span(of: row, arena))
        #expect(values(adjacent.start, 2) == ["a", "bb"])
        let scattered = try #require(KeyLayout([3, 0]).span(of: row, arena))
        #expect(values(scattered.start, 2) == ["a", "cc"])
        #expect(KeyLayout([1]).span(of: bytes(["a", .unchanged]), arena) == nil)
        // Neither order nor lengths of neighbours can be confused.
        let left = try #require(KeyLayout([0, 1]).span(of: bytes(["ab", "c"]), arena))
        let right = try #require(KeyLayout([0, 1]).span(of: bytes(["a", "bc"]), arena))
        #expect(!(left == right))
    }

    @Test func changesReduceToTheirOutcome() throws {
        // Letters: i insert, u update, d delete of one key; then what is left to do.
        let cases: [(String, ChangeSet.Outcome)] = [
            ("i", .insert), ("iu", .insert), ("id", .nothing), ("idi", .insert), ("u", .update), ("uu", .update),
            ("ud", .delete), ("d", .delete), ("di", .replace), ("diu", .replace), ("did", .delete), ("udi", .replace),
            ("iuuud", .nothing), ("udid", .delete),
        ]
        for (steps, outcome) in cases {
            let changes = ChangeSet()
            let layout = KeyLayout([0])
            for (number, step) in steps.enumerated() {
                let row = bytes(["k", text(number)])
                let key = try #require(layout.span(of: row, changes.arena))
                switch step {
                case "i": changes.insert(row, key: key)
                case "u": changes.update(row, key: key, columnCount: 2)
                default: changes.delete(key: key)
                }
            }
            #expect(changes.count == 1)
            #expect(changes.entries[0].outcome == outcome, "\(steps)")
            if outcome != .delete && outcome != .nothing {
                #expect(values(changes.entries[0].row, 2) == ["k", "\(steps.count - 1)"], "\(steps)")
            }
        }
    }

    @Test func unchangedColumnsAreTakenFromEarlierImages() throws {
        let changes = ChangeSet()
        let rows = [
            bytes(["k", "1", .unchanged, .unchanged]), bytes(["k", .unchanged, "2", .unchanged]),
            bytes(["k", "3", .unchanged, .unchanged]),
        ]
        for row in rows {
            let key = try #require(KeyLayout([0]).span(of: row, changes.arena))
            changes.update(row, key: key, columnCount: 4)
        }
        #expect(values(changes.entries[0].row, 4) == ["k", "3", "2", "unchanged"])
    }

    @Test func manyKeysStayApart() throws {
        let changes = ChangeSet()
        let layout = KeyLayout([0])
        let rows = (0..<20_000).map { bytes([text($0 % 10_000), text($0)]) }
        for row in rows {
            let key = try #require(layout.span(of: row, changes.arena))
            changes.update(row, key: key, columnCount: 2)
        }
        #expect(changes.count == 10_000)
        for index in 0..<10_000 {
            let row = values(changes.entries[index].row, 2)
            #expect(Int(row[1]) == (Int(row[0]) ?? 0) + 10_000)
        }
        changes.removeAll()
        #expect(changes.count == 0)
    }

    @Test func enumLabelsAreAddedAndRenamed() {
        func change(_ present: [String], _ labels: [String]) -> [String] {
            EnumChange.statements(type: "t", from: present, to: labels)
        }
        #expect(change(["a", "b"], ["a", "b"]).isEmpty)
        #expect(change(["a", "b"], ["a", "c"]) == ["ALTER TYPE t RENAME VALUE 'b' TO 'c'"])
        #expect(
            change(["b"], ["a", "b", "c"]) == [
                "ALTER TYPE t ADD VALUE IF NOT EXISTS 'a' BEFORE 'b'",
                "ALTER TYPE t ADD VALUE IF NOT EXISTS 'c' AFTER 'b'",
            ])
    }

    @Test func urlsOfBothKindsAreRead() throws {
        func parse(_ url: String) throws -> ConnectionParameters { try TargetURL.parse(url).get() }
        let plain = try parse("postgresql://me:pa%40ss@db.example:5433/shop?sslmode=require")
        #expect(plain["host"] == "db.example" && plain["port"] == "5433" && plain["dbname"] == "shop")
        #expect(plain["user"] == "me" && plain["password"] == "pa@ss" && plain["sslmode"] == "require")
        let jdbc = try parse("jdbc:postgresql://h/db?user=u&ssl=true&reWriteBatchedInserts=true&ApplicationName=x")
        #expect(jdbc["host"] == "h" && jdbc["user"] == "u" && jdbc["sslmode"] == "require")
        #expect(jdbc["application_name"] == "x")
        for wrong in ["", "mysql://x", "postgresql://h:port/x", "postgresql://u:secret@h/x?nonsense=1"] {
            let fault = TargetURL.fault(in: wrong)
            #expect(fault != nil && fault?.contains("secret") == false, "\(wrong)")
        }
    }

    @Test func nameFormatsAreSplitAtTheirOwnDotOnly() throws {
        let relation = Relation.table(1, "a.b", schema: "s.t", [.int4("id", key: true)])
        func name(_ format: String) throws -> [String] {
            let name = try #require(TargetNameFormat(format)).name(of: relation, database: "db")
            return [name.namespace, name.table]
        }
        #expect(try name("${source.schema}.${source.table}") == ["s.t", "a.b"])
        #expect(try name("${topic}") == ["public", "srv_s_t_a_b"])
        #expect(try name("x_${source.db}.y_${source.table}_z") == ["x_db", "y_a.b_z"])
        #expect(TargetNameFormat.fault(in: "${nonsense}") != nil)
        #expect(TargetNameFormat.fault(in: "x.") != nil)
    }

    @Test func aRefusedLabelIsTakenOnlyWhereItIsCertain() {
        let prefix = "cannot insert a row of s.t: invalid input value for enum s.mood"
        #expect(ChangeApplier.quotedLabel(prefix + #": "great""#) == "great")
        #expect(ChangeApplier.quotedLabel(prefix + #": "it's "so""#) == #"it's "so"#)
        #expect(ChangeApplier.quotedLabel(prefix + #": "a: "b""#) == nil)
        #expect(ChangeApplier.quotedLabel(prefix) == nil)
    }
}
