internal import CLibPQ

/// The rows of one query in text form. Small results only: everything is copied into Swift strings.
package struct QueryResult: Sendable {
    package let columns: [String]
    package let rows: [[String?]]
    /// `INSERT 0 5` and the like.
    package let commandTag: String

    /// First column of the first row.
    package var scalar: String? { rows.first?.first ?? nil }

    /// Number of rows that the command touched; 0 where its tag has none.
    package var affectedRows: Int { commandTag.split(separator: " ").last.flatMap { Int($0) } ?? 0 }

    init(_ result: OpaquePointer) {
        let columnCount = PQnfields(result)
        let rowCount = PQntuples(result)
        columns = (0..<columnCount).map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
        rows = (0..<rowCount).map { row in
            (0..<columnCount).map { column in
                guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
                    return nil
                }
                return String(
                    decoding: UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column))),
                    as: UTF8.self)
            }
        }
        commandTag = PQcmdStatus(result).map { String(cString: $0) } ?? ""
    }
}
