import CRDKafka
import Envelope
import MillraceCore

/// Kafka's transactions: the events and the cursor behind them become visible together.
extension EventProducer {
    /// Makes this the only producer with its transactional id, which ends what an earlier one has left open, and reads
    /// where that one got to.
    func takeOver(_ cursors: CursorTopic) throws(ConnectorError) -> EncodedBoundary? {
        try repeatedly("begin") { rd_kafka_init_transactions(client.handle, 1000) }
        _ = try topic(named: cursors.topic)
        return try cursors.read(options.producer, logger: context.logger) { (try? checkInterruption()) == nil }
    }

    func beginTransaction() throws(ConnectorError) {
        guard !isInTransaction else { return }
        if let error = rd_kafka_begin_transaction(client.handle) { throw Self.failure(error, "begin") }
        isInTransaction = true
    }

    /// Commits everything that was sent, with the cursor behind it. Nothing may have been sent behind the last boundary.
    func commit(_ cursors: CursorTopic) throws(ConnectorError) {
        try drain()
        guard isInTransaction, let boundary = ledger.durable else { return }
        try send(boundary, cursors)
        try repeatedly("commit") { rd_kafka_commit_transaction(client.handle, 1000) }
        isInTransaction = false
    }

    /// The record that holds the cursor; `boundary`: nil for its removal.
    private func send(_ boundary: EncodedBoundary?, _ cursors: CursorTopic) throws(ConnectorError) {
        let topic = try topic(named: cursors.topic)
        let key = Array(cursors.key.utf8)
        let value = boundary.map { Array(CursorTopic.text($0).utf8) }
        let number = ledger.send()
        while true {
            let code = millrace_produce(
                client.handle, topic, RD_KAFKA_PARTITION_UA, key, key.count, value, value?.count ?? 0, 0, nil,
                UnsafeMutableRawPointer(bitPattern: number << 1))
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw KafkaFailure.record(code, topic: cursors.topic, position: "")
            }
            try serve(100)
        }
        try drain()
        // The record belongs to no transaction of the source: the next event opens a stretch of its own.
        if let boundary { ledger.reach(boundary) }
    }

    /// For `alterOffsets`: a transaction with nothing but the cursor.
    func move(to boundary: EncodedBoundary?, _ cursors: CursorTopic) throws(ConnectorError) {
        try repeatedly("begin") { rd_kafka_init_transactions(client.handle, 1000) }
        try beginTransaction()
        try send(boundary, cursors)
        try repeatedly("commit") { rd_kafka_commit_transaction(client.handle, 1000) }
        isInTransaction = false
    }

    /// Ends an open transaction without waiting long; the next producer with this id does it otherwise.
    func abandonTransaction() {
        guard isInTransaction else { return }
        isInTransaction = false
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        // An aborting transaction waits for its records to be reported.
        client.serve(0)
        if let error = rd_kafka_abort_transaction(client.handle, 2000) { rd_kafka_error_destroy(error) }
    }

    /// librdkafka goes on with the same step when it is called again after a timeout.
    private func repeatedly(_ what: String, _ step: () -> OpaquePointer?) throws(ConnectorError) {
        while let error = step() {
            let isRetriable = rd_kafka_error_is_retriable(error) == 1
            guard isRetriable else { throw Self.failure(error, what) }
            rd_kafka_error_destroy(error)
            try serve(0)
        }
    }

    /// Takes over `error`.
    private static func failure(_ error: OpaquePointer, _ what: String) -> ConnectorError {
        defer { rd_kafka_error_destroy(error) }
        let text = rd_kafka_error_string(error).map { String(cString: $0) } ?? ""
        return KafkaFailure.producer(rd_kafka_error_code(error), "cannot \(what) a transaction: \(text)")
    }
}
