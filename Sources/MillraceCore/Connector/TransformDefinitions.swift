/// A class of Kafka Connect's or Debezium's that stands behind an alias of `transforms` or `predicates`, with its
/// properties.
package struct TransformDefinition: Sendable {
    package var className: String
    package var keys: [ConfigKey]
}

/// The transforms and predicates that events can pass through. What they do is in the module that writes events; here is
/// what a configuration is checked against.
package enum TransformDefinitions {
    package static let transforms: [TransformDefinition] =
        debezium
        + [
            kafka("RegexRouter", [required("regex"), required("replacement")]),
            kafka(
                "TimestampRouter",
                [text("topic.format", "${topic}-${timestamp}"), text("timestamp.format", "yyyyMMdd")]),
            kafka("ValueToKey", [required("fields", .list), replacesNull]),
            kafka("InsertHeader", [required("header"), required("value.literal")]),
            kafka("DropHeaders", [required("headers", .list)]),
            kafka("Filter", []),
        ]
        + halves(
            "InsertField",
            [
                text("topic.field"), text("partition.field"), text("offset.field"), text("timestamp.field"),
                text("static.field"), text("static.value"), replacesNull,
            ])
        + halves(
            "ReplaceField",
            [
                text("exclude", "", .list), text("include", "", .list), text("renames", "", .list), replacesNull,
                text("blacklist", nil, .list), text("whitelist", nil, .list),
            ])
        + halves("MaskField", [required("fields", .list), text("replacement"), replacesNull])
        + halves("ExtractField", [required("field"), fieldSyntax, replacesNull])
        + halves("HoistField", [required("field")])
        + halves("Flatten", [text("delimiter", ".")])
        + halves("Cast", [required("spec", .list), replacesNull])
        + halves(
            "HeaderFrom",
            [
                required("fields", .list), required("headers", .list), required("operation", values: ["move", "copy"]),
                replacesNull,
            ])
        + halves("SetSchemaMetadata", [text("schema.name"), text("schema.version", nil, .int), replacesNull])
        + halves(
            "TimestampConverter",
            [
                text("field", ""), fieldSyntax,
                required("target.type", values: ["string", "unix", "Date", "Time", "Timestamp"]), text("format", ""),
                text(
                    "unix.precision", "milliseconds",
                    values: ["nanoseconds", "microseconds", "milliseconds", "seconds"]),
                replacesNull,
            ])

    package static let predicates: [TransformDefinition] = [
        kafka("predicates.TopicNameMatches", [required("pattern")]),
        kafka("predicates.HasHeaderKey", [required("name")]),
        kafka("predicates.RecordIsTombstone", []),
    ]

    /// Of every transform.
    package static let common = [text("predicate"), flag("negate", false)]

    private static let debezium: [TransformDefinition] = [
        TransformDefinition(
            className: "io.debezium.transforms.ExtractNewRecordState",
            keys: [
                text(
                    "delete.tombstone.handling.mode", "tombstone",
                    values: ["drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"]),
                text("delete.handling.mode", nil, values: ["drop", "rewrite", "none"]), flag("drop.tombstones", nil),
                text("route.by.field", ""), text("add.fields.prefix", "__"), text("add.fields", ""),
                text("add.headers.prefix", "__"), text("add.headers", ""), text("drop.fields.header.name"),
                flag("drop.fields.from.key", false), flag("drop.fields.keep.schema.compatible", true),
                flag("replace.null.with.default", true),
            ]),
        router("ByLogicalTableRouter"), router("ToLogicalTopicRouter"),
        TransformDefinition(className: "io.debezium.transforms.outbox.EventRouter", keys: outbox),
    ]

    private static func router(_ name: String) -> TransformDefinition {
        TransformDefinition(
            className: "io.debezium.transforms.\(name)",
            keys: [
                required("topic.regex"), required("topic.replacement"), flag("key.enforce.uniqueness", true),
                text("key.field.name", "__dbz__physicalTableIdentifier"), text("key.field.regex"),
                text("key.field.replacement"), text("schema.name.adjustment.mode", "none", values: adjustments),
                text("logical.table.cache.size", "16", .int),
            ])
    }

    private static let adjustments = ["none", "avro", "avro_unicode"]

    private static let outbox: [ConfigKey] = [
        text("table.field.event.id", "id"), text("table.field.event.key", "aggregateid"),
        text("table.field.event.type", "type"), text("table.field.event.payload", "payload"),
        text("table.field.event.timestamp"), text("table.field.event.schema.version"),
        text("table.fields.additional.placement"), flag("table.fields.additional.error.on.missing", true),
        flag("table.expand.json.payload", false),
        text("table.json.payload.null.behavior", "ignore", values: ["ignore", "optional_bytes"]),
        text("table.op.invalid.behavior", "warn", values: ["warn", "error", "fatal"]),
        text("route.by.field", "aggregatetype"), text("route.topic.regex", "(?<routedByValue>.*)"),
        text("route.topic.replacement", "outbox.event.${routedByValue}"),
        flag("route.tombstone.on.empty.payload", false),
        text("tracing.span.context.field", "tracingspancontext"), text("tracing.operation.name", "debezium-read"),
        flag("tracing.with.context.field.only", false), flag("tracing.with.context.field.required", false),
    ]

    // MARK: Shorthand

    private static func kafka(_ name: String, _ keys: [ConfigKey]) -> TransformDefinition {
        TransformDefinition(className: "org.apache.kafka.connect.transforms.\(name)", keys: keys)
    }

    private static func halves(_ name: String, _ keys: [ConfigKey]) -> [TransformDefinition] {
        [kafka("\(name)$Key", keys), kafka("\(name)$Value", keys)]
    }

    private static func text(
        _ name: String, _ defaultValue: String? = nil, _ type: ConfigKey.ValueType = .string, values: [String] = []
    ) -> ConfigKey {
        ConfigKey(
            name, type, default: defaultValue, width: .medium, displayName: name, allowedValues: values,
            "See the documentation of the class.")
    }

    private static func flag(_ name: String, _ defaultValue: Bool?) -> ConfigKey {
        text(name, defaultValue.map { String($0) }, .boolean)
    }

    private static func required(
        _ name: String, _ type: ConfigKey.ValueType = .string, values: [String] = []
    ) -> ConfigKey {
        ConfigKey(
            name, type, required: true, importance: .high, width: .medium, displayName: name, allowedValues: values,
            "See the documentation of the class.")
    }

    private static let replacesNull = flag("replace.null.with.default", true)
    private static let fieldSyntax = text("field.syntax.version", "V1", values: ["V1", "V2"])
}
