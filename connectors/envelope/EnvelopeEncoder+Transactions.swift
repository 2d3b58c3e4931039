import MillraceCore

/// Counts for `provide.transaction.metadata`.
struct TransactionMetadata {
    /// An event's place in its transaction.
    struct Block {
        var totalOrder: UInt64
        var collectionOrder: UInt64
    }

    let isEnabled: Bool
    private(set) var hasBegun = false
    private(set) var total: UInt64 = 0
    private var counts: [UInt64] = []
    /// Collections with events, in order of their first.
    private(set) var touched: [Int] = []
    private(set) var names: [String] = []
    private var indexes: [String: Int] = [:]

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled
    }

    mutating func collection(_ name: String) -> Int {
        if let index = indexes[name] { return index }
        names.append(name)
        counts.append(0)
        indexes[name] = names.count - 1
        return names.count - 1
    }

    mutating func reset() {
        guard isEnabled else { return }
        hasBegun = false
        total = 0
        for index in touched { counts[index] = 0 }
        touched.removeAll(keepingCapacity: true)
    }

    mutating func begin() {
        hasBegun = true
    }

    mutating func count(_ collection: Int) -> Block {
        if counts[collection] == 0 { touched.append(collection) }
        counts[collection] += 1
        total += 1
        return Block(totalOrder: total, collectionOrder: counts[collection])
    }

    func count(of collection: Int) -> UInt64 { counts[collection] }
}

extension EnvelopeEncoder {
    /// The transaction's BEGIN event, once, before its first change.
    func beginTransaction(_ lsn: LSN, _ events: EncodedEvents) {
        guard metadata.isEnabled, !metadata.hasBegun, !info.flags.contains(.nonTransactional) else { return }
        metadata.begin()
        writeTransaction("BEGIN", lsn, events) { out in
            out.append(",\"event_count\":null,\"data_collections\":null")
        }
    }

    func endTransaction(_ events: EncodedEvents) {
        guard metadata.isEnabled, metadata.hasBegun else { return }
        writeTransaction("END", info.endLSN, events) { out in
            out.append(",\"event_count\":")
            out.append(decimal: metadata.total)
            out.append(",\"data_collections\":[")
            for (position, collection) in metadata.touched.enumerated() {
                if position > 0 { out.append(byte: 0x2C) }
                out.append("{\"data_collection\":")
                out.append(quoted: metadata.names[collection])
                out.append(",\"event_count\":")
                out.append(decimal: metadata.count(of: collection))
                out.append(byte: 0x7D)
            }
            out.append(byte: 0x5D)
        }
        metadata.reset()
    }

    private func writeTransaction(
        _ status: StaticString, _ lsn: LSN, _ events: EncodedEvents, _ counts: (JSONBuffer) -> Void
    ) {
        guard isWantedTopic(options.transactionTopic) else { return }
        let out = events.json
        let start = out.count
        withSchema(options.key, EventSchemas.transactionKey, out) {
            out.append("{\"id\":")
            writeTransactionID(lsn, out)
            out.append(byte: 0x7D)
        }
        let middle = out.count
        withSchema(options.value, EventSchemas.transaction, out) {
            out.append("{\"status\":\"")
            out.append(status)
            out.append("\",\"id\":")
            writeTransactionID(lsn, out)
            counts(out)
            out.append(",\"ts_ms\":")
            out.append(decimal: info.commitTime.microsecondsSince1970 / 1000)
            out.append(byte: 0x7D)
        }
        events.append(
            EncodedEvent(
                topic: topicIndex(options.transactionTopic), key: start..<middle, value: middle..<out.count,
                headers: .none, otherKey: 0..<0, commitLSN: info.commitLSN, ordinal: ordinal,
                commitTime: info.commitTime, schemas: Self.transactionSchemas))
    }

    func withSchema(
        _ converter: EnvelopeOptions.Converter, _ schema: ConnectSchema, _ out: JSONBuffer, _ payload: () -> Void
    ) {
        guard converter.includesSchema else { return payload() }
        out.append("{\"schema\":")
        SchemaText.write(schema, decimalsAsNumbers: converter.writesDecimalsAsNumbers, into: out)
        out.append(",\"payload\":")
        payload()
        out.append(byte: 0x7D)
    }

    private func writeTransactionID(_ lsn: LSN, _ out: JSONBuffer) {
        out.append(byte: 0x22)
        out.append(decimal: UInt64(info.xid))
        out.append(byte: 0x3A)
        out.append(decimal: lsn.value)
        out.append(byte: 0x22)
    }

    /// `,"transaction":…`
    func writeBlock(_ block: TransactionMetadata.Block?, _ lsn: LSN, _ out: JSONBuffer) {
        guard let block else { return out.append(",\"transaction\":null") }
        out.append(",\"transaction\":{\"id\":")
        writeTransactionID(lsn, out)
        out.append(",\"total_order\":")
        out.append(decimal: block.totalOrder)
        out.append(",\"data_collection_order\":")
        out.append(decimal: block.collectionOrder)
        out.append(byte: 0x7D)
    }

    // MARK: Messages

    func message(_ lsn: LSN, _ view: MessageView, _ events: EncodedEvents) throws(ConnectorError) {
        if HeartbeatMessage.matches(view.prefix) { return heartbeat(events) }
        guard isWantedTopic(options.messageTopic) else { return }
        if view.isTransactional { beginTransaction(lsn, events) }
        let out = events.json
        let start = out.count
        var isValid = true
        withSchema(options.key, EventSchemas.messageKey, out) {
            out.append("{\"prefix\":")
            isValid = out.append(quoted: view.prefix)
            out.append(byte: 0x7D)
        }
        guard isValid else {
            throw ConnectorError(.data, code: "not_utf8", "the prefix of a logical message is not UTF-8")
        }
        let middle = out.count
        withSchema(options.value, EventSchemas.message(options.binaryMode), out) {
            out.append("{\"op\":\"m\",\"ts_ms\":")
            out.append(decimal: ProcessingTime.now().nanoseconds / 1_000_000)
            let noTable: StaticString = "\"schema\":\"\",\"table\":\"\""
            let name = UnsafeRawBufferPointer(start: noTable.utf8Start, count: noTable.utf8CodeUnitCount)
            writeSource(lsn, .none, name, out)
            out.append(",\"transaction\":null,\"message\":{\"prefix\":")
            out.append(quoted: view.prefix)
            out.append(",\"content\":")
            keyWriter.binary(view.content, options.binaryMode, out)
            out.append("}}")
        }
        events.append(
            EncodedEvent(
                topic: topicIndex(options.messageTopic), key: start..<middle, value: middle..<out.count, headers: .none,
                otherKey: 0..<0, commitLSN: info.commitLSN, ordinal: ordinal, commitTime: info.commitTime,
                schemas: Self.messageSchemas))
    }
}
