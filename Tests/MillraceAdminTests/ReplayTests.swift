import MillraceAdmin
import MillraceCore
import MillraceRuntime
import MillraceTesting
import Testing

/// Sends the recorded requests in order and compares the answers with Kafka Connect's.
@Suite struct ReplayTests {
    @Test(.timeLimit(.minutes(2)))
    func answersAreThoseOfKafkaConnect() async throws {
        try await TestServer.run { server in
            try await Self.replay(try Recording.all(), server)
        }
    }

    /// The same with the real source, and with the database that the recorder had.
    @Test(.timeLimit(.minutes(2)))
    func answersAreThoseOfKafkaConnectWithARealDatabase() async throws {
        let database = try PostgresServer()
        defer { database.kill9() }
        try database.execute("CREATE DATABASE app")
        try database.execute(
            "CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Anne'), (2, 'Bob')",
            database: "app")
        try await TestServer.run(plugins: [RealSourcePlugin(), NullSinkPlugin()]) { server in
            try await Self.replay(try Recording.all(port: database.port).map(Self.withoutPositions), server)
        }
    }

    /// What an offset says beside its LSN depends on what the real source has read since it started, and only the LSN at
    /// which its log ends can be put back.
    private static func withoutPositions(_ recording: Recording) -> Recording {
        var recording = recording
        recording.comparesPositions = false
        return recording
    }

    private static func replay(_ recordings: [Recording], _ server: TestServer) async throws {
        #expect(recordings.count == 202)
        for recording in recordings {
            let answer = try await Self.answer(to: recording, server)
            for difference in Self.check(recording, answer) { Issue.record("\(recording.name): \(difference)") }
        }
    }

    /// Gives what was asked for time to happen, as the recorder did.
    private static func answer(to recording: Recording, _ server: TestServer) async throws -> Answer {
        if recording.method == "GET" {
            return try await server.poll(recording.path, headers: recording.headers, within: .seconds(3)) {
                check(recording, $0).isEmpty
            }
        }
        try await server.settle()
        var body = recording.body
        if !recording.comparesPositions && recording.name == "152-offsets-alter-same" {
            let shown = try await server.send("GET", recording.path).document
            guard case .array(let offsets) = shown?["offsets"] ?? .null else { return Answer(status: 0, body: []) }
            let own = offsets.filter { $0["partition"]?["server"] != nil }
            body = JSONText.string(["offsets": .array(own.map(\.tree))])
        }
        return try await server.send(recording.method, recording.path, body: body, headers: recording.headers)
    }

    /// What differs and should not.
    private static func check(_ recording: Recording, _ answer: Answer) -> [String] {
        if let intended = IntendedDifferences.all[recording.number] { return check(intended, answer) }
        var found: [String] = []
        func compare<Value: Equatable>(_ what: String, _ expected: Value, _ actual: Value) {
            if expected != actual { found.append("\(what) is \(actual) instead of \(expected)") }
        }
        compare("status", recording.status, answer.status)
        compare("Content-Type", recording.contentType, answer.contentType)
        compare("Allow", recording.allow, answer.allow)
        compare("Location", path(recording.location), path(answer.location))
        if let expected = recording.answer {
            guard let actual = answer.document else { return found + ["no JSON: \(answer.text.prefix(200))"] }
            found += compareBodies(recording, expected, actual)
        } else if recording.isJSON {
            compare("body", "", answer.text)
        }
        return found
    }

    private static func compareBodies(
        _ recording: Recording, _ expected: JSONDocument, _ actual: JSONDocument
    ) -> [String] {
        if IntendedDifferences.lists[recording.number] != nil { return compareForm(expected, actual) }
        if expected["error_code"] != nil && recording.status == 400 && expected["message"].text?.contains("\n") == true
        {
            return Normalisation.differences(expected, actual)
        }
        var left = Normalisation.normalised(expected)
        var right = Normalisation.normalised(actual)
        if !recording.comparesPositions {
            left = Normalisation.withLSNOnly(left)
            right = Normalisation.withLSNOnly(right)
        }
        if recording.path == "/connectors" {
            left = Normalisation.sortedTexts(left)
            right = Normalisation.sortedTexts(right)
        }
        return Normalisation.differences(left, right)
    }

    /// Each element of ours must have the form of the first recorded one.
    private static func compareForm(_ expected: JSONDocument, _ actual: JSONDocument) -> [String] {
        func names(_ document: JSONDocument) -> [String] {
            if case .object(let members) = document { return members.map(\.name).sorted() }
            return [document.kind]
        }
        func elements(_ document: JSONDocument) -> [JSONDocument] {
            switch document {
            case .array(let elements): elements
            case .object(let members): members.map(\.value)
            default: []
            }
        }
        guard let form = elements(expected).first.map(names), !elements(actual).isEmpty else { return ["empty list"] }
        return elements(actual).filter { names($0) != form }.map { "another form: \($0)" }
    }

    private static func check(_ intended: IntendedDifferences.Difference, _ answer: Answer) -> [String] {
        var found: [String] = []
        if answer.status != intended.status {
            found.append("status is \(answer.status) instead of the intended \(intended.status): \(answer.text)")
        }
        if intended.status >= 400, answer.document?["error_code"] != .number("\(intended.status)") {
            found.append("no error document: \(answer.text)")
        }
        if let words = intended.message, answer.message?.contains(words) != true {
            found.append("the message lacks '\(words)': \(answer.text)")
        }
        return found
    }

    private static func path(_ location: String?) -> String? {
        location.map { "/" + $0.split(separator: "/").dropFirst(2).joined(separator: "/") }
    }

    @Test func intendedDifferencesAreDocumented() throws {
        let page = try DocumentationPage.text("ADMIN_API.md")
        for (number, difference) in IntendedDifferences.all {
            #expect(page.contains(difference.reason), "\(number): \(difference.reason)")
        }
    }
}
