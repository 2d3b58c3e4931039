import ArgumentParser
import Glibc
import MillraceAdmin
import MillraceRuntime

/// Talks to a running server: one request per connection, which is plenty for a command line.
struct RestClient {
    struct Answer {
        var status: Int
        var body: [UInt8]

        var document: JSONDocument { (try? JSONParser.parse(body)) ?? .null }
    }

    private let host: String
    private let port: Int

    /// `http://HOST:PORT`.
    init(_ url: String) throws {
        guard url.hasPrefix("http://") else { throw ValidationError("--server must begin with http://") }
        let address = url.dropFirst(7).split(separator: "/").first.map(String.init) ?? ""
        do {
            (host, port) = try ServerSettings.address(address)
        } catch {
            throw ValidationError("--server: \(error)")
        }
    }

    /// Sends a request and checks its answer: an error document becomes a message and exit code 1.
    func send(_ method: String, _ path: String, body: JSONTree? = nil) throws -> Answer {
        guard let answer = exchange(method, path, body: body) else {
            Output.error("no answer from http://\(host):\(port): is the server running?")
            throw ExitCode.noServer
        }
        guard (200..<300).contains(answer.status) else {
            if case .string(let message) = answer.document["message"] ?? .null {
                Output.error(message)
            } else {
                Output.error("the server answered \(answer.status)")
            }
            throw ExitCode.failure
        }
        return answer
    }

    private func exchange(_ method: String, _ path: String, body: JSONTree?) -> Answer? {
        let file = connectedSocket()
        guard file >= 0 else { return nil }
        defer { close(file) }
        let bytes = body.map { JSONText.bytes($0) } ?? []
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host):\(port)\r\nAccept: application/json\r\n"
        head += "Connection: close\r\nContent-Length: \(bytes.count)\r\n"
        if !bytes.isEmpty { head += "Content-Type: application/json\r\n" }
        var rest = (Array(head.utf8) + [13, 10] + bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return nil }
        }
        return Self.answer(receiveAll(file))
    }

    private func connectedSocket() -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0 else { return -1 }
        defer { freeaddrinfo(found) }
        var next = found
        while let address = next?.pointee {
            let file = socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
            if file >= 0 {
                if connect(file, address.ai_addr, address.ai_addrlen) == 0 { return file }
                close(file)
            }
            next = address.ai_next
        }
        return -1
    }

    private func receiveAll(_ file: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(file, &buffer, buffer.count, 0)
            if count > 0 { bytes += buffer[..<count] } else if count == 0 || errno != EINTR { return bytes }
        }
    }

    /// Nil where the bytes are no HTTP answer.
    static func answer(_ bytes: [UInt8]) -> Answer? {
        guard let end = bytes.firstRange(of: "\r\n\r\n".utf8) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        let isChunked = lines.contains { $0.lowercased() == "transfer-encoding: chunked" }
        let body = bytes[end.upperBound...]
        return Answer(status: status, body: isChunked ? unchunked(body) : Array(body))
    }

    private static func unchunked(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var rest = bytes
        var body: [UInt8] = []
        while let line = rest.firstRange(of: "\r\n".utf8) {
            let size = String(decoding: rest[..<line.lowerBound], as: UTF8.self).split(separator: ";").first ?? ""
            guard let count = Int(size, radix: 16), count > 0, count <= rest[line.upperBound...].count else { break }
            body += rest[line.upperBound...].prefix(count)
            rest = rest[line.upperBound...].dropFirst(count + 2)
        }
        return body
    }
}
