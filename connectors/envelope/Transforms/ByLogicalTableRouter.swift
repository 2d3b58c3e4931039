import MillraceCore

/// Debezium's `ByLogicalTableRouter`: several tables' events in one topic, with the table made part of the key.
final class ByLogicalTableRouter: Transform {
    private struct Route {
        let topic: String
        /// What the key says of the table; nil where the key stays as it is.
        let identifier: ConnectValue?
    }

    private let pattern: JavaPattern
    private let replacement: String
    private let keyField: String?
    private let keyPattern: JavaPattern?
    private let keyReplacement: String
    private let adjustment: NameAdjustment
    private var routes: [String: Route?] = [:]
    private var keySchemas: [String: SchemaCache<ConnectSchema>] = [:]
    private var envelopes: [String: SchemaCache<ConnectSchema>] = [:]

    init(_ config: StepConfig) throws(ConnectorError) {
        pattern = try config.pattern("topic.regex", try config.required("topic.regex"))
        replacement = try config.required("topic.replacement")
        let isUnique = try config.flag("key.enforce.uniqueness", true)
        keyField = isUnique ? config.text("key.field.name") ?? "__dbz__physicalTableIdentifier" : nil
        if let text = config.text("key.field.regex") {
            keyPattern = try config.pattern("key.field.regex", text)
            keyReplacement = try config.required("key.field.replacement")
        } else {
            keyPattern = nil
            keyReplacement = ""
        }
        adjustment = try config.choice("schema.name.adjustment.mode", .none)
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        guard let route = route(record.topic) else { return record }
        var record = record
        record.topic = route.topic
        if let schema = record.keySchema {
            var values = try record.key.structure("Updating schema")
            if let identifier = route.identifier { values.append(identifier) }
            record.keySchema = try keySchemas[route.topic, default: SchemaCache()].plan(for: schema) {
                schema throws(ConnectorError) in keySchema(schema, route)
            }
            record.key = .structure(values)
        }
        if let schema = record.valueSchema, !record.value.isNull {
            _ = try record.value.structure("Updating schema")
            record.valueSchema = try envelopes[route.topic, default: SchemaCache()].plan(for: schema) {
                schema throws(ConnectorError) in envelopeSchema(schema, route.topic)
            }
        }
        return record
    }

    /// Nil: the topic stays.
    private func route(_ topic: String) -> Route? {
        if let known = routes[topic] { return known }
        var route: Route?
        if let new = pattern.replacingWhole(topic, with: replacement), !new.isEmpty {
            let identifier = keyField.map { _ in
                ConnectValue.string(keyPattern?.replacingWhole(topic, with: keyReplacement) ?? topic)
            }
            route = Route(topic: new, identifier: identifier)
        }
        if routes.count >= 65_536 { routes.removeAll() }
        routes[topic] = route
        return route
    }

    private func keySchema(_ schema: ConnectSchema, _ route: Route) -> ConnectSchema {
        var fields = schema.fields
        if let keyField { fields.append(ConnectField(keyField, .string)) }
        return schema.with(kind: .structure(fields), name: .some(adjustment.schemaName("\(route.topic).Key")))
    }

    private func envelopeSchema(_ schema: ConnectSchema, _ topic: String) -> ConnectSchema {
        let fields = schema.fields.map { field in
            guard field.name == "before" || field.name == "after" else { return field }
            let name = adjustment.schemaName("\(topic).Value")
            return ConnectField(field.name, field.schema.with(name: .some(name)))
        }
        return schema.with(kind: .structure(fields), name: .some(adjustment.schemaName("\(topic).Envelope")))
    }
}
