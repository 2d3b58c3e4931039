import Foundation
import Testing

/// The failure matrix names the test of each row.
@Suite
struct ReliabilityTests {
    /// Rows of tables, cell by cell, without headings and rules.
    private func rows(_ document: Repository.File) -> [[String]] {
        document.lines.filter { $0.hasPrefix("|") && !$0.hasPrefix("|---") && !$0.hasPrefix("| ---") }
            .map { line in
                line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            }
            .filter { $0.last != "test" }
    }

    @Test
    func everyTestThatTheFailureMatrixNamesIsThere() throws {
        let document = try #require(Repository.read("docs/RELIABILITY.md"))
        let declared = try Regex<(Substring, Substring)>(#"func ([A-Za-z0-9_]+)\("#)
        var functions: Set<String> = []
        for file in Repository.files(".swift", in: ["Tests", "Sources/MillraceTesting"]) {
            for match in file.text.matches(of: declared) { functions.insert(String(match.output.1)) }
        }
        // Long names in sentence case: properties, states and statements are not written so.
        let named = try Regex<(Substring, Substring)>(#"`([a-z]+[A-Z][A-Za-z0-9]{14,})`"#)
        var count = 0
        for row in rows(document) {
            for match in (row.last ?? "").matches(of: named) {
                count += 1
                #expect(functions.contains(String(match.output.1)), "there is no test \(match.output.1)")
            }
        }
        #expect(count > 20)
    }
}
