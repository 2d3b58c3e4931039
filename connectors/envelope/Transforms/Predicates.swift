import MillraceCore

/// `org.apache.kafka.connect.transforms.predicates.Predicate`.
protocol Predicate {
    func test(_ record: ConnectRecord) -> Bool
}

/// `TopicNameMatches`: the whole name matches `pattern`.
struct TopicNameMatches: Predicate {
    private let pattern: JavaPattern

    init(_ config: StepConfig) throws(ConnectorError) {
        pattern = try config.pattern("pattern", try config.required("pattern"))
    }

    func test(_ record: ConnectRecord) -> Bool { pattern.matchesWhole(record.topic) }
}

/// `HasHeaderKey`: there is a header called `name`.
struct HasHeaderKey: Predicate {
    private let name: String

    init(_ config: StepConfig) throws(ConnectorError) {
        name = try config.required("name")
    }

    func test(_ record: ConnectRecord) -> Bool { record.headers.contains { $0.key == name } }
}

/// `RecordIsTombstone`: the value is null.
struct RecordIsTombstone: Predicate {
    func test(_ record: ConnectRecord) -> Bool { record.value.isNull }
}

/// A transform that only applies where its predicate says so (`predicate`, `negate`).
final class PredicatedTransform: Transform {
    private let predicate: any Predicate
    private let isNegated: Bool
    private let transform: any Transform

    init(_ transform: any Transform, if predicate: any Predicate, isNegated: Bool) {
        self.transform = transform
        self.predicate = predicate
        self.isNegated = isNegated
    }

    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? {
        guard predicate.test(record) != isNegated else { return record }
        return try transform.apply(record)
    }
}

/// `Filter`: drops what reaches it. Of use with a predicate only.
final class Filter: Transform {
    func apply(_ record: ConnectRecord) throws(ConnectorError) -> ConnectRecord? { nil }
}
