import MillraceCore

/// One setting of librdkafka.
struct ProducerProperty: Hashable {
    var name: String
    var value: String
    /// The connector's property that it comes from, for messages.
    var origin: String

    init(_ name: String, _ value: String, origin: String? = nil) {
        self.name = name
        self.value = value
        self.origin = origin ?? name
    }

    /// Values of these are not repeated in messages.
    var isSecret: Bool { ["password", "pem", "secret", "jaas", "oauthbearer.config"].contains { name.contains($0) } }
}

/// The connector's `producer.*` as librdkafka's settings. Names of the Java client that librdkafka has under another name
/// are translated; those that mean nothing here are left out with a word; the rest is librdkafka's to judge.
struct ProducerProperties {
    private(set) var list: [ProducerProperty] = []
    private(set) var warnings: [ConfigFinding] = []

    /// `producer.override.x` (Kafka Connect's) and `producer.x` are the same; the latter counts where both are there.
    init(_ config: ConnectorConfig) throws(ConnectorError) {
        var names: [String: String] = [:]
        for origin in config.values.keys.sorted() where origin.hasPrefix("producer.") {
            let isOverride = origin.hasPrefix("producer.override.")
            let name = String(origin.dropFirst(isOverride ? 18 : 9))
            if name.isEmpty || (isOverride && config["producer.\(name)"] != nil) { continue }
            names[name] = origin
        }
        for (name, origin) in names.sorted(by: { $0.key < $1.key }) {
            try add(name, (config[origin] ?? "").trimmed, origin)
        }
    }

    subscript(name: String) -> String? { list.last { $0.name == name }?.value }

    /// Sets what the configuration has left open.
    mutating func setDefault(_ name: String, _ value: String, unless others: [String] = []) {
        guard !list.contains(where: { $0.name == name || others.contains($0.name) }) else { return }
        list.append(ProducerProperty(name, value))
    }

    private mutating func add(_ name: String, _ value: String, _ origin: String) throws(ConnectorError) {
        if let reason = Self.meaningless[name] {
            warnings.append(ConfigFinding(origin, "\(origin): has no effect: \(reason)", severity: .warning))
            return
        }
        if let hint = Self.impossible[name] {
            // Stores in PEM or PKCS#12 can be had under librdkafka's names; what Java writes cannot be read.
            throw ConnectorError(
                .configuration, code: "invalid_property", "\(origin): is for the Java client only; \(hint)")
        }
        switch name {
        case "max.request.size": set("message.max.bytes", value, origin)
        case "send.buffer.bytes": set("socket.send.buffer.bytes", value == "-1" ? "0" : value, origin)
        case "receive.buffer.bytes": set("socket.receive.buffer.bytes", value == "-1" ? "0" : value, origin)
        case "buffer.memory":
            guard let bytes = Int(value), bytes > 0 else { throw Self.invalid(origin, "a number of bytes is expected") }
            set("queue.buffering.max.kbytes", String(max(bytes / 1024, 1)), origin)
        case "partitioner.class": try addPartitioner(value, origin)
        case "sasl.jaas.config": try addLogin(value, origin)
        case "ssl.keystore.type", "ssl.truststore.type":
            guard value.uppercased() == "PEM" || (name == "ssl.keystore.type" && value.uppercased() == "PKCS12") else {
                throw Self.invalid(origin, "\(value) stores cannot be read; use PEM files")
            }
        case "ssl.truststore.location": set("ssl.ca.location", value, origin)
        case "ssl.truststore.certificates": set("ssl.ca.pem", value, origin)
        case "ssl.keystore.certificate.chain": set("ssl.certificate.pem", value, origin)
        case "ssl.keystore.key": set("ssl.key.pem", value, origin)
        case "ssl.endpoint.identification.algorithm": set(name, value.isEmpty ? "none" : value, origin)
        default: set(name, value, origin)
        }
    }

    private mutating func set(_ name: String, _ value: String, _ origin: String) {
        list.append(ProducerProperty(name, value, origin: origin))
    }

