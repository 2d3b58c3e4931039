import MillraceAdmin

/// What `millrace connector status` prints.
enum StatusPage {
    static func show(status: JSONDocument, details: JSONDocument) {
        let state = status["connector"]?["state"].shown ?? ""
        Output.line("\(status["name"].shown)  \(status["type"].shown)  \(state)  tasks: \(taskStates(status))")
        if case .string(let trace) = status["connector"]?["trace"] ?? .null { Output.line("  \(firstLine(trace))") }
        for task in elements(status["tasks"]) {
            if case .string(let trace) = task["trace"] ?? .null {
                Output.line("  task \(task["id"].shown): \(indented(trace))")
            }
        }
        for warning in elements(details["warnings"]) { Output.line("  warning: \(Optional(warning).shown)") }
        if let source = details["source"] { show(source: source) }
        for task in elements(details["tasks"]) { show(sink: task) }
        Output.line("")
    }

    static func taskStates(_ status: JSONDocument?) -> String {
        let states = elements(status?["tasks"]).map { $0["state"].shown }
        return states.isEmpty ? "none" : states.joined(separator: ",")
    }

    private static func show(source: JSONDocument) {
        let positions = ["server", "received", "durable", "acknowledged"].map { "\($0) \(source["\($0)_lsn"].shown)" }
        Output.line(
            "  \(source["phase"].shown)  lag \(bytes(source["lag_bytes"]))  \(positions.joined(separator: "  "))")
        if let log = source["log"], log != .null {
            Output.line(
                "  change log: \(bytes(log["bytes"])) in \(log["segments"].shown) segments, \(log["directory"].shown)")
        }
        let rows = elements(source["tables"]).map { table in
            [
                "  " + table["table"].shown, table["state"].shown, table["rows_loaded"].shown, progress(table),
                table["inserts"].shown, table["updates"].shown, table["deletes"].shown, table["remark"].shown,
            ]
        }
        if rows.isEmpty { return }
        Output.table(["  TABLE", "STATE", "LOADED", "OF", "INSERTS", "UPDATES", "DELETES", "REMARK"], rows)
    }

    /// `62.5% ████████░░░░░` while a table is loading.
    private static func progress(_ table: JSONDocument) -> String {
        guard case .number(let text) = table["percent"] ?? .null, let percent = Double(text) else {
            return table["rows_estimated"].shown
        }
        guard table["state"].shown == "loading" else { return table["rows_estimated"].shown }
        let full = Int((percent / 10).rounded())
        return "\(percent)% " + String(repeating: "█", count: full) + String(repeating: "░", count: max(0, 10 - full))
    }

    private static func show(sink: JSONDocument) {
        Output.line(
            "  task \(sink["id"].shown) from \(sink["source"].shown)  lag \(bytes(sink["lag_bytes"])), "
                + "\(sink["lag_seconds"].shown) s  changes \(sink["changes"].shown)  at \(sink["cursor_lsn"].shown)")
        for table in elements(sink["suspended"]) {
            Output.line("  SUSPENDED \(table["table"].shown) at \(table["position"].shown): \(table["reason"].shown)")
        }
    }

    static func bytes(_ value: JSONDocument?) -> String {
        guard case .number(let text) = value ?? .null, let count = Double(text) else { return "?" }
        var amount = count
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if amount < 1024 { return unit == "B" ? "\(Int(amount)) B" : "\((amount * 10).rounded() / 10) \(unit)" }
            amount /= 1024
        }
        return "\((amount * 10).rounded() / 10) TiB"
    }

    private static func elements(_ value: JSONDocument?) -> [JSONDocument] {
        guard case .array(let elements) = value ?? .null else { return [] }
        return elements
    }

    private static func firstLine(_ text: String) -> String {
        text.split(separator: "\n").first.map(String.init) ?? ""
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: "\n    ")
    }
}

extension JSONDocument? {
    /// A value as text for people; empty for none.
    var shown: String {
        switch self {
        case nil, .null: ""
        case .bool(let value): value ? "true" : "false"
        case .number(let text), .string(let text): text
        case .array, .object: "…"
        }
    }
}
