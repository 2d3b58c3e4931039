import MillraceCore
import PostgresConnector
import Testing

@Suite struct ConfigValidationTests {
    private static let source = [
        "name": "s", "connector.class": "postgres", "topic.prefix": "p", "database.hostname": "h",
        "database.user": "u", "database.dbname": "d",
    ]

    private func report(_ changes: [String: String]) -> ConfigReport {
        ConfigValidation.report(
            on: ConnectorConfig(Self.source.merging(changes) { $1 }), for: PostgresSourceDefinition.definition,
            isSource: true, version: "1")
    }

    private func sinkReport(_ config: [String: String], carriesEvents: Bool = true) -> ConfigReport {
        let definition = ConfigDefinition(
            keys: [
                ConfigKey("path", .string, required: true, importance: .high, group: "File", order: 1, "A folder."),
                ConfigKey("size", .long, default: "1", group: "File", order: 2, range: 1...10, "A size."),
            ], carriesEvents: carriesEvents)
        return ConfigValidation.report(
            on: ConnectorConfig(["name": "k", "connector.class": "file", "path": "/tmp"].merging(config) { $1 }),
            for: definition, isSource: false, version: "1")
    }

    @Test func aGoodConfigurationHasNeitherErrorsNorWarnings() {
        let report = report([:])
        #expect(report.errors.isEmpty)
        #expect(report.warnings.isEmpty)
        #expect(report.refusal == nil)
    }

    @Test(arguments: [
        ("slot.nmae", "slot.name"), ("table_include_list", "table.include.list"),
        ("tables.include.list", "table.include.list"), ("table.whitelist", "table.include.list"),
        ("Database.Hostname", "database.hostname"), ("task.max", "tasks.max"),
        ("publication.autocreate.modes", "publication.autocreate.mode"),
    ])
    func aSlipIsAnErrorThatNamesTheRightProperty(name: String, right: String) {
        let errors = report([name: "x"]).errors
        #expect(errors == ["Unknown property '\(name)': did you mean '\(right)'?"])
    }

    @Test(arguments: ["no.such.property", "my.company.owner", "database.applicationName"])
    func anUnknownPropertyIsKeptWithAWarning(name: String) {
        let report = report([name: "x"])
        #expect(report.errors.isEmpty)
        #expect(report.warnings.map(\.property) == [name])
    }

    @Test(arguments: [
        "snapshot.select.statement.overrides.public.t", "money.fraction.digits", "producer.override.linger.ms",
        "key.converter.schemas.enable", "read.only",
    ])
    func propertiesThatReportsLeaveOutAreKnown(name: String) {
        let report = report([name: "1"])
        #expect(report.errors.filter { !$0.contains("read.only") }.isEmpty)
        #expect(report.warnings.isEmpty)
    }

    @Test(arguments: [
        ("column.mask.with.10.chars", "public.t.c"), ("column.mask.hash.SHA-256.with.salt.x", "public.t.c"),
        ("column.truncate.to.20.chars", "public.t.c"), ("converters", "c"), ("topic.delimiter", "_"),
        ("snapshot.mode", "custom"), ("snapshot.query.mode", "custom"),
    ])
    func whatWouldChangeDataAndIsNotThereIsRefused(name: String, value: String) {
        let errors = report([name: value]).errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains(name) == true)
    }

    @Test func unlistedPropertiesAreCheckedToo() {
        #expect(report(["skip.messages.without.change": "perhaps"]).errors.count == 1)
    }

    @Test func aValueWithoutEffectIsWarnedOfUnlessItIsTheDefault() {
        #expect(report(["lsn.flush.timeout.ms": "30000"]).warnings.isEmpty)
        #expect(report(["lsn.flush.timeout.ms": "1"]).warnings.count == 1)
    }

    @Test func anotherOutputPluginIsAcceptedWithAWarning() {
        #expect(report(["plugin.name": "decoderbufs"]).warnings.map(\.property) == ["plugin.name"])
        #expect(report(["plugin.name": "pgoutput"]).warnings.isEmpty)
    }

    @Test func oldNamesOfValuesAreAccepted() {
        #expect(report(["snapshot.mode": "NEVER"]).errors.isEmpty)
        #expect(report(["snapshot.mode": "perhaps"]).errors.count == 1)
    }

    @Test func aSinkNeedsExactlyOneSelection() {
        #expect(sinkReport([:]).errors == ["Must configure one of topics, topics.regex or source"])
        #expect(sinkReport(["topics": "a"]).errors.isEmpty)
        #expect(sinkReport(["topics.regex": "a.*"]).errors.isEmpty)
        #expect(sinkReport(["source": "s"]).errors.isEmpty)
        #expect(
            sinkReport(["topics": "a", "source": "s"]).errors
                == ["topics and source are mutually exclusive options, but more than one is set"])
        #expect(sinkReport(["topics.regex": "a(("]).errors.first?.contains("Unclosed group near index 3") == true)
    }

    @Test func requiredValuesAndRangesAreChecked() {
        let report = sinkReport(["topics": "a", "path": "x", "size": "11"])
        #expect(report.errors == ["Invalid value 11 for configuration size: Value must be no more than 10"])
        #expect(
            sinkReport(["topics": "a", "size": "x"]).errors == [
                "Invalid value x for configuration size: Not a number of type LONG",
                "Invalid value null for configuration size: Value must be non-null",
            ])
    }

    @Test func convertersThatAreMissingAreRefusedWhereTheyWouldBeApplied() {
        let avro = "io.confluent.connect.avro.AvroConverter"
        let errors = sinkReport(["topics": "a", "value.converter": avro]).errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains("Available here: org.apache.kafka.connect.json.JsonConverter") == true)
        let rows = sinkReport(["topics": "a", "value.converter": avro], carriesEvents: false)
        #expect(rows.errors.isEmpty)
        #expect(rows.warnings.map(\.property) == ["value.converter"])
    }

    @Test func transformsAreRefusedButForUnwrappingOfRows() {
        let unwrap = [
            "topics": "a", "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
        ]
        #expect(sinkReport(unwrap).errors.count == 1)
        #expect(sinkReport(unwrap, carriesEvents: false).errors.isEmpty)
        var route = unwrap
        route["transforms.u.type"] = "org.apache.kafka.connect.transforms.RegexRouter"
        #expect(sinkReport(route, carriesEvents: false).errors.count == 1)
    }

    @Test func errorsDoNotShowPasswords() {
        let definition = ConfigDefinition(keys: [
            ConfigKey("connection.url", .string, check: { _ in "no database" }, "A URL."),
            ConfigKey("secret.word", .password, check: { _ in "too short" }, "A word."),
        ])
        let report = ConfigValidation.report(
            on: ConnectorConfig([
                "name": "k", "connector.class": "c", "topics": "a", "connection.url": "x://u:S3CR3T@h",
                "secret.word": "S3CR3T",
            ]), for: definition, isSource: false, version: "1")
        #expect(report.errors.count == 2)
        #expect(!report.errors.joined().contains("S3CR3T"))
        #expect(!report.entries.contains { $0.key.type == .password && $0.value == "S3CR3T" })
    }
}