    private mutating func addPartitioner(_ value: String, _ origin: String) throws(ConnectorError) {
        // The Java client's own way is the default here.
        let isDefault = [
            "", "org.apache.kafka.clients.producer.internals.DefaultPartitioner",
            "org.apache.kafka.clients.producer.UniformStickyPartitioner",
        ].contains(value)
        guard isDefault else {
            throw Self.invalid(
                origin,
                "the class \(value) cannot be loaded; producer.partitioner takes librdkafka's: murmur2_random (the Java "
                    + "client's way), consistent_random, random, fnv1a_random")
        }
        set("partitioner", "murmur2_random", origin)
    }

    /// `…ScramLoginModule required username="…" password="…";`
    private mutating func addLogin(_ value: String, _ origin: String) throws(ConnectorError) {
        guard value.contains("PlainLoginModule") || value.contains("ScramLoginModule"),
            let user = Self.option("username", in: value), let password = Self.option("password", in: value)
        else {
            throw Self.invalid(
                origin,
                "only PlainLoginModule and ScramLoginModule with username and password are understood; otherwise use "
                    + "librdkafka's producer.sasl.* properties")
        }
        set("sasl.username", user, origin)
        set("sasl.password", password, origin)
    }

    /// The value of `name="value"`, in which a backslash takes the next character as it is.
    static func option(_ name: String, in text: String) -> String? {
        guard let found = text.firstRange(of: try? Regex("\(name)\\s*=\\s*\"")) else { return nil }
        var value = ""
        var isEscaped = false
        for character in text[found.upperBound...] {
            if isEscaped {
                value.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                return value
            } else {
                value.append(character)
            }
        }
        return nil
    }

    private static func invalid(_ origin: String, _ reason: String) -> ConnectorError {
        ConnectorError(.configuration, code: "invalid_property", "\(origin): \(reason)")
    }

    private static let meaningless: [String: String] = [
        "key.serializer": "key.converter says how keys look",
        "value.serializer": "value.converter says how values look",
        "interceptor.classes": "Java classes cannot be loaded",
        "metric.reporters": "metrics are at /metrics",
        "metrics.num.samples": "metrics are at /metrics",
        "metrics.recording.level": "metrics are at /metrics",
        "metrics.sample.window.ms": "metrics are at /metrics",
        "auto.include.jmx.reporter": "metrics are at /metrics",
        "enable.metrics.push": "metrics are at /metrics",
        "max.block.ms": "a full queue waits for as long as it takes",
        "client.dns.lookup": "all addresses of a name are used",
        "partitioner.adaptive.partitioning.enable": "records without a key are spread evenly",
        "partitioner.availability.timeout.ms": "records without a key are spread evenly",
        "partitioner.ignore.keys": "keys choose the partition",
        "ssl.protocol": "OpenSSL chooses", "ssl.enabled.protocols": "OpenSSL chooses",
        "ssl.provider": "OpenSSL is used", "ssl.secure.random.implementation": "OpenSSL is used",
        "ssl.trustmanager.algorithm": "OpenSSL is used", "ssl.keymanager.algorithm": "OpenSSL is used",
        "metadata.max.idle.ms": "topics are kept for as long as the task runs",
        "reconnect.backoff.jitter.ms": "pauses vary by themselves",
    ]

    private static let impossible: [String: String] = [
        "ssl.truststore.password": "give the authorities as a PEM file in producer.ssl.ca.location",
        "sasl.login.class": "use librdkafka's producer.sasl.* properties",
        "sasl.login.callback.handler.class": "use librdkafka's producer.sasl.oauthbearer.* properties",
        "sasl.client.callback.handler.class": "use librdkafka's producer.sasl.* properties",
        "ssl.engine.factory.class": "use librdkafka's producer.ssl.* properties",
        "security.providers": "use librdkafka's producer.ssl.* properties",
    ]
}

extension String {
    fileprivate func firstRange(of pattern: Regex<AnyRegexOutput>?) -> Range<String.Index>? {
        pattern.flatMap { firstMatch(of: $0)?.range }
    }
}
