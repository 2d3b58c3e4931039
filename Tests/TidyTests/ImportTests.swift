import Testing

/// The edges of the module graph: CONTRIBUTING.md says why they point downward.
@Suite
struct ImportTests {
    private static let system: Set<String> = ["Glibc", "Musl", "Synchronization"]
    private static let foundation: Set<String> = ["Foundation", "FoundationEssentials"]

    /// By folder: the modules that its files may import, beyond those of the system.
    private static let allowed: [(folder: String, modules: Set<String>)] = [
        ("Sources/MillraceCore", ["Logging"]),
        ("Sources/MillraceLog", ["MillraceCore", "CChecksum"]),
        ("Sources/MillraceCatalog", ["MillraceCore", "Migrations", "GRDB", "Foundation", "FoundationEssentials"]),
        (
            "Sources/MillraceRuntime",
            ["MillraceCore", "MillraceLog", "MillraceCatalog", "Logging", "Foundation", "FoundationEssentials"]
        ),
        (
            "Sources/MillraceAdmin",
            [
                "MillraceCore", "MillraceRuntime", "Hummingbird", "HTTPTypes", "NIOCore", "NIOPosix", "Logging",
                "Foundation", "FoundationEssentials", "ServiceLifecycle",
            ]
        ),
        ("connectors/postgres", ["MillraceCore", "CLibPQ", "Logging", "Foundation", "FoundationEssentials"]),
        ("connectors/envelope", ["MillraceCore", "CLibCrypto", "Foundation", "FoundationEssentials"]),
        ("connectors/files", ["MillraceCore", "Envelope", "Logging", "Foundation", "FoundationEssentials"]),
        (
            "connectors/registry",
            [
                "MillraceCore", "Envelope", "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "Foundation",
                "FoundationEssentials",
            ]
        ),
        (
            "connectors/kafka",
            ["MillraceCore", "Envelope", "SchemaRegistry", "CRDKafka", "Logging", "Foundation", "FoundationEssentials"]
        ),
        ("migrations", []),
        ("Sources/MillraceTesting", ["MillraceCore", "MillraceLog", "Logging", "Testing", "Foundation"]),
    ]

    /// Modules that one folder only may name, so that a change of the dependency stays in it.
    private static let owners = [
        "GRDB": "Sources/MillraceCatalog", "CLibPQ": "connectors/postgres", "CChecksum": "Sources/MillraceLog",
        "CRDKafka": "connectors/kafka", "CLibCrypto": "connectors/envelope",
        "AsyncHTTPClient": "connectors/registry", "CMalloc": "Sources/millrace",
    ]

    @Test
    func importsPointDownward() {
        for (folder, modules) in ImportTests.allowed {
            for file in Repository.files(".swift", in: [folder]) {
                for module in importedModules(file)
                where !modules.contains(module) && !ImportTests.system.contains(module) {
                    Issue.record("\(file.path) must not import \(module)")
                }
            }
        }
    }

    @Test
    func coreAndLogDoWithoutFoundation() {
        for file in Repository.files(".swift", in: ["Sources/MillraceCore", "Sources/MillraceLog"]) {
            #expect(Set(importedModules(file)).isDisjoint(with: ImportTests.foundation), "\(file.path)")
        }
    }

    @Test
    func foreignDependenciesHaveOneOwner() {
        for file in Repository.productCode {
            for module in importedModules(file) {
                if let owner = ImportTests.owners[module] {
                    #expect(file.path.hasPrefix(owner + "/"), "\(file.path) imports \(module)")
                }
                if module.hasPrefix("Hummingbird") || module.hasPrefix("NIO") {
                    // The process puts the server together; what the registry's client takes is AsyncHTTPClient's.
                    let isClient = module.hasPrefix("NIO") && file.path.hasPrefix("connectors/registry/")
                    let folders = isClient ? ["connectors/registry/"] : ["Sources/MillraceAdmin/", "Sources/millrace/"]
                    #expect(folders.contains { file.path.hasPrefix($0) }, "\(file.path) imports \(module)")
                }
            }
        }
    }

    @Test
    func theRulesReadImportLines() {
        let file = Repository.File(
            path: "x.swift",
            text: """
                package import Foo
                  @testable import Bar
                import struct Baz.Part
                // import Comment
                let text = "import Text"
                """)
        #expect(importedModules(file) == ["Foo", "Bar", "Baz"])
    }

    private func importedModules(_ file: Repository.File) -> [String] {
        file.lines.compactMap { line in
            var words = line.split(separator: " ").map(String.init)
            while let first = words.first, ["package", "public", "internal", "private", "@testable"].contains(first) {
                words.removeFirst()
            }
            guard words.first == "import", words.count >= 2 else { return nil }
            let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
            return name.split(separator: ".").first.map(String.init)
        }
    }
}
