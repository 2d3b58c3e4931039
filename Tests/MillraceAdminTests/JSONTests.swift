import MillraceAdmin
import MillraceRuntime
import Testing

@Suite struct JSONTests {
    @Test func numbersKeepTheirText() throws {
        let document = try JSONParser.parse(Array(#"{"a": 1.50, "b": -0, "c": 1e3, "d": [true, null]}"#.utf8))
        #expect(document["a"] == .number("1.50"))
        #expect(document["b"] == .number("-0"))
        #expect(document["c"] == .number("1e3"))
        #expect(document["d"] == .array([.bool(true), .null]))
    }

    @Test func theLastOfEqualNamesCounts() throws {
        #expect(try JSONParser.parse(Array(#"{"a": 1, "a": 2}"#.utf8))["a"] == .number("2"))
    }

    @Test(arguments: [
        "", "{", "{\"a\"", "{\"a\":}", "[1,]", "{\"a\":1,}", "01", "-", "1.", "1e", "+1", "nul", "\"", "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "{} {}", "{'a':1}", "\u{1}", "\"a\nb\"", "NaN",
        "\"\\u+123\"",
    ])
    func textThatIsNoJSONIsRefused(text: String) {
        #expect(throws: JSONFault.self) { try JSONParser.parse(Array(text.utf8)) }
    }

    @Test func bytesThatAreNoUTF8AreRefused() {
        #expect(throws: JSONFault.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
    }

    @Test func nestingIsLimited() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONFault.self) { try JSONParser.parse(Array(deep.utf8)) }
    }

    @Test func faultsSayWhere() {
        let fault = #expect(throws: JSONFault.self) { try JSONParser.parse(Array("{\n  \"a\": x}".utf8)) }
        #expect(fault?.line == 2)
        #expect(fault?.column == 8)
    }

    @Test func textSurvivesWritingAndReading() throws {
        let texts = ["", "\"\\/\n\r\t\u{0}\u{1F}\u{7F}", "ü€😀", "\u{2028}"]
        for text in texts {
            let bytes = JSONText.bytes(.array([.string(text)]))
            #expect(try JSONParser.parse(bytes) == .array([.string(text)]))
        }
        #expect(try JSONParser.parse(Array(#""\ud83d\ude00\u00fc""#.utf8)) == .string("😀ü"))
    }
}
