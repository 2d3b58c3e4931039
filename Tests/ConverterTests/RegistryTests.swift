import Envelope
import Foundation
import KafkaTesting
import MillraceCore
import SchemaRegistry
import Testing

/// What the client makes of a registry's answers.
@Suite struct RegistryTests {
    private static let avro = "io.confluent.connect.avro.AvroConverter"
    private static let one = ConnectSchema(.structure([ConnectField("a", .string)]), name: "n.One")
    private static let two = ConnectSchema(.structure([ConnectField("b", .string)]), name: "n.Two")

    private static func convert(_ converter: Single, _ schema: ConnectSchema = one) throws(ConnectorError) {
        _ = try converter.convert(.structure([.string("x")]), schema, topic: "t", into: JSONBuffer())
    }

    @Test func anIncompatibleSchemaIsAnErrorWithTheRegistrysWords() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: false)
        try Self.convert(converter)
        try registry.refuseFurtherSchemas(of: "t-value")
        try Self.convert(converter)
        let error = #expect(throws: ConnectorError.self) { try Self.convert(converter, Self.two) }
        #expect(error?.kind == .data && error?.code == "schema_incompatible")
        #expect(error?.message.contains("incompatible with an earlier schema") == true)
        #expect(error?.hint?.contains("/config/t-value") == true)
    }

    @Test func aRegistryThatIsAwayPasses() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: false)
        registry.stop()
        let error = #expect(throws: ConnectorError.self) { try Self.convert(converter) }
        #expect(error?.kind == .transient && error?.code == "registry_unreachable")
    }

    @Test func theNextRegistryIsAskedWhereOneIsAway() throws {
        let registry = try RegistryProcess()
        let away = try RegistryProcess()
        away.stop()
        try Self.convert(try Single(Self.avro, registry, isKey: false, url: "\(away.url), \(registry.url)/"))
        #expect(try registry.get("/subjects") as? [String] == ["t-value"])
    }

    @Test func withoutRegistrationTheSchemaMustBeThere() throws {
        let registry = try RegistryProcess()
        let converter = try Single(Self.avro, registry, isKey: false, ["auto.register.schemas": "false"])
        let error = #expect(throws: ConnectorError.self) { try Self.convert(converter) }
        #expect(error?.kind == .configuration && error?.code == "schema_missing")
        try Self.convert(try Single(Self.avro, registry, isKey: false))
        try Self.convert(converter)
    }

    @Test(arguments: [
        ("RecordNameStrategy", "n.One"), ("io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", "t-n.One"),
        ("io.confluent.kafka.serializers.subject.TopicNameStrategy", "t-value"),
    ])
    func subjectsAreNamedByTheStrategy(_ strategy: String, _ subject: String) throws {
        let registry = try RegistryProcess()
        try Self.convert(try Single(Self.avro, registry, isKey: false, ["value.subject.name.strategy": strategy]))
        #expect(try registry.get("/subjects") as? [String] == [subject])
    }

    @Test func credentialsAreSentAndAskedFor() throws {
        let registry = try RegistryProcess(credentials: "me:secret")
        let error = #expect(throws: ConnectorError.self) {
            try Self.convert(try Single(Self.avro, registry, isKey: false))
        }
        #expect(error?.code == "registry_unauthorized" && error?.message.contains("secret") == false)
        let settings = ["basic.auth.credentials.source": "USER_INFO", "basic.auth.user.info": "me:secret"]
        try Self.convert(try Single(Self.avro, registry, isKey: false, settings))
        let address = registry.url.replacing("http://", with: "http://me:secret@")
        try Self.convert(try Single(Self.avro, registry, isKey: false, url: address), Self.two)
    }

    @Test(arguments: [
        ["use.latest.version": "true"], ["scrub.invalid.names": "true"], ["value.subject.name.strategy": "Mine"],
        ["schema.registry.url": ""], ["basic.auth.credentials.source": "SASL_INHERIT"],
        ["schema.registry.url": "ftp://x"], ["schema.registry.ssl.truststore.location": "/etc/ca.pem"],
        ["ssl.keystore.location": "/etc/me.pem"], ["schema.registry.bearer.auth.token": "x"],
        ["proxy.host": "proxy.example.com"],
    ])
    func whatIsNotThereIsRefused(_ properties: [String: String]) throws {
        let registry = try RegistryProcess()
        let error = #expect(throws: ConnectorError.self) {
            _ = try Single(Self.avro, registry, isKey: false, properties)
        }
        #expect(error?.kind == .configuration)
    }
}
