import Testing

@testable import MillraceRuntime

@Suite struct JSONTextTests {
    @Test(arguments: [
        "null", "true", "[]", "{}", "[1,-2,9223372036854775807]", "{\"b\":1,\"a\":{\"c\":[null,false]}}",
        "\"\\\"\\\\\\n\\u0001ü😀/\"", "1.5",
    ])
    func whatIsWrittenIsReadBack(text: String) throws {
        #expect(try #require(JSONTree(text: text)).description == text)
    }

    @Test func escapesAreUnderstood() {
        #expect(JSONTree(text: " \"\\ud83d\\ude00\\t\\/\" ") == .string("😀\t/"))
        #expect(JSONTree(text: "1e3") == .double(1000))
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1,", "\"", "\"\\", "\"\\u12", "\"\\x\"", "nul",
        "tru",
        "-", "1 2", "{1:2}", "01x", "]",
    ])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(JSONTree(text: text) == nil)
    }

    @Test func depthIsBounded() {
        #expect(JSONTree(text: String(repeating: "[", count: 100_000)) == nil)
    }
}
