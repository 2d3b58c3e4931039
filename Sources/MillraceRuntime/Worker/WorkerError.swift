/// Why an operation on connectors was refused: the status and message that Kafka Connect answers in the same place.
package struct WorkerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// HTTP status: 400, 404, 409, 500 or 503.
    package var status: Int
    package var message: String

    package init(status: Int, _ message: String) {
        self.status = status
        self.message = message
    }

    package var description: String { message }

    static func notFound(_ name: String) -> WorkerError {
        WorkerError(status: 404, "Connector \(name) not found")
    }

    /// Kafka Connect words it differently for pause and resume …
    static func unknown(_ name: String) -> WorkerError {
        WorkerError(status: 404, "Unknown connector \(name)")
    }

    /// … and for stop and restart.
    static func unknownWithColon(_ name: String) -> WorkerError {
        WorkerError(status: 404, "Unknown connector: \(name)")
    }

    static func noStatus(_ name: String) -> WorkerError {
        WorkerError(status: 404, "No status found for connector \(name)")
    }

    static func noTask(_ name: String, _ id: Int) -> WorkerError {
        WorkerError(status: 404, "Task \(name)-\(id) not found")
    }

    static func notStopped(_ name: String) -> WorkerError {
        WorkerError(
            status: 400,
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the "
                + "specified connector by issuing a 'PUT' request to the '/connectors/\(name)/stop' endpoint")
    }
}
