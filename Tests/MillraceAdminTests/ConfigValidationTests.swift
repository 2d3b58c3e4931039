import MillraceCore
import PostgresConnector
import Testing

@Suite struct ConfigValidationTests {
    private static let source = [
        "name": "s", "connector.class": "postgres", "topic.prefix": "p", "database.hostname": "h",
        "database.user": "u", "database.dbname": "d",
    ]

    private func report(_ changes: [String: String], without name: String = "") -> ConfigReport {
        var values = Self.source.merging(changes) { $1 }
        values[name] = nil
        return ConfigValidation.report(
            on: ConnectorConfig(values), for: PostgresSourceDefinition.definition, isSource: true, version: "1")
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
        ("tables.include.list", "table.include.list"), ("table.include.lists", "table.include.list"),
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
        ("converters", "c"), ("topic.delimiter", "/"),
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

    @Test(arguments: [
        "column.mask.with.10.chars", "column.mask.hash.SHA-256.with.salt.x", "column.mask.hash.v2.MD5.with.salt.x",
        "column.truncate.to.20.chars",
    ])
    func propertiesThatHideValuesAreAccepted(_ name: String) {
        #expect(report([name: "public.t.c"]).errors == [])
        #expect(report([name: "public.t.c"]).warnings.isEmpty)
        #expect(MaskingProperties.names(in: ConnectorConfig([name: "public.t.c"])) == [name])
    }

    @Test func oldNamesOfPropertiesCountAsTheNewOnes() throws {
        let old = report(
            ["database.server.name": "srv", "table.whitelist": "public.a"], without: "topic.prefix")
        #expect(old.errors == [])
        #expect(old.warnings.map(\.property) == ["database.server.name", "table.whitelist"])
        let config = ConnectorConfig(["database.server.name": "srv", "table.whitelist": "public.a"])
        #expect(try SourceOptions(config).topicPrefix == "srv")
        let both = report(["table.whitelist": "public.a", "table.include.list": "public.b"])
        #expect(both.errors == ["Unknown property 'table.whitelist': did you mean 'table.include.list'?"])
        #expect(report(["table.whitelist": "a((", "x": "y"]).errors.count == 1)
    }

    @Test(arguments: [
        "offset.storage.topic", "schema.history.internal.kafka.topic", "database.history.kafka.topic",
        "consumer.override.max.poll.records", "internal.key.converter", "key.converter.schema.registry.url",
        "config.action.reload", "topic.creation.default.partitions", "errors.retry.timeout",
    ])
    func whatOnlyKafkaConnectCaresForIsAccepted(_ name: String) {
        let value = ["config.action.reload": "none", "errors.retry.timeout": "0"][name] ?? "1"
        #expect(report([name: value]).errors == [])
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
        let other = "io.confluent.connect.json.JsonSchemaConverter"
        let errors = sinkReport(["topics": "a", "value.converter": other]).errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains("Available here: org.apache.kafka.connect.json.JsonConverter") == true)
        for known in CommonProperties.knownConverters {
            #expect(sinkReport(["topics": "a", "value.converter": known]).errors == [])
        }
        let rows = sinkReport(["topics": "a", "value.converter": other], carriesEvents: false)
        #expect(rows.errors.isEmpty)
        #expect(rows.warnings.map(\.property) == ["value.converter"])
    }

    @Test func transformsAreKnownWithTheirPropertiesAndOthersAreRefusedWithAList() {
        let unwrap = [
            "topics": "a", "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
        ]
        #expect(sinkReport(unwrap).errors == [])
        var route = unwrap
        route["transforms.u.type"] = "org.apache.kafka.connect.transforms.RegexRouter"
        route["transforms.u.regex"] = "a(.*)"
        route["transforms.u.predicate"] = "p"
        #expect(
            sinkReport(route).errors == [
                "Missing required configuration \"transforms.u.replacement\" which has no default value.",
                "Invalid value p for configuration transforms.u.predicate: there is no predicate of this name in 'predicates'",
            ])
        route["transforms.u.type"] = "io.debezium.transforms.Filter"
        #expect(sinkReport(route).errors.count == 1)
        #expect(
            sinkReport(route).errors.first?.contains("org.apache.kafka.connect.transforms.RegexRouter") == true)
    }

    @Test func rowsHaveNoUseForTransformsAndIgnoreOnlyTheUnwrapping() {
        let unwrap = [
            "topics": "a", "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
        ]
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
