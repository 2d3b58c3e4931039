internal import MillraceCore

/// A configuration with the definition's defaults.
struct ConfigValues {
    let config: ConnectorConfig
    private let definition = PostgresSourceDefinition.definition

    init(_ config: ConnectorConfig) {
        self.config = config
    }

    /// Nil for absent and for empty.
    func text(_ name: String) -> String? {
        let text = config.string(name, definition)?.trimmed ?? ""
        return text.isEmpty ? nil : text
    }

    func bool(_ name: String) -> Bool { config.bool(name, definition) }
    func int(_ name: String) -> Int? { config.int(name, definition) }
    func long(_ name: String) -> Int64? { text(name).flatMap { Int64($0) } }

    func duration(_ name: String) -> Duration? {
        config.milliseconds(name, definition).map { max($0, .zero) }
    }

    /// The case that is meant, without regard to case.
    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, else fallback: Choice
    ) throws(ConnectorError) -> Choice {
        guard let text = text(name)?.lowercased() else { return fallback }
        if let choice = Choice.allCases.first(where: { $0.rawValue == text }) { return choice }
        let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalid(name, "'\(text)' is none of \(known)")
    }

    func patterns(_ name: String, nameDots: Int) throws(ConnectorError) -> PatternList? {
        guard let text = text(name) else { return nil }
        do {
            return try PatternList(text, nameDots: nameDots)
        } catch {
            throw .invalid(name, error.message)
        }
    }

    /// `<kind>.include.list` or `<kind>.exclude.list`.
    func filter(_ kind: String, nameDots: Int) throws(ConnectorError) -> NameFilter {
        let included = try patterns("\(kind).include.list", nameDots: nameDots)
        let excluded = try patterns("\(kind).exclude.list", nameDots: nameDots)
        if included != nil, excluded != nil {
            throw .invalid("\(kind).exclude.list", "\"\(kind).include.list\" is already specified")
        }
        return NameFilter(included: included, excluded: excluded)
    }
}

extension ConnectorError {
    /// A property with a value that cannot be used.
    static func invalid(_ property: String, _ problem: String) -> ConnectorError {
        ConnectorError(
            .configuration, code: "invalid_configuration", "The '\(property)' value is invalid: \(problem)",
            hint: "change the property \(property)")
    }
}

extension SourceOptions {
    /// libpq's keywords from Debezium's properties, which have the same names where they are about TLS.
    static func connection(_ values: ConfigValues) -> ConnectionParameters {
        let keywords = [
            "host": "database.hostname", "port": "database.port", "user": "database.user",
            "dbname": "database.dbname", "sslmode": "database.sslmode", "sslcert": "database.sslcert",
            "sslkey": "database.sslkey", "sslpassword": "database.sslpassword",
            "sslrootcert": "database.sslrootcert",
        ]
        var parameters = ConnectionParameters()
        for (keyword, property) in keywords {
            if let text = values.text(property) { parameters[keyword] = text }
        }
        // White space belongs to a password.
        parameters["password"] = values.config["database.password"]
        if !values.bool("database.tcpKeepAlive") { parameters["keepalives"] = "0" }
        parameters.setTCPTimeout(values.duration("tcp.timeout.ms") ?? .seconds(60))
        return parameters
    }

    static func snapshotMode(_ values: ConfigValues) throws(ConnectorError) -> SnapshotMode {
        if values.text("snapshot.mode")?.lowercased() == "never" { return .noData }
        return try values.choice("snapshot.mode", else: .initial)
    }

    static func skippedOperations(_ values: ConfigValues) throws(ConnectorError) -> SkippedOperations {
        let name = "skipped.operations"
        var skipped: SkippedOperations = []
        for code in (values.config[name] ?? "").split(separator: ",") {
            switch code.trimmed.lowercased() {
            case "c": skipped.insert(.insert)
            case "u": skipped.insert(.update)
            case "d": skipped.insert(.delete)
            case "t": skipped.insert(.truncate)
            case "none", "": break
            default: throw .invalid(name, "'\(code.trimmed)' is none of c, u, d, t, none")
            }
        }
        return skipped
    }

    static func overrides(_ values: ConfigValues) throws(ConnectorError) -> [TableName: String] {
        let name = "snapshot.select.statement.overrides"
        var overrides: [TableName: String] = [:]
        for table in (values.text(name) ?? "").split(separator: ",").map({ $0.trimmed }) where !table.isEmpty {
            guard let dot = table.firstIndex(of: ".") else {
                throw .invalid(name, "'\(table)' is not of the form schema.table")
            }
            guard let statement = values.text("\(name).\(table)") else {
                throw .invalid(name, "there is no statement for '\(table)': set \(name).\(table)")
            }
            let key = TableName(schema: String(table[..<dot]), table: String(table[table.index(after: dot)...]))
            overrides[key] = statement
        }
        return overrides
    }

    /// Sinks carry masking out; a form that no sink could carry out is found here, before anything starts.
    static func checkMasks(_ config: ConnectorConfig) throws(ConnectorError) {
        for name in MaskingProperties.names(in: config) {
            do {
                _ = try MaskingRule(property: name)
            } catch {
                throw .invalid(name, error.reason)
            }
            for pattern in ConfigCheck.splitUnescaped(config[name] ?? "") {
                if let fault = ConfigCheck.fault(inPattern: pattern) { throw .invalid(name, fault) }
            }
        }
    }
}
