import AsyncHTTPClient
package import Envelope
import FoundationEssentials
package import MillraceCore
import NIOCore
import NIOHTTP1

/// Confluent's Schema Registry, by its REST interface. Blocks the thread that asks, which it does once per schema.
package final class HTTPSchemaRegistry: SchemaRegistry {
    private let settings: RegistrySettings
    private let timeout: TimeAmount

    /// `timeout`: of one request, in milliseconds.
    package init(_ settings: RegistrySettings, timeout: Int64 = 10_000) {
        self.settings = settings
        self.timeout = .milliseconds(timeout)
    }

    /// For `EventForm.registries`.
    package static let factory: SchemaRegistryFactory = { settings in HTTPSchemaRegistry(settings) }

    package func register(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32 {
        try ask("/subjects/\(Self.encode(subject))/versions", schema, subject)
    }

    package func find(_ schema: RegistrySchema, subject: String) throws(ConnectorError) -> UInt32 {
        try ask("/subjects/\(Self.encode(subject))", schema, subject)
    }

    private struct Query: Encodable {
        var schema: String
        var schemaType: String?
    }

    private struct Answer: Decodable {
        var id: UInt32
    }

    private struct Refusal: Decodable {
        var message: String?
    }

    private func ask(_ path: String, _ schema: RegistrySchema, _ subject: String) throws(ConnectorError) -> UInt32 {
        // Avro is what a registry takes without being told; old ones know nothing else.
        let query = Query(schema: schema.text, schemaType: schema.format == .avro ? nil : schema.format.rawValue)
        let (status, body) = try post(path, query)
        if (200..<300).contains(status), let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) {
            return answer.id
        }
        throw Self.error(status, (try? JSONDecoder().decode(Refusal.self, from: Data(body)))?.message, subject)
    }

    /// The answer of the first registry that has one.
    private func post(_ path: String, _ query: Query) throws(ConnectorError) -> (status: Int, body: [UInt8]) {
        var fault = ""
        for url in settings.urls {
            do {
                let response = try HTTPClient.shared.execute(
                    request: request(url + path, query), deadline: .now() + timeout
                ).wait()
                let status = Int(response.status.code)
                if status < 500 { return (status, response.body.map { Array($0.readableBytesView) } ?? []) }
                fault = "\(url) answers \(status)"
            } catch {
                fault = "\(url): \(error)"
            }
        }
        throw ConnectorError(
            .transient, code: "registry_unreachable", "no schema registry answers: \(fault)",
            hint: "check schema.registry.url and whether the registry runs")
    }

    private func request(_ url: String, _ query: Query) throws -> HTTPClient.Request {
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: "application/vnd.schemaregistry.v1+json")
        headers.add(name: "Accept", value: "application/vnd.schemaregistry.v1+json, application/json")
        if let user = settings.user {
            let credentials = Data("\(user):\(settings.password ?? "")".utf8).base64EncodedString()
            headers.add(name: "Authorization", value: "Basic \(credentials)")
        }
        return try HTTPClient.Request(
            url: url, method: .POST, headers: headers, body: .bytes(Array(JSONEncoder().encode(query))))
    }

    private static func error(_ status: Int, _ message: String?, _ subject: String) -> ConnectorError {
        let said = message.map { ": \($0)" } ?? ""
        switch status {
        case 409:
            return ConnectorError(
                .data, code: "schema_incompatible",
                "the schema registry refuses the schema of \(subject), which does not fit its earlier versions\(said)",
                hint: "PUT /config/\(subject) {\"compatibility\": \"NONE\"} at the registry lets it pass",
                foreignCode: "409")
        case 401, 403:
            return ConnectorError(
                .configuration, code: "registry_unauthorized", "the schema registry refuses us (\(status))\(said)",
                hint:
                    "set basic.auth.credentials.source=USER_INFO and basic.auth.user.info=<user>:<password> of the converter",
                foreignCode: String(status))
        case 404:
            return ConnectorError(
                .configuration, code: "schema_missing", "the schema registry has no such schema of \(subject)\(said)",
                hint: "register it, or set auto.register.schemas=true", foreignCode: "404")
        case 429:
            return ConnectorError(
                .transient, code: "registry_unreachable", "the schema registry asks for patience\(said)",
                foreignCode: "429")
        default:
            return ConnectorError(
                .data, code: "schema_refused",
                "the schema registry refuses the schema of \(subject) (\(status))\(said)",
                foreignCode: String(status))
        }
    }

    /// One segment of a path (RFC 3986: everything but unreserved characters is encoded).
    private static func encode(_ subject: String) -> String {
        var text = ""
        for byte in subject.utf8 {
            let isLetter = (byte | 0x20) &- 0x61 < 26 && byte < 0x80
            if isLetter || byte &- 0x30 < 10 || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += byte < 16 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return text
    }
}
