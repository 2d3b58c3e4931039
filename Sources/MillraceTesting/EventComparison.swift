/// Compares events with those that Debezium recorded, after taking out what differs from run to run (the table in the
/// recordings' README). Everything else must be equal to the letter.
package struct EventComparison {
    private var transactions: [String: Int] = [:]
    private var runIDs: Set<String> = []

    private init() {}

    /// What is different, for people; empty where nothing is.
    package static func differences(expected: [String], actual: [String]) -> [String] {
        let left = normalized(expected)
        let right = normalized(actual)
        var differences: [String] = []
        for index in 0..<max(left.count, right.count) {
            let one = index < left.count ? left[index] : "(nothing)"
            let other = index < right.count ? right[index] : "(nothing)"
            if one == other { continue }
            let (expected, actual) = around(one, other)
            differences.append("event \(index + 1)\n  expected \(expected)\n  actual   \(actual)")
        }
        return differences
    }

    /// What stands around the first difference, and how the events begin: with schemas they are thousands of characters.
    private static func around(_ one: String, _ other: String) -> (String, String) {
        let common = zip(one, other).prefix { $0 == $1 }.count
        func piece(_ text: String) -> String {
            guard text.count > 400 else { return text }
            return "\(text.prefix(60)) … \(text.dropFirst(max(60, common - 120)).prefix(240)) …"
        }
        return (piece(one), piece(other))
    }

    /// The events with placeholders for what may differ; what is not of the form that it must have stays as it is.
    package static func normalized(_ lines: [String]) -> [String] {
        var comparison = EventComparison()
        return lines.filter { !$0.isEmpty }.map { line in
            do {
                return comparison.event(try OrderedJSON(line)).text
            } catch {
                return "no JSON (\(error)): \(line)"
            }
        }
    }

    private mutating func event(_ event: OrderedJSON) -> OrderedJSON {
        let isTransaction = event["value"].map { Self.payload($0)["status"] != nil } ?? false
        var comparison = self
        let result = event.mapFields { name, value in
            switch name {
            case "key": isTransaction ? Self.inPayload(value) { comparison.transactionID(in: $0) } : value
            case "value": Self.inPayload(value) { comparison.value($0) }
            case "headers": comparison.headers(value)
            default: value
            }
        }
        self = comparison
        return result
    }

    /// With schemas, the event lies in `payload`.
    private static func payload(_ json: OrderedJSON) -> OrderedJSON {
        json["schema"] != nil ? json["payload"] ?? json : json
    }

    private static func inPayload(_ json: OrderedJSON, _ body: (OrderedJSON) -> OrderedJSON) -> OrderedJSON {
        guard json["schema"] != nil, json["payload"] != nil else { return body(json) }
        return json.mapFields { name, value in name == "payload" ? body(value) : value }
    }

    private mutating func value(_ value: OrderedJSON) -> OrderedJSON {
        var comparison = self
        defer { self = comparison }
        if value["status"] != nil {
            return comparison.transactionID(in: value).mapFields { name, value in
                switch name {
                case "ts_ms": Self.integer(value)
                case "data_collections": Self.sorted(value)
                default: value
                }
            }
        }
        return value.mapFields { name, value in
            switch name {
            case "ts_ms", "ts_us", "ts_ns": Self.integer(value)
            case "source": comparison.source(value)
            case "transaction": comparison.transactionID(in: value)
            default: comparison.copied(name, value)
            }
        }
    }

    /// A field that a transform or the CloudEvents converter copied out of the envelope, under another name:
    /// `__source_ts_ms`, `__lsn`, `source_sequence`, `iodebeziumtxId`.
    private mutating func copied(_ name: String, _ value: OrderedJSON) -> OrderedJSON {
        let separators = ["__", "_", ".", "iodebezium"]
        func isCopy(_ names: String...) -> Bool {
            names.contains { field in
                separators.contains { name.hasSuffix($0 + field) } && name.count > field.count
            }
        }
        if isCopy("ts_ms", "ts_us", "ts_ns", "lsn", "tsms", "tsus", "tsns") { return Self.anyInteger(value) }
        if isCopy("txId") { return transactionText(value) }
        if isCopy("transaction_id"), case .string = value { return Self.wrapped(value) { transactionID(in: $0) } }
        if isCopy("sequence"), case .string(let text) = value, text.hasPrefix("[") { return .string("sequence") }
        if name == "iodebeziumversion", Self.isString(value) { return .string("version") }
        if name == "time", case .string(let text) = value, text.hasSuffix("Z") { return .string("time") }
        if name == "id", case .string(let text) = value, text.hasPrefix("name:") {
            return .string(text.split(separator: ";").map { $0.prefix { $0 != ":" } }.joined(separator: ";"))
        }
        return value
    }

    private static func wrapped(_ value: OrderedJSON, _ body: (OrderedJSON) -> OrderedJSON) -> OrderedJSON {
        body(.object([.init(name: "id", value: value)]))["id"] ?? value
    }

    /// A number, also between quotes.
    private static func anyInteger(_ value: OrderedJSON) -> OrderedJSON {
        if case .string(let text) = value, isDecimal(text) { return .string("integer") }
        return integer(value)
    }

    private mutating func transactionText(_ value: OrderedJSON) -> OrderedJSON {
        guard case .string(let text) = value, Self.isDecimal(text) else { return transaction(value) }
        return .string(transaction(.literal(text)).text)
    }

    private mutating func source(_ source: OrderedJSON) -> OrderedJSON {
        var comparison = self
        defer { self = comparison }
        let lsn = source["lsn"]?.text ?? ""
        return source.mapFields { name, value in
            switch name {
            case "version": Self.isString(value) ? .string("version") : value
            case "ts_ms", "ts_us", "ts_ns", "lsn", "origin_lsn": Self.integer(value)
            case "sequence": Self.sequence(value, lsn: lsn)
            case "txId", "xmin": comparison.transaction(value)
            default: value
            }
        }
    }

    /// `txId:lsn` in field `id`.
    private mutating func transactionID(in json: OrderedJSON) -> OrderedJSON {
        var comparison = self
        defer { self = comparison }
        return json.mapFields { name, value in
            guard name == "id", case .string(let text) = value else { return value }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ Self.isDecimal(String($0)) }) else { return value }
            return .string("\(comparison.transaction(.literal(String(parts[0]))).text):lsn")
        }
    }

    /// The same number stands for the same transaction.
    private mutating func transaction(_ value: OrderedJSON) -> OrderedJSON {
        guard case .literal(let text) = value, Self.isDecimal(text) else { return value }
        let number = transactions[text] ?? transactions.count + 1
        transactions[text] = number
        return .literal("tx\(number)")
    }

    private mutating func headers(_ headers: OrderedJSON) -> OrderedJSON {
        guard case .array(let elements) = headers else { return headers }
        var result: [OrderedJSON] = []
        for header in elements {
            guard case .string(let key)? = header["key"], case .string(let id)? = header["value"] else {
                result.append(header)
                continue
            }
            guard key == "__debezium.context.runId" else {
                result.append(header.mapFields { $0 == "value" ? copied(key, $1) : $1 })
                continue
            }
            runIDs.insert(id)
            let isGood = Self.isUUID(id) && runIDs.count == 1
            result.append(isGood ? header.mapFields { $0 == "value" ? .string("run") : $1 } : header)
        }
        return .array(result)
    }

    // MARK: Forms

    private static func integer(_ value: OrderedJSON) -> OrderedJSON {
        guard case .literal(let text) = value, isDecimal(text) else { return value }
        return .literal("integer")
    }

    private static func isString(_ value: OrderedJSON) -> Bool {
        if case .string = value { true } else { false }
    }

    private static func isDecimal(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isUUID(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.count) == [8, 4, 4, 4, 12] && groups.joined().allSatisfy { $0.isHexDigit }
    }

    /// An array of two in a string, the second the event's own LSN.
    private static func sequence(_ value: OrderedJSON, lsn: String) -> OrderedJSON {
        guard case .string(let text) = value, text.hasPrefix("["), text.hasSuffix("]") else { return value }
        let parts = text.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1] == "\\\"\(lsn)\\\"" else { return value }
        let first = parts[0] == "null" ? "null" : "lsn"
        if first == "lsn" {
            let quote = "\\\""
            guard parts[0].hasPrefix(quote), parts[0].hasSuffix(quote),
                isDecimal(String(parts[0].dropFirst(2).dropLast(2)))
            else { return value }
        }
        return .string("sequence")
    }

    private static func sorted(_ value: OrderedJSON) -> OrderedJSON {
        guard case .array(let elements) = value else { return value }
        return .array(elements.sorted { $0.text < $1.text })
    }
}
