import Logging
import MillraceAdmin
import Testing

@Suite struct LogTests {
    private func line(_ message: String, _ fields: [(name: String, value: String)] = []) -> LogLine {
        LogLine(
            time: "2026-11-21T02:29:01.123Z", level: .warning, label: "millrace.test", message: message, fields: fields)
    }

    @Test func linesForPeopleAreShort() {
        let bytes = line("slot is gone", [("connector", "a"), ("table", "odd name")]).bytes(.text)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "02:29:01.123 WARNING  slot is gone  connector=a  table=\"odd name\"\n")
    }

    @Test func linesForMachinesAreJSON() throws {
        let bytes = line("x", [("connector", "a"), ("level", "b")]).bytes(.json)
        let document = try JSONParser.parse(bytes)
        #expect(document["level"] == .string("warning"))
        #expect(document["field.level"] == .string("b"))
        #expect(document["connector"] == .string("a"))
    }

    @Test(arguments: ["a\nERROR forged", "\u{1B}[2J", "\u{202E}txt", "\u{85}", "\r", "\u{2028}"])
    func textsFromOutsideCannotBreakOut(text: String) {
        for format in LogFormat.allCases {
            let bytes = line(text, [(text, text)]).bytes(format)
            #expect(bytes.filter { $0 == 0x0A }.count == 1)
            #expect(!bytes.contains(0x1B) && !bytes.contains(0x0D))
        }
        let shown = String(decoding: line(text).bytes(.text).dropLast(), as: UTF8.self)
        #expect(shown.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(shown.unicodeScalars.allSatisfy { $0.properties.generalCategory != .format })
    }

    @Test func levelsHoldForWhatIsBelow() {
        let levels = LogLevels(.info)
        let handler = StderrLogHandler(label: "millrace.worker.task", format: .json, levels: levels)
        #expect(handler.logLevel == .info)
        #expect(levels.set("millrace.worker", .debug) == ["millrace.worker", "millrace.worker.task"])
        #expect(handler.logLevel == .debug)
        #expect(levels.set("millrace.worker.task", .error) == ["millrace.worker.task"])
        #expect(handler.logLevel == .error)
        #expect(levels.level("millrace.work") == .info)
        _ = levels.set("root", .warn)
        #expect(handler.logLevel == .warning)
        #expect(levels.find("nobody") == nil)
    }
}
