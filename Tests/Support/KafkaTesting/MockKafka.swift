import Foundation
import Glibc
import MillraceCore
import MillraceTesting

/// A mock Kafka cluster in a process of its own (`MockKafka`), which ends with the tests.
package final class MockKafka: Sendable {
    package let bootstrapServers: String
    private let folder: TemporaryFolder
    private let process: Subprocess
    /// Write end of the process's standard input, and how many replies were read.
    private let input: Int32
    private let replies = Monitor(0)

    /// Numbers of requests in Kafka's protocol.
    package enum API {
        package static let produce = 0
        package static let metadata = 3
        package static let initProducerID = 22
        package static let addPartitionsToTransaction = 24
        package static let endTransaction = 26
    }

    /// The binary that was built together with the running tests.
    private static let binary: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().path + "/MockKafka"
    }()

    /// `topics`: names and numbers of partitions. Other topics are made by the cluster when they are asked for.
    package init(brokers: Int = 1, topics: [String: Int] = [:]) throws {
        folder = try TemporaryFolder("kafka")
        let pipe = folder.path + "/in"
        guard mkfifo(pipe, 0o600) == 0 else { throw TestFailure("mkfifo: errno \(errno)") }
        // For both directions, so that neither side waits for the other to open it.
        input = open(pipe, O_RDWR | O_CLOEXEC)
        let process = try Subprocess(
            [MockKafka.binary, "\(brokers)"], input: pipe, output: folder.path + "/out",
            errorOutput: folder.path + "/err")
        self.process = process
        let output = folder.path + "/out"
        bootstrapServers = try eventually("the mock cluster answers", state: { readText(output) }) {
            guard process.isRunning else { throw TestFailure("the mock cluster ended at once") }
            let text = readText(output)
            guard text.hasPrefix("ready "), text.hasSuffix("\n") else { return nil }
            return text.dropFirst(6).trimmed
        }
        for (name, partitions) in topics { try tell("topic \(name) \(partitions)") }
    }

    deinit {
        process.send(SIGKILL)
        _ = process.waitForExit(within: .seconds(10))
        close(input)
        folder.remove()
    }

    /// Gives a command and waits for the reply, which must be `ok`.
    package func tell(_ command: String) throws {
        let bytes = Array((command + "\n").utf8)
        let number = replies.update { count in
            _ = write(input, bytes, bytes.count)
            count += 1
            return count
        }
        let output = folder.path + "/out"
        let reply = try eventually("the mock cluster replies to \(command)") { () -> String? in
            let lines = readText(output).split(separator: "\n")
            return lines.count > number ? String(lines[number]) : nil
        }
        guard reply == "ok" else { throw TestFailure("\(command): \(reply)") }
    }

    /// The next requests of this kind fail with these codes of the protocol; -195 breaks the connection.
    package func failNext(_ api: Int, _ codes: [Int]) throws {
        try tell("errors \(api) " + codes.map { "\($0)" }.joined(separator: " "))
    }
}
