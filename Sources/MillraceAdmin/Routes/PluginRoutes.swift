import MillraceCore
import MillraceRuntime

/// `/connector-plugins`: the classes there are, their properties, and validation.
struct PluginRoutes: Sendable {
    let worker: Worker
    let checker: ConfigChecker

    var routes: [Route] {
        [
            Route("connector-plugins", [.get(list)]),
            Route("connector-plugins/*/config", [.get(definition)]),
            Route("connector-plugins/*/config/validate", [.put(takesBody: true, validate)]),
        ]
    }

    @Sendable private func list(_ request: AdminRequest, _: [String]) async throws -> AdminResponse {
        var plugins: [JSONTree] = []
        func add(_ name: String, _ type: String) {
            plugins.append(["class": .string(name), "type": .string(type), "version": .string(worker.version)])
        }
        for plugin in checker.plugins.plugins {
            for name in [plugin.className] + plugin.aliases { add(name, plugin.type.rawValue) }
        }
        if !request.queryFlag("connectorsOnly", default: true) {
            add(CommonProperties.jsonConverter, "converter")
            add(CommonProperties.headerConverter, "header_converter")
        }
        return .json(.array(plugins))
    }

    @Sendable private func definition(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        if captures[0] == CommonProperties.jsonConverter || captures[0] == "JsonConverter" {
            return .json(.array(ConverterProperties.json.map { Self.document($0) }))
        }
        guard let plugin = checker.plugins[captures[0]] else {
            throw AdminError(404, "Unknown plugin \(captures[0]).")
        }
        let common = ConfigValidation.commonKeys(isSource: plugin.type == .source, version: worker.version)
        // What Kafka Connect fills in for converters when it validates is no part of the definition.
        let plain = common.map { key in
            var key = key
            if key.name.contains(".converter") { key.defaultValue = nil }
            return key
        }
        let names = Set(plugin.definition.keys.map(\.name))
        return .json(
            .array((plugin.definition.keys + plain.filter { !names.contains($0.name) }).map { Self.document($0) }))
    }

    @Sendable private func validate(_ request: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        var config = try ConfigReader.config(try request.json(), of: "The configuration")
        let plugin = try checker.plugin(config)
        let named = config["connector.class"] ?? ""
        guard checker.plugins[captures[0]]?.className == plugin.className else {
            throw AdminError.badRequest(
                "Included connector type \(named) does not match request type \(captures[0])")
        }
        let stored = config["name"] == nil ? nil : try? await worker.info(config["name"] ?? "")
        config = try checker.mask(config).unmasked(config, stored: stored?.config.values ?? [:])
        let report = try await checker.preflight(try checker.properties(config), config)
        return .json(Self.document(report, mask: checker.mask(config)))
    }

    private static func document(_ report: ConfigReport, mask: SecretMask) -> JSONTree {
        [
            "name": .string(report.name), "error_count": .int(Int64(report.errors.count)),
            "groups": .texts(report.groups),
            "configs": .array(
                report.entries.map { entry in
                    [
                        "definition": document(entry.key),
                        "value": [
                            "name": .string(entry.key.name),
                            "value": .text(entry.value.map { mask.masked(entry.key.name, $0) }),
                            "recommended_values": .texts(entry.recommendedValues), "errors": .texts(entry.errors),
                            "visible": .bool(entry.isVisible),
                        ],
                    ]
                }),
        ]
    }

    private static func document(_ key: ConfigKey) -> JSONTree {
        [
            "name": .string(key.name), "type": .string(key.type.rawValue), "required": .bool(key.isRequired),
            "default_value": .text(key.defaultValue), "importance": .string(key.importance.rawValue),
            "documentation": .string(key.documentation), "group": .text(key.group),
            "order_in_group": .int(Int64(key.orderInGroup)), "width": .string(key.width.rawValue),
            "display_name": .string(key.displayName), "dependents": .texts(key.dependents),
        ]
    }
}

/// The properties of the converters that there are.
enum ConverterProperties {
    static let json: [ConfigKey] = [
        ConfigKey(
            "converter.type", .string, required: true, importance: .low, "Whether keys or values are converted."),
        ConfigKey(
            "schemas.enable", .boolean, default: "true", importance: .high, group: "Schemas", order: 0, width: .medium,
            displayName: "Enable Schemas", "Whether every event carries its schema."),
        ConfigKey(
            "schemas.cache.size", .int, default: "1000", importance: .high, group: "Schemas", order: 1, width: .medium,
            displayName: "Schema Cache Size", "Schemas that Kafka Connect keeps in memory."),
        ConfigKey(
            "schema.content", .string, importance: .high, group: "Schemas", order: 2, width: .medium,
            displayName: "Schema Content", "A schema for all events, which then do not carry one."),
        ConfigKey(
            "decimal.format", .string, default: "BASE64", importance: .low, group: "Serialization", order: 0,
            width: .medium, displayName: "Decimal Format", "How decimals are written: BASE64 or NUMERIC."),
        ConfigKey(
            "replace.null.with.default", .boolean, default: "true", importance: .low, group: "Serialization", order: 1,
            width: .medium, displayName: "Replace null with default",
            "Whether a null is written as the default of its field."),
    ]
}
