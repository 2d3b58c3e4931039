import MillraceCore

/// `op` of an event.
enum Operation {
    case read
    case create
    case update
    case delete
    case truncate

    var text: StaticString {
        switch self {
        case .read: "r"
        case .create: "c"
        case .update: "u"
        case .delete: "d"
        case .truncate: "t"
        }
    }
}

extension EnvelopeEncoder {
    /// An update, or, where the key has changed: the delete of the old key, its tombstone, and the create of the new key.
    func update(
        _ plan: TablePlan, _ lsn: LSN, _ old: OldTuple?, _ new: TupleView, _ events: EncodedEvents
    ) throws(ConnectorError) {
        if options.skipsUnchangedRows, let old, try isUnchanged(plan, old, new, events) {
            // Debezium announces transactions before it looks what is in them.
            return beginTransaction(lsn, events)
        }
        if let old, try hasNewKey(plan, old, new, events) {
            return try changeKey(plan, lsn, old, new, events)
        }
        try write(.update, plan, lsn, old: old, new: new, .none, events)
    }

    /// Whether an event would show the same row twice. Only a whole old image can tell.
    private func isUnchanged(
        _ plan: TablePlan, _ old: OldTuple, _ new: TupleView, _ events: EncodedEvents
    ) throws(ConnectorError) -> Bool {
        guard case .full(let before) = old else { return false }
        let out = events.json
        let start = out.count
        defer { out.truncate(to: start) }
        try row.write(before, nil, plan, into: out)
        let middle = out.count
        try row.write(new, old, plan, into: out)
        return out[start..<middle].elementsEqual(out[middle..<out.count]) && plan.hasSameNulls(before, new)
    }

    private func hasNewKey(
        _ plan: TablePlan, _ old: OldTuple, _ new: TupleView, _ events: EncodedEvents
    ) throws(ConnectorError) -> Bool {
        guard !plan.keyColumns.isEmpty else { return false }
        if case .key = old, !plan.keyColumns.allSatisfy({ plan.relation.columns[$0.column].isReplicaIdentity }) {
            // Columns of message.key.columns that the old image does not hold: nothing is known of their old values.
            return false
        }
        let start = events.json.count
        defer { events.json.truncate(to: start) }
        guard let before = try writeKey(plan, old.tuple, nil, events), let after = try writeKey(plan, new, old, events)
        else { return false }
        return !events.json[before.payload].elementsEqual(events.json[after.payload])
    }

    private func changeKey(
        _ plan: TablePlan, _ lsn: LSN, _ old: OldTuple, _ new: TupleView, _ events: EncodedEvents
    ) throws(ConnectorError) {
        guard let oldKey = try writeKey(plan, old.tuple, nil, events), let newKey = try writeKey(plan, new, old, events)
        else { return }
        var event = EncodedEvent(
            topic: plan.topic, key: oldKey.whole, value: nil, headers: .newKey, otherKey: newKey.payload,
            commitLSN: info.commitLSN, ordinal: ordinal, commitTime: info.commitTime, schemas: plan.schemas)
        if !options.skippedOperations.contains("d") {
            let block = beginEvent(plan, lsn, events)
            event.value = try writeValue(.delete, plan, lsn, old: old, new: nil, .none, block, events)
            events.append(event)
            if options.writesTombstones {
                event.value = nil
                events.append(event)
            }
        }
        if options.skippedOperations.contains("c") { return }
        let second = beginEvent(plan, lsn, events)
        event.value = try writeValue(.create, plan, lsn, old: old, new: new, .none, second, events)
        event.key = newKey.whole
        event.headers = .oldKey
        event.otherKey = oldKey.payload
        events.append(event)
    }

    func delete(
        _ plan: TablePlan, _ lsn: LSN, _ old: OldTuple, _ events: EncodedEvents
    ) throws(ConnectorError) {
        try write(.delete, plan, lsn, old: old, new: nil, .none, events)
        // Also behind a row without a key, as Debezium does it.
        guard options.writesTombstones, case .event(var event)? = events.items.last else { return }
        event.value = nil
        events.append(event)
    }

    func truncate(
        _ lsn: LSN, _ view: TruncateView, _ batch: ChangeBatch, _ events: EncodedEvents
    ) throws(ConnectorError) {
        if options.skippedOperations.contains("t") {
            // Debezium announces transactions before it looks what is in them.
            return beginTransaction(lsn, events)
        }
        for id in view.relations {
            let plan = try plan(for: id, batch)
            if plan.isWanted { try write(.truncate, plan, lsn, old: nil, new: nil, .none, events) }
        }
    }

