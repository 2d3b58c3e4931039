import MillraceCore

/// The transforms and predicates there are, by the names of their Java classes. `TransformDefinitions` has their
/// properties, for validation; a test compares the two.
enum TransformClasses {
    static func transform(_ className: String, _ config: StepConfig) throws(ConnectorError) -> any Transform {
        if let name = className.suffix(behind: "io.debezium.transforms.") {
            switch name {
            case "ExtractNewRecordState": return try ExtractNewRecordState(config)
            case "ByLogicalTableRouter", "ToLogicalTopicRouter": return try ByLogicalTableRouter(config)
            case "outbox.EventRouter": return try EventRouter(config)
            default: break
            }
        }
        if let name = className.suffix(behind: "org.apache.kafka.connect.transforms.") {
            if let transform = try wholeRecord(name, config) { return transform }
            let parts = name.split(separator: "$")
            if parts.count == 2, parts[1] == "Key" || parts[1] == "Value",
                let transform = try halfRecord(String(parts[0]), parts[1] == "Key" ? .key : .value, config)
            {
                return transform
            }
        }
        throw config.invalid(
            "type",
            "Class \(className) could not be found. Available here: "
                + TransformDefinitions.transforms.map(\.className).joined(separator: ", "))
    }

    private static func wholeRecord(_ name: String, _ config: StepConfig) throws(ConnectorError) -> (any Transform)? {
        switch name {
        case "RegexRouter": try RegexRouter(config)
        case "TimestampRouter": try TimestampRouter(config)
        case "ValueToKey": try ValueToKey(config)
        case "InsertHeader": try InsertHeader(config)
        case "DropHeaders": try DropHeaders(config)
        case "Filter": Filter()
        default: nil
        }
    }

    private static func halfRecord(
        _ name: String, _ half: RecordHalf, _ config: StepConfig
    ) throws(ConnectorError) -> (any Transform)? {
        switch name {
        case "InsertField": try InsertField(config, half)
        case "ReplaceField": try ReplaceField(config, half)
        case "MaskField": try MaskField(config, half)
        case "ExtractField": try ExtractField(config, half)
        case "HoistField": try HoistField(config, half)
        case "Flatten": try Flatten(config, half)
        case "Cast": try Cast(config, half)
        case "HeaderFrom": try HeaderFrom(config, half)
        case "SetSchemaMetadata": try SetSchemaMetadata(config, half)
        case "TimestampConverter": try TimestampConverter(config, half)
        default: nil
        }
    }

    static func predicate(_ className: String, _ config: StepConfig) throws(ConnectorError) -> any Predicate {
        switch className.suffix(behind: "org.apache.kafka.connect.transforms.predicates.") {
        case "TopicNameMatches": return try TopicNameMatches(config)
        case "HasHeaderKey": return try HasHeaderKey(config)
        case "RecordIsTombstone": return RecordIsTombstone()
        default:
            throw config.invalid(
                "type",
                "Class \(className) could not be found. Available here: "
                    + TransformDefinitions.predicates.map(\.className).joined(separator: ", "))
        }
    }
}
