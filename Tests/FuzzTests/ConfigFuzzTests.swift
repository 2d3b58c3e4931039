import FileConnector
import Logging
import MillraceAdmin
import MillraceCore
import MillraceRuntime
import Testing

@testable import PostgresConnector

/// Configuration: every property of every connector with hostile values, regular expressions and URLs; JSON text.
@Suite struct ConfigFuzzTests {
    private static let plugins: [any ConnectorPlugin] = [
        PostgresSourcePlugin(), PostgresSinkPlugin(), FileSinkPlugin(),
    ]

    private static let values = [
        "", " ", "0", "-1", "1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e309", "0x10",
        "١٢",
        "true", "TRUE ", "nul", "\u{0}", "a\u{0}b", "\u{FEFF}", "🐘", "'; drop table t; --", "\"", "\\", "\\,", ",",
        ",,,",
        ".*", "(", ")", "[", "a{999999999}", "(a*)*b", "(?<n>", "(?i)", "\\p{", "\\1", "^$", "public\\.t,(", "a,b\\,c",
        "*",
        "/", "../../etc", "file:///etc/passwd", "postgresql://", "postgresql://[::1", "postgresql://h:99999999999/d",
        "jdbc:postgresql://h/d?a=%", "postgresql://u:p@h:1/d?sslmode=\u{0}", "host=/tmp port=-1", "%", "%ZZ",
        "${file:/x:y}",
        "org.apache.kafka.connect.json.JsonConverter", "a.b.C", "t:[a", "public.t:id;x", "inventory.t:,;", "0/0",
        "FFFFFFFF/1",
        "UTC", "precise", "initial", "2147483648", String(repeating: "9", count: 5000),
        String(repeating: "(", count: 3000),
        String(repeating: "a|", count: 3000),
    ]

    private func valid(_ plugin: any ConnectorPlugin) -> [String: String] {
        [
            "connector.class": plugin.className, "topic.prefix": "p", "database.hostname": "127.0.0.1",
            "database.user": "u", "database.dbname": "d", "database.port": "1", "source": "s", "path": "/nowhere",
            "connection.url": "postgresql://127.0.0.1:1/d",
        ]
    }

    /// Every property, with a few of the values each time.
    @Test func everyPropertyTakesOrRefusesAnyValue() {
        var random = FuzzRandom(seed: Fuzz.seed)
        for plugin in Self.plugins {
            let keys = (plugin.definition.keys + plugin.definition.unlistedKeys).map(\.name)
            let common = ["topics", "topics.regex", "transforms", "predicates", "key.converter", "tasks.max", "name"]
            for name in keys + common {
                for value in Self.values.shuffled(using: &random).prefix(6 * Fuzz.factor) {
                    use(plugin, valid(plugin).merging([name: value]) { $1 })
                }
            }
        }
    }

    @Test func severalPropertiesOfAnyTextAreTakenOrRefused() {
        Fuzz.cases(500) { random in
            let plugin = random.pick(Self.plugins)
            let keys = (plugin.definition.keys + plugin.definition.unlistedKeys).map(\.name)
            var config = valid(plugin)
            for _ in 0..<random.number(1...5) {
                let text = random.mutate(
                    Array(random.pick(Self.values).utf8.prefix(200)),
                    other: Array(random.pick(Self.values).utf8.prefix(200)),
                    alphabet: Array("\\.*()[]{}|,:;/?=%&\"'".utf8))
                config[random.pick(keys)] = String(decoding: text, as: UTF8.self)
            }
            use(plugin, config)
        }
    }

    /// Everything that is done with a configuration before anything is connected to.
    private func use(_ plugin: any ConnectorPlugin, _ values: [String: String]) {
        let config = ConnectorConfig(values)
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        let context = TaskContext(connectorName: "c", taskID: 0, logger: logger)
        let checker = ConfigChecker(plugins: PluginRegistry(Self.plugins), version: "0")
        _ = try? checker.properties(values)
        _ = checker.mask(values).masked(values)
        if let source = plugin as? any SourcePlugin {
            _ = source.topicPrefix(config)
            _ = try? source.makeSource(config, context)
        }
        if let sink = plugin as? any SinkPlugin {
            let description = SourceDescription(connectorName: "s", topicPrefix: "p", config: config)
            let topics = values["topics.regex"].map { TopicSelection.pattern($0) } ?? .all
            _ = try? sink.makeSink(config, source: description, topics: topics, context)
            if let matcher = try? topics.makeMatcher() { _ = matcher("p.public.t") }
        }
        for value in values.values where value.utf8.count < 400 {
            if let list = try? PatternList(value, nameDots: 1) { _ = list.matches("public.orders") }
            _ = PatternList.problem(in: value)
        }
    }

    @Test func jsonOfAnyBytesIsReadOrRefused() {
        let texts = [
            #"{"name":"a","config":{"b":1.5e-10,"c":[true,false,null,{}],"d":"\u00e9\ud83d\ude00\n"}}"#, "[]", "1",
            "\"x\"",
            #"[[[[[[[[[[[[[[[[[[[[[[{"a":-0}]]]]]]]]]]]]]]]]]]]]]]"#,
            #"{"offsets":[{"partition":{},"offset":{"lsn":1}}]}"#,
        ].map { Array($0.utf8) }
        let alphabet = Array("{}[]\",:\\u0123456789eE+-.tfn dD8cC\u{0}".utf8)
        Fuzz.cases(10_000) { random in
            let text = random.mutate(random.pick(texts), other: random.pick(texts), alphabet: alphabet)
            _ = try? JSONParser.parse(text)
        }
        for part in ["[", "{\"a\":", "\"", "\\", "-", "1", " "] {
            _ = try? JSONParser.parse(Array(String(repeating: part, count: 100_000).utf8))
        }
    }
}