    /// Writes one event with its key.
    func write(
        _ operation: Operation, _ plan: TablePlan, _ lsn: LSN, old: OldTuple?, new: TupleView?,
        _ marker: SnapshotMarker,
        _ events: EncodedEvents
    ) throws(ConnectorError) {
        let block = beginEvent(plan, lsn, events)
        var key: Range<Int>?
        if let tuple = new ?? old?.tuple { key = try writeKey(plan, tuple, new == nil ? nil : old, events)?.whole }
        let value = try writeValue(operation, plan, lsn, old: old, new: new, marker, block, events)
        events.append(
            EncodedEvent(
                topic: plan.topic, key: key, value: value, headers: options.writesContextHeaders ? .context : .none,
                otherKey: 0..<0, commitLSN: info.commitLSN, ordinal: ordinal, commitTime: info.commitTime,
                schemas: plan.schemas))
    }

    /// Counts the event in its transaction; before the first of them, the transaction's own event is written.
    private func beginEvent(_ plan: TablePlan, _ lsn: LSN, _ events: EncodedEvents) -> TransactionMetadata.Block? {
        guard metadata.isEnabled, !info.flags.contains(.snapshot) else { return nil }
        beginTransaction(lsn, events)
        return metadata.count(plan.collection)
    }

    /// Nil for a table without a key. `fallback` has the values that `tuple` left out as unchanged.
    private func writeKey(
        _ plan: TablePlan, _ tuple: TupleView, _ fallback: OldTuple?, _ events: EncodedEvents
    ) throws(ConnectorError) -> (whole: Range<Int>, payload: Range<Int>)? {
        guard !plan.keyColumns.isEmpty else { return nil }
        let out = events.json
        let start = out.count
        out.append(plan.text[plan.keyPrefix])
        let payload = out.count
        out.append(byte: 0x7B)
        for index in plan.keyColumns.indices {
            let column = plan.keyColumns[index]
            out.append(plan.text[column.name])
            var value = tuple.value(at: column.column)
            if case .unchanged? = value, let fallback { value = fallback.tuple.value(at: column.column) }
            switch value {
            case .null: out.append(plan.text[column.null])
            case .text(let text):
                do {
                    try keyWriter.write(text, column.encoder, plan.keyElements, into: out)
                } catch {
                    throw plan.error(error, column.column)
                }
            case .binary: throw plan.error(.binaryFormat, column.column)
            case .unchanged: throw plan.unavailable(column.column)
            case nil: throw plan.malformed()
            }
        }
        out.append(byte: 0x7D)
        let end = out.count
        if !plan.keyPrefix.isEmpty { out.append(byte: 0x7D) }
        return (start..<out.count, payload..<end)
    }

    private func writeValue(
        _ operation: Operation, _ plan: TablePlan, _ lsn: LSN, old: OldTuple?, new: TupleView?,
        _ marker: SnapshotMarker,
        _ block: TransactionMetadata.Block?, _ events: EncodedEvents
    ) throws(ConnectorError) -> Range<Int> {
        let out = events.json
        let start = out.count
        out.append(plan.text[plan.valuePrefix])
        out.append("{\"before\":")
        if let old, operation == .update || operation == .delete {
            try row.write(old, plan, into: out)
        } else {
            out.append("null")
        }
        out.append(",\"after\":")
        if let new { try row.write(new, old, plan, into: out) } else { out.append("null") }
        writeSource(lsn, marker, plan.text[plan.sourceName], out)
        writeBlock(block, lsn, out)
        out.append(",\"op\":\"")
        out.append(operation.text)
        out.append(byte: 0x22)
        out.appendTimes(.now())
        out.append(byte: 0x7D)
        if !plan.valuePrefix.isEmpty { out.append(byte: 0x7D) }
        return start..<out.count
    }

    /// `name`: the schema and the table.
    func writeSource(_ lsn: LSN, _ marker: SnapshotMarker, _ name: UnsafeRawBufferPointer, _ out: JSONBuffer) {
        let pieces = transactionText
        out.append(pieces.text[pieces.head])
        out.append(marker.text)
        out.append(pieces.text[pieces.sequence])
        out.append(decimal: lsn.value)
        out.append(pieces.text[pieces.times])
        out.append(name)
        out.append(pieces.text[pieces.transaction])
        out.append(decimal: lsn.value)
        out.append(pieces.text[pieces.tail])
    }
}

extension TupleView {
    /// The column at `index`, found by walking; nil where the tuple is shorter.
    func value(at index: Int) -> ColumnValue? {
        var iterator = makeIterator()
        for _ in 0..<index where iterator.next() == nil { return nil }
        return iterator.next()
    }
}

extension JSONBuffer {
    /// `,"ts_ms":…,"ts_us":…,"ts_ns":…`: the first 13, the first 16 and all 19 digits of the same number.
    func appendTimes(_ time: ProcessingTime) {
        append(",\"ts_ms\":")
        append(decimal: time.nanoseconds / 1_000_000)
        append(",\"ts_us\":")
        append(decimal: time.nanoseconds / 1000)
        append(",\"ts_ns\":")
        append(decimal: time.nanoseconds)
    }
}
