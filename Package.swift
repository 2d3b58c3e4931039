// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is compiled with the same rules; see CONTRIBUTING.md for what they buy us.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")

let package = Package(
    name: "millrace",
    products: [.executable(name: "millrace", targets: ["millrace"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
    ],
    targets: [
        // The engine: names no foreign system.
        .target(name: "CChecksum", path: "Sources/CChecksum"),
        .target(name: "MillraceCore", dependencies: [logging], swiftSettings: settings),
        .target(name: "MillraceLog", dependencies: ["MillraceCore", "CChecksum"], swiftSettings: settings),
        .target(
            name: "Migrations",
            path: "migrations",
            resources: [.embedInCode("catalog_0001.sql")],
            swiftSettings: settings),
        .target(
            name: "MillraceCatalog", dependencies: ["MillraceCore", "Migrations", grdb], swiftSettings: settings),
        .target(
            name: "MillraceRuntime",
            dependencies: ["MillraceCore", "MillraceLog", "MillraceCatalog", logging],
            swiftSettings: settings),
        .target(
            name: "MillraceAdmin",
            dependencies: ["MillraceCore", "MillraceRuntime", hummingbird, logging],
            swiftSettings: settings),

        // One folder per foreign system.
        .systemLibrary(
            name: "CLibPQ", path: "Sources/CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(
            name: "PostgresConnector",
            dependencies: ["MillraceCore", "CLibPQ", logging],
            path: "connectors/postgres",
            exclude: ["README.md", "source.example.json", "sink.example.json"],
            swiftSettings: settings),
        .systemLibrary(
            name: "CLibCrypto", path: "Sources/CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "Envelope", dependencies: ["MillraceCore", "CLibCrypto"], path: "connectors/envelope",
            swiftSettings: settings),
        .target(
            name: "SchemaRegistry",
            dependencies: ["MillraceCore", "Envelope", asyncHTTPClient, nioCore, nioHTTP1],
            path: "connectors/registry",
            swiftSettings: settings),
        .target(
            name: "FileConnector",
            dependencies: ["MillraceCore", "Envelope", logging],
            path: "connectors/files",
            exclude: ["README.md", "sink.example.json"],
            swiftSettings: settings),
        .systemLibrary(
            name: "CRDKafka", path: "Sources/CRDKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .target(
            name: "KafkaConnector",
            dependencies: ["MillraceCore", "Envelope", "SchemaRegistry", "CRDKafka", logging],
            path: "connectors/kafka",
            exclude: ["README.md", "sink.example.json"],
            swiftSettings: settings),

        // The process, and what only tests use.
        .systemLibrary(name: "CMalloc", path: "Sources/CMalloc"),
        .executableTarget(
            name: "millrace",
            dependencies: [
                "MillraceCore", "MillraceLog", "MillraceCatalog", "MillraceRuntime", "MillraceAdmin",
                "PostgresConnector", "FileConnector", "KafkaConnector", "CMalloc", argumentParser, logging,
            ],
            swiftSettings: settings),
        .target(name: "MillraceTesting", dependencies: ["MillraceCore", "MillraceLog"], swiftSettings: settings),
        .executableTarget(
            name: "MockKafka", dependencies: ["CRDKafka"], path: "Tests/Support/MockKafka", swiftSettings: settings),
        .target(
            name: "KafkaTesting", dependencies: ["MillraceCore", "MillraceTesting", "CRDKafka"],
            path: "Tests/Support/KafkaTesting", swiftSettings: settings),

        .testTarget(name: "MillraceCoreTests", dependencies: ["MillraceCore"], swiftSettings: settings),
        .testTarget(
            name: "MillraceLogTests", dependencies: ["MillraceCore", "MillraceLog", "MillraceTesting"],
            swiftSettings: settings),
        .testTarget(
            name: "MillraceCatalogTests", dependencies: ["MillraceCore", "MillraceCatalog", "Migrations", grdb],
            swiftSettings: settings),
        .testTarget(
            name: "MillraceRuntimeTests",
            dependencies: [
                "MillraceCore", "MillraceLog", "MillraceCatalog", "MillraceRuntime", "MillraceTesting", logging,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "MillraceCore", "MillraceLog", "MillraceRuntime", "MillraceTesting", "PostgresConnector", logging,
            ],
            exclude: ["README.md"],
            swiftSettings: settings),
        .testTarget(
            name: "MillraceAdminTests",
            dependencies: [
                "MillraceCore", "MillraceCatalog", "MillraceRuntime", "MillraceAdmin", "MillraceTesting",
                "PostgresConnector", "FileConnector", hummingbirdTesting, hummingbird,
            ],
            exclude: ["Recordings"],
            swiftSettings: settings),
        .testTarget(
            name: "PostgresConnectorTests",
            dependencies: ["MillraceCore", "PostgresConnector", "MillraceTesting", logging],
            swiftSettings: settings),
        .testTarget(
            name: "EnvelopeTests", dependencies: ["MillraceCore", "Envelope", "MillraceTesting"],
            swiftSettings: settings),
        .testTarget(
            name: "ConverterTests", dependencies: ["MillraceCore", "Envelope", "SchemaRegistry", "KafkaTesting"],
            exclude: ["Support", "requirements.txt"], swiftSettings: settings),
        .testTarget(
            name: "FileConnectorTests",
            dependencies: ["MillraceCore", "Envelope", "FileConnector", "MillraceTesting", logging],
            swiftSettings: settings),
        .testTarget(
            name: "KafkaConnectorTests",
            dependencies: [
                "MillraceCore", "Envelope", "KafkaConnector", "KafkaTesting", "MillraceTesting", "MockKafka", logging,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests", dependencies: ["MillraceCore", "MillraceTesting", "KafkaTesting", "MockKafka"],
            exclude: ["Recordings"],
            swiftSettings: settings),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "MillraceCore", "MillraceLog", "MillraceRuntime", "MillraceAdmin", "PostgresConnector", "Envelope",
                "FileConnector", "MillraceTesting", logging, hummingbird, hummingbirdTesting,
            ],
            swiftSettings: settings),
        .testTarget(name: "TidyTests", swiftSettings: settings),
    ]
)
