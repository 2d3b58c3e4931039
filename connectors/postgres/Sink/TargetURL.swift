internal import CLibPQ
internal import MillraceCore

/// Reads `connection.url`: libpq's URL, or the same as JDBC writes it.
enum TargetURL {
    /// What is wrong with the URL; nil where nothing is. Never repeats the URL, which may hold a password.
    static func fault(in url: String) -> String? {
        switch parse(url) {
        case .success: nil
        case .failure(let fault): fault.message
        }
    }

    struct Fault: Error {
        var message: String
    }

    static func parse(_ url: String) -> Result<ConnectionParameters, Fault> {
        var text = url.trimmed
        let isJDBC = text.lowercased().hasPrefix("jdbc:")
        if isJDBC { text = String(text.dropFirst(5)) }
        guard text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") else {
            return .failure(Fault(message: "postgresql://host:port/database is expected"))
        }
        if isJDBC { text = translated(text) }
        return parseURI(text)
    }

    private static func parseURI(_ text: String) -> Result<ConnectionParameters, Fault> {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            let reason = message.map { String(cString: $0).trimmed } ?? "not a PostgreSQL URL"
            if let message { PQfreemem(message) }
            // libpq's words may quote the URL, and with it the password.
            return .failure(Fault(message: reason.contains("://") ? "not a well-formed PostgreSQL URL" : reason))
        }
        defer { PQconninfoFree(options) }
        var parameters = ConnectionParameters()
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { parameters[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        let ports = (parameters["port"] ?? "").split(separator: ",")
        guard ports.allSatisfy({ UInt16($0) != nil }) else {
            return .failure(Fault(message: "the port is not a number"))
        }
        return .success(parameters)
    }

    /// The JDBC driver's parameters in libpq's words; those that mean nothing to libpq are left out.
    private static func translated(_ url: String) -> String {
        let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return url }
        var kept: [String] = []
        for pair in parts[1].split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves.count == 2 ? String(halves[1]) : ""
            switch String(halves[0]) {
            case "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "options",
                "gssencmode", "channel_binding":
                kept.append(String(pair))
            case "ssl": if value == "true" || value.isEmpty { kept.append("sslmode=require") }
            case "ApplicationName": kept.append("application_name=" + value)
            case "connectTimeout", "loginTimeout": if (Int(value) ?? 0) > 0 { kept.append("connect_timeout=" + value) }
            case "targetServerType": if value == "primary" { kept.append("target_session_attrs=read-write") }
            default: break
            }
        }
        return kept.isEmpty ? String(parts[0]) : parts[0] + "?" + kept.joined(separator: "&")
    }
}
