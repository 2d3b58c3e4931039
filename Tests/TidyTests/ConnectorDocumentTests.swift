import Foundation
import Testing

/// Documentation that must agree with the code: properties of connectors, metrics, links.
@Suite
struct ConnectorDocumentTests {
    /// Names given literally to `ConfigKey(…)` below a folder.
    private func definedProperties(in folder: String) throws -> Set<String> {
        let pattern = try Regex<(Substring, Substring)>(#"ConfigKey\(\s*"([a-z0-9._]+)""#)
        var names: Set<String> = []
        for file in Repository.files(".swift", in: [folder]) {
            for match in file.text.matches(of: pattern) { names.insert(String(match.output.1)) }
        }
        return names
    }

    /// Properties that every connector has; some of their names are put together in the code.
    private func commonProperties() throws -> Set<String> {
        try definedProperties(in: "Sources/MillraceCore").union([
            "key.converter", "value.converter", "header.converter", "key.converter.plugin.version",
            "value.converter.plugin.version", "header.converter.plugin.version",
        ])
    }

    /// First column of table rows, where it is code: | `name` | ….
    private func tabulatedProperties(_ document: Repository.File) throws -> Set<String> {
        let pattern = try Regex<(Substring, Substring)>(#"^\| *`([a-z0-9._]+)` *\|"#).anchorsMatchLineEndings()
        return Set(document.text.matches(of: pattern).map { String($0.output.1) })
    }

    @Test(arguments: Repository.connectorFolders)
    func everyPropertyOfAConnectorStandsInItsReadme(_ name: String) throws {
        let readme = try #require(Repository.read("connectors/\(name)/README.md"))
        let defined = try definedProperties(in: "connectors/\(name)")
        #expect(!defined.isEmpty, "connectors/\(name) defines no property")
        let tabulated = try tabulatedProperties(readme)
        let missing = defined.subtracting(tabulated).sorted()
        #expect(missing.isEmpty, "connectors/\(name)/README.md has no row for \(missing.joined(separator: ", "))")
        let unknown = tabulated.subtracting(defined).subtracting(try commonProperties()).sorted()
        #expect(
            unknown.isEmpty,
            "connectors/\(name)/README.md explains what is not there: \(unknown.joined(separator: ", "))")
    }

    @Test(arguments: Repository.connectorFolders)
    func everyConnectorHasExamplesOfKnownProperties(_ name: String) throws {
        let examples = Repository.files(".json", in: ["connectors/\(name)"]).filter {
            $0.path.hasSuffix(".example.json")
        }
        #expect(!examples.isEmpty, "connectors/\(name) has no *.example.json")
        let known = try definedProperties(in: "connectors/\(name)").union(commonProperties())
        for example in examples {
            let object = try JSONSerialization.jsonObject(with: Data(example.text.utf8)) as? [String: Any]
            let whole = try #require(object, "\(example.path) is no JSON object")
            #expect(whole["name"] is String, "\(example.path) has no name")
            let config = try #require(whole["config"] as? [String: Any], "\(example.path) has no config")
            for property in config.keys.sorted() {
                #expect(known.contains(property), "\(example.path): unknown property \(property)")
            }
        }
    }

    @Test
    func everyMetricStandsInOperations() throws {
        let document = try #require(Repository.read("docs/OPERATIONS.md"))
        // The page puts the prefix before each name.
        let pattern = try Regex<(Substring, Substring)>(#"text\.add\(\s*"([a-z0-9_]+)""#)
        var metrics: Set<String> = []
        for file in Repository.files(".swift", in: ["Sources/MillraceAdmin/Metrics"]) {
            for match in file.text.matches(of: pattern) { metrics.insert("millrace_\(match.output.1)") }
        }
        #expect(metrics.count > 10)
        for metric in metrics.sorted() {
            #expect(document.text.contains("`\(metric)`"), "docs/OPERATIONS.md does not explain \(metric)")
        }
    }

    @Test
    func linksInDocumentsLeadSomewhere() throws {
        let pattern = try Regex<(Substring, Substring)>(#"\]\(([^)\s]+)\)"#)
        for document in Repository.documents {
            let folder = document.components.dropLast().joined(separator: "/")
            for match in document.text.matches(of: pattern) {
                let link = String(match.output.1)
                if link.contains("://") || link.hasPrefix("#") || link.hasPrefix("mailto:") { continue }
                let path = link.split(separator: "#").first.map(String.init) ?? ""
                let resolved = folder.isEmpty ? path : "\(folder)/\(path)"
                #expect(Repository.exists(resolved), "\(document.path): \(link) leads nowhere")
            }
        }
    }

    @Test
    func documentsAreThere() {
        let wanted = [
            "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/ARCHITECTURE.md", "docs/OPERATIONS.md",
            "docs/LOG_FORMAT.md", "docs/ADMIN_API.md",
        ]
        for path in wanted { #expect(Repository.exists(path), "\(path) is missing") }
    }
}
