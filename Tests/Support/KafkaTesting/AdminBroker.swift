import Glibc
import MillraceCore
import MillraceTesting

/// A broker that knows as much of Kafka's protocol as creating topics takes (ApiVersions 0, Metadata 1, CreateTopics 2): the
/// mock cluster does not.
package final class AdminBroker: Sendable {
    package struct Topic: Hashable, Sendable {
        package var name: String
        package var partitions: Int32
        package var replicationFactor: Int16
        package var config: [String: String]
    }

    private struct State {
        var created: [Topic] = []
        var connections: [Int32] = []
    }

    package let port: Int
    private let answer: Int16
    private let listener: Int32
    private let state = Monitor(State())

    package var bootstrapServers: String { "127.0.0.1:\(port)" }
    /// What was asked for.
    package var created: [Topic] { state.read { $0.created } }

    /// `answer`: the code of the protocol that every topic gets.
    package init(answer: Int16 = 0) throws {
        self.answer = answer
        port = try freePort()
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound, listen(listener, 8) == 0 else { throw TestFailure("cannot listen: errno \(errno)") }
        let (incoming, shared, number) = (listener, state, port)
        _ = WorkerThread("admin-broker") {
            while true {
                let connection = accept(incoming, nil, nil)
                if connection < 0 { return }
                shared.update { $0.connections.append(connection) }
                _ = WorkerThread("admin-client") { AdminBroker.serve(connection, number, answer, shared) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for connection in state.read({ $0.connections }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    private static func serve(_ connection: Int32, _ port: Int, _ answer: Int16, _ state: Monitor<State>) {
        defer { close(connection) }
        while let length = read(connection, 4) {
            var size = Input(length)
            guard let request = read(connection, Int(size.int32())) else { return }
            var input = Input(request)
            let (key, version, correlation) = (input.int16(), input.int16(), input.int32())
            _ = input.text()
            var output = Output()
            output.append(correlation)
            switch key {
            case 18:
                // What is not version 0 is answered with version 0 and UNSUPPORTED_VERSION.
                output.append(Int16(version == 0 ? 0 : 35))
                output.append(Int32(3))
                for (key, version) in [(Int16(3), Int16(1)), (18, 0), (19, 2)] {
                    for number in [key, version, version] { output.append(number) }
                }
            case 3:
                for number in [Int32(1), 1] { output.append(number) }
                output.append("127.0.0.1")
                output.append(Int32(port))
                output.append(Int16(-1))
                for number in [Int32(1), 0] { output.append(number) }
            case 19: createTopics(&input, &output, answer, state)
            default: return
            }
            var reply = Output()
            reply.append(Int32(output.bytes.count))
            let bytes = reply.bytes + output.bytes
            guard send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return }
        }
    }

    private static func createTopics(
        _ input: inout Input, _ output: inout Output, _ answer: Int16, _ state: Monitor<State>
    ) {
        var topics: [Topic] = []
        for _ in 0..<input.int32() {
            var topic = Topic(
                name: input.text(), partitions: input.int32(), replicationFactor: input.int16(), config: [:])
            for _ in 0..<input.int32() {
                _ = input.int32()
                for _ in 0..<input.int32() { _ = input.int32() }
            }
            for _ in 0..<input.int32() {
                let name = input.text()
                topic.config[name] = input.text()
            }
            topics.append(topic)
        }
        output.append(Int32(0))
        output.append(Int32(topics.count))
        for topic in topics {
            output.append(topic.name)
            output.append(answer)
            if answer == 0 { output.append(Int16(-1)) } else { output.append("not today") }
        }
        state.update { $0.created += topics }
    }

    private static func read(_ connection: Int32, _ count: Int) -> [UInt8]? {
        guard (0..<1 << 20).contains(count) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let received = bytes[done...].withUnsafeMutableBytes { recv(connection, $0.baseAddress, $0.count, 0) }
            if received <= 0 { return nil }
            done += received
        }
        return bytes
    }

    /// Reads big-endian numbers and texts; zeros behind the end.
    private struct Input {
        private var bytes: ArraySlice<UInt8>

        init(_ bytes: [UInt8]) {
            self.bytes = bytes[...]
        }

        private mutating func take(_ count: Int) -> UInt64 {
            var value: UInt64 = 0
            for _ in 0..<count { value = value << 8 | UInt64(bytes.popFirst() ?? 0) }
            return value
        }

        mutating func int16() -> Int16 { Int16(truncatingIfNeeded: take(2)) }
        mutating func int32() -> Int32 { max(Int32(truncatingIfNeeded: take(4)), 0) }

        mutating func text() -> String {
            let count = max(Int(int16()), 0)
            defer { bytes = bytes.dropFirst(count) }
            return String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    private struct Output {
        private(set) var bytes: [UInt8] = []

        mutating func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
        }

        mutating func append(_ text: String) {
            append(Int16(text.utf8.count))
            bytes += Array(text.utf8)
        }
    }
}
