import MillraceTesting

extension Replication {
    /// Waits until the full load is behind the source.
    func waitForStreaming(within timeout: Duration = .seconds(60)) throws {
        try eventually("the source streams", within: timeout, state: { self.situation() }) {
            try millrace.metric("millrace_source_phase").keys.contains { $0.contains("streaming") }
        }
    }

    /// The way out that most of the named states give: the three requests, in the order in which the message has them.
    func loadAnew(_ trace: String = "DELETE /connectors/{name}/offsets") throws {
        guard trace.contains("DELETE /connectors/{name}/offsets") else {
            throw TestFailure("no way out by a new load in: \(trace)")
        }
        for (method, path, status) in [
            ("PUT", "stop", 204), ("DELETE", "offsets", 200), ("PUT", "resume", 202),
        ] {
            let answer = try millrace.request(method, "/connectors/source/\(path)")
            guard answer.status == status else {
                throw TestFailure("\(method) \(path) answered \(answer.status): \(answer.body)")
            }
        }
        try waitForStreaming()
    }

    /// The SQL statement that a trace gives, from `beginning` to its semicolon.
    func statement(_ beginning: String, in trace: String) throws -> String {
        guard let start = trace.firstRange(of: beginning)?.lowerBound,
            let end = trace[start...].firstIndex(of: ";")
        else { throw TestFailure("no '\(beginning) …;' in: \(trace)") }
        return String(trace[start...end])
    }

    func waitUntilSlotIsFree() throws {
        try eventually("the slot is free", within: .seconds(60)) {
            try source.query(
                "select count(*) from pg_replication_slots where slot_name = '\(slot)' and not active") == "1"
        }
    }

    /// Stops a connector and waits until it shows it.
    func stop(_ connector: String) throws {
        let answer = try millrace.request("PUT", "/connectors/\(connector)/stop", timeout: .seconds(60))
        guard answer.status == 204 else { throw TestFailure("stop answered \(answer.status): \(answer.body)") }
    }

    func resume(_ connector: String) throws {
        let answer = try millrace.request("PUT", "/connectors/\(connector)/resume", timeout: .seconds(60))
        guard answer.status == 202 else { throw TestFailure("resume answered \(answer.status): \(answer.body)") }
    }

    /// Waits until a running task tells of `code`.
    @discardableResult
    func waitForTrace(_ connector: String, _ code: String, within timeout: Duration = .seconds(60)) throws -> String {
        try eventually("\(connector) tells of \(code)", within: timeout, state: { self.situation() }) { () -> String? in
            let trace = try millrace.status(connector)["tasks"][0]["trace"].string ?? ""
            return trace.contains(code) ? trace : nil
        }
    }
}
