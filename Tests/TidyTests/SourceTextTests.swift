import Testing

/// What must not stand in the code.
@Suite
struct SourceTextTests {
    struct Ban: Sendable {
        var text: String
        var reason: String
        /// Beginnings of paths where it may stand.
        var exceptions: [String] = []
    }

    /// Split in two, so that this file does not hold what it looks for.
    static let everywhere = [
        Ban(text: "try" + "!", reason: "traps"),
        Ban(text: " as" + "! ", reason: "traps"),
        Ban(text: "fatal" + "Error(", reason: "traps"),
        Ban(text: "FIX" + "ME", reason: "mend it, or open an issue"),
        Ban(text: "TO" + "DO", reason: "do it, or open an issue"),
        Ban(text: "Thread." + "sleep", reason: "wait for a condition"),
        // Where it may stand, it paces the looks at a condition.
        Ban(
            text: "Task." + "sleep", reason: "wait for a condition",
            exceptions: ["Tests/MillraceAdminTests/TestServer.swift", "Tests/MillraceRuntimeTests/WorkerBench.swift"]),
        Ban(text: "u" + "sleep(", reason: "wait for a condition"),
        // The pause that lets messages collect in the socket: docs/ARCHITECTURE.md.
        Ban(
            text: "nano" + "sleep(", reason: "wait for a condition",
            exceptions: ["connectors/postgres/Source/StreamingSession.swift"]),
    ]

    static let product = [
        Ban(text: "print" + "(", reason: "use the logger", exceptions: ["Sources/millrace/"]),
        Ban(text: "unsafe" + "BitCast(", reason: "no type punning"),
        Ban(text: "\npublic" + " ", reason: "package or internal is enough"),
        Ban(text: "    public" + " ", reason: "package or internal is enough"),
    ]

    @Test(arguments: everywhere)
    func bannedTextIsNowhere(_ ban: Ban) {
        check(ban, Repository.allCode)
    }

    @Test(arguments: product)
    func bannedTextIsNotInWhatShips(_ ban: Ban) {
        check(ban, Repository.productCode)
    }

    private func check(_ ban: Ban, _ files: [Repository.File]) {
        for file in files where !ban.exceptions.contains(where: { file.path.hasPrefix($0) }) {
            var text = file.text[...]
            while let range = text.firstRange(of: ban.text) {
                // `debugPrint(`, `sprintf(`, `blueprint(`: the end of a longer word is another word.
                let before = text[..<range.lowerBound].last
                if !(before.map { $0.isLetter || $0 == "_" || $0 == "." } ?? false)
                    || !(ban.text.first?.isLetter ?? false)
                {
                    let line = file.text[..<range.lowerBound].count { $0 == "\n" } + 1
                    Issue.record("\(file.path):\(line): \(ban.text.split(separator: "\n").first ?? ""): \(ban.reason)")
                }
                text = text[range.upperBound...]
            }
        }
    }

    @Test
    func uncheckedConcurrencySaysWhyItIsSafe() {
        let marks = ["@unchecked" + " Sendable", "nonisolated" + "(unsafe)"]
        for file in Repository.allCode {
            let lines = file.lines
            for (number, line) in lines.enumerated() where marks.contains(where: { line.contains($0) }) {
                // The reason stands before the declaration, behind its documentation.
                let above = lines[max(0, number - 8)...number]
                #expect(
                    above.contains { $0.contains("SAFETY:") } || file.path.hasPrefix("Tests/TidyTests/"),
                    "\(file.path):\(number + 1) needs a comment // SAFETY:")
            }
        }
    }

    @Test
    func filesHoldOneIdea() {
        for file in Repository.allCode {
            let count = file.lines.count
            #expect(count <= 450, "\(file.path) has \(count) lines")
        }
    }

    @Test
    func thereIsCodeToLookAt() {
        #expect(Repository.productCode.count > 20)
        #expect(Repository.connectorFolders.contains("postgres"))
    }
}
