import MillraceCore

/// What makes the files of several tables appear together: written after all of them are on disk under temporary names,
/// and renamed into place; from then on they count, and the renames that may be missing are made up for at the next start.
///
/// The last manifest stays: it holds the sink's cursor.
struct CSVManifest: Hashable {
    var sequence: UInt32
    var cursor: Cursor
    var lastCommitEnd: LSN
    /// Paths below the sink's directory.
    var moves: [(from: String, to: String)]

    static func == (left: CSVManifest, right: CSVManifest) -> Bool {
        left.encoded() == right.encoded()
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(encoded())
    }

    private static let title = "millrace csv commit 1"

    /// Lines of text. Paths have no line breaks and no tabs: names are percent-encoded.
    func encoded() -> [UInt8] {
        var lines = [Self.title, String(sequence), cursor.description, lastCommitEnd.description]
        for move in moves { lines.append("\(move.from)\t\(move.to)") }
        lines.append("end")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    init(sequence: UInt32, cursor: Cursor, lastCommitEnd: LSN, moves: [(from: String, to: String)]) {
        self.sequence = sequence
        self.cursor = cursor
        self.lastCommitEnd = lastCommitEnd
        self.moves = moves
    }

    /// Throws where the bytes are no whole manifest: it came into place by a rename, so something else has damaged it.
    init(_ bytes: [UInt8], path: String) throws(ConnectorError) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 6, lines[0] == Self.title, lines[lines.count - 2] == "end",
            let sequence = UInt32(lines[1]),
            let cursor = Cursor(lines[2]), let lastCommitEnd = LSN(lines[3])
        else { throw Self.damaged(path) }
        var moves: [(String, String)] = []
        for line in lines[4..<lines.count - 2] {
            let paths = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard paths.count == 2 else { throw Self.damaged(path) }
            moves.append((String(paths[0]), String(paths[1])))
        }
        self.init(sequence: sequence, cursor: cursor, lastCommitEnd: lastCommitEnd, moves: moves)
    }

    private static func damaged(_ path: String) -> ConnectorError {
        ConnectorError(
            .consistency, code: "manifest_damaged", "\(path), which says how far the files go, cannot be read",
            hint:
                "move the file and the directory's content away, and delete the sink's offsets to write everything again"
        )
    }
}
