import ArgumentParser
import Glibc

/// Text for people on standard output and standard error.
enum Output {
    static func line(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    static func error(_ text: String) {
        write("millrace: " + text + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to file: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
        }
    }

    /// Columns as wide as their widest text, two spaces apart.
    static func table(_ header: [String], _ rows: [[String]]) {
        var widths = header.map(\.count)
        for row in rows {
            for (column, text) in row.enumerated() where column < widths.count {
                widths[column] = max(widths[column], text.count)
            }
        }
        for row in [header] + rows {
            let cells = row.enumerated().map { column, text in
                column == row.count - 1
                    ? text : text + String(repeating: " ", count: max(0, widths[column] - text.count))
            }
            line(cells.joined(separator: "  "))
        }
    }
}

/// How the process ends; listed in `millrace --help`.
extension ExitCode {
    static let badConfiguration = ExitCode(2)
    static let dataDirectory = ExitCode(3)
    static let cannotListen = ExitCode(4)
    static let noServer = ExitCode(5)
}
