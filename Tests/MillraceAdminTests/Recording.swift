import Foundation
import MillraceAdmin

/// One request and what Kafka Connect answered.
struct Recording: Sendable {
    var number: Int
    var name: String
    var method: String
    var path: String
    var headers: [String: String] = [:]
    var body: String?
    var status: Int
    var contentType: String?
    var location: String?
    var allow: String?
    /// Nil for an empty answer and for one that is no JSON.
    var answer: JSONDocument?
    var isJSON: Bool
    /// Whether all that an offset says is compared, or only that it has an LSN.
    var comparesPositions = true

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Recordings")

    /// All of them, in the order in which they were sent.
    /// `port`: of the database, in place of the recorder's.
    static func all(port: Int = 56432) throws -> [Recording] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".json") }.sorted().map { file in
                let data = try Data(contentsOf: folder.appendingPathComponent(file))
                let text = String(decoding: data, as: UTF8.self).replacing("56432", with: "\(port)")
                return Recording(file: file, try JSONParser.parse(Array(text.utf8)))
            }
    }

    private init(file: String, _ document: JSONDocument) {
        number = Int(file.prefix(3)) ?? 0
        name = String(file.dropLast(5))
        let request = document["request"]
        method = request?["method"].text ?? ""
        path = request?["path"].text ?? ""
        if case .object(let members) = request?["headers"] ?? .null {
            for member in members { headers[member.name] = Optional(member.value).text }
        }
        body = request?["body_text"].text ?? request?["body"].map { JSONText.string($0.tree) }
        let response = document["response"]
        status = Int(response?["status"].text ?? "") ?? 0
        contentType = response?["headers"]?["Content-Type"].text
        location = response?["headers"]?["Location"].text
        allow = response?["headers"]?["Allow"].text
        isJSON = response?["not_json"] == nil
        answer = response?["body"].flatMap { $0 == .null || !isJSON ? nil : $0 }
    }
}

extension JSONDocument? {
    var text: String? {
        switch self {
        case .string(let text), .number(let text): text
        default: nil
        }
    }
}
