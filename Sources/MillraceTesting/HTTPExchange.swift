import Foundation
import Glibc

/// One HTTP/1.1 request on a connection of its own, and its answer. Blocks; needs nothing but a socket.
package struct HTTPResponse: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: String

    /// The body as JSON; null where it is none.
    package var json: JSONNode { JSONNode(parsing: body) }
}

/// Sends `body` as `application/json` unless `headers` say otherwise.
package func exchangeHTTP(
    _ method: String, port: Int, _ path: String, body: String? = nil, headers: [String: String] = [:],
    timeout: Duration = .seconds(30)
) throws -> HTTPResponse {
    let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard handle >= 0 else { throw TestFailure("no socket: errno \(errno)") }
    defer { close(handle) }
    var limit = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        setsockopt(handle, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard connected == 0 else { throw TestFailure("nobody listens on port \(port)") }

    var fields = ["Host": "127.0.0.1:\(port)", "Connection": "close", "Accept": "application/json"]
    if let body {
        fields["Content-Type"] = "application/json"
        fields["Content-Length"] = "\(body.utf8.count)"
    }
    for (name, value) in headers { fields[name] = value }
    let head = "\(method) \(path) HTTP/1.1\r\n" + fields.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
    try sendAll(handle, Array((head + (body ?? "")).utf8))
    return try parseHTTP(try receiveAll(handle), "\(method) \(path)")
}

private func sendAll(_ handle: Int32, _ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
        let count = bytes[offset...].withUnsafeBytes {
            send(handle, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { throw TestFailure("the server hung up while a request was sent") }
        offset += count
    }
}

private func receiveAll(_ handle: Int32) throws -> [UInt8] {
    var answer: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = recv(handle, &part, part.count, 0)
        if count == 0 { return answer }
        guard count > 0 else {
            if answer.isEmpty { throw TestFailure("no answer: errno \(errno)") }
            return answer
        }
        answer.append(contentsOf: part[..<count])
    }
}

private func parseHTTP(_ bytes: [UInt8], _ what: String) throws -> HTTPResponse {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.range(of: "\r\n\r\n") else { throw TestFailure("\(what): not HTTP: \(text.prefix(200))") }
    let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
        throw TestFailure("\(what): not HTTP: \(text.prefix(200))")
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
        guard let colon = line.firstIndex(of: ":") else { continue }
        headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    var body = String(text[end.upperBound...])
    if headers["transfer-encoding"]?.lowercased() == "chunked" { body = joinChunks(Array(body.utf8)) }
    return HTTPResponse(status: status, headers: headers, body: body)
}

private func joinChunks(_ bytes: [UInt8]) -> String {
    var joined: [UInt8] = []
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 0x0A) {
        let line = String(decoding: rest[rest.startIndex..<end], as: UTF8.self).trimmingCharacters(in: .whitespaces)
        guard let size = Int(line, radix: 16), size > 0, rest.distance(from: end, to: rest.endIndex) > size else {
            break
        }
        let start = end + 1
        joined.append(contentsOf: rest[start..<start + size])
        rest = rest[(start + size)...].dropFirst(2)
    }
    return String(decoding: joined, as: UTF8.self)
}

/// A JSON value to be looked into by tests: what is not there is null.
package struct JSONNode: CustomStringConvertible {
    private let value: Any?

    package init(parsing text: String) {
        value = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
    }

    private init(_ value: Any?) {
        self.value = value
    }

    package subscript(name: String) -> JSONNode { JSONNode((value as? [String: Any])?[name]) }

    package subscript(index: Int) -> JSONNode {
        let list = value as? [Any] ?? []
        return JSONNode(list.indices.contains(index) ? list[index] : nil)
    }

    package var string: String? { value as? String }
    package var int: Int? { (value as? NSNumber)?.intValue }
    package var bool: Bool? { value as? Bool }
    package var array: [JSONNode] { (value as? [Any] ?? []).map { JSONNode($0) } }
    package var keys: [String] { (value as? [String: Any]).map { $0.keys.sorted() } ?? [] }
    package var isNull: Bool { value == nil || value is NSNull }
    package var description: String { value.map { "\($0)" } ?? "null" }
}

/// JSON text of a flat object, as connectors are configured.
package func jsonText(_ object: [String: String]) -> String {
    let data = (try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])) ?? Data()
    return String(decoding: data, as: UTF8.self)
}
