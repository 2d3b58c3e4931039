internal import Logging
internal import MillraceCore

extension PostgresSink {
    func write(_ batch: ChangeBatch) throws(ConnectorError) -> Delivery {
        guard let session else {
            throw ConnectorError(.bug, code: "not_started", "the sink was not started")
        }
        do {
            try deliver(batch, session)
            if !session.isInTransaction {
                try server { () throws(PostgresError) in try horizon?.note(committedThrough, session.connection) }
            }
        } catch {
            throw stoppedOr(error.connectorError)
        }
        return horizon?.durable.map { .durable(through: $0) } ?? .accepted
    }

    /// Applies the batch. What the target refuses suspends its table, and the rest is applied again without it.
    private func deliver(_ batch: ChangeBatch, _ session: SinkSession) throws(SinkFailure) {
        var attempt = Attempt(startedInside: session.isInTransaction)
        session.applier.begin(batch)
        while true {
            do {
                return try apply(batch, session, &attempt)
            } catch {
                if error.asksForLess, !attempt.isPiecewise, !attempt.startedInside {
                    try session.rollBack()
                    attempt.isPiecewise = true
                    session.applier.resume(batch, with: attempt.relations)
                    continue
                }
                guard case .table(let refusal) = error else { throw error }
                try session.rollBack()
                let isMended = try session.applier.learnLabel(refusal)
                if !isMended { try suspend(refusal, session, isHeld: attempt.startedInside) }
                if attempt.startedInside {
                    // Earlier batches of the same transaction went with the rollback.
                    throw .connector(
                        ConnectorError(
                            .transient, code: isMended ? "label_added" : "table_suspended",
                            "\(refusal.tableName) was \(isMended ? "changed" : "suspended") within a large transaction,"
                                + " which is read again"))
                }
                session.applier.resume(batch, with: attempt.relations)
            }
        }
    }

    private struct Attempt {
        /// The target transaction was open before the batch, or parts of it came in earlier batches.
        var startedInside: Bool
        /// Bytes of the batch that are committed.
        var committed = 0
        /// Definitions behind those.
        var relations: [RelationID: Relation]?
        /// Every transaction of the source is committed by itself.
        var isPiecewise = false
    }

    private func apply(_ batch: ChangeBatch, _ session: SinkSession, _ attempt: inout Attempt) throws(SinkFailure) {
        let split = batch.endsInTransaction ? Self.endOfLastTransaction(batch.bytes) : batch.bytes.count
        while split > attempt.committed {
            let end = attempt.isPiecewise ? Self.endOfTransaction(batch.bytes, from: attempt.committed, split) : split
            attempt.committed = try applyWhole(batch, session, attempt.committed..<end)
            attempt.startedInside = false
            attempt.relations = session.applier.currentRelations
        }
        guard split < batch.bytes.count else { return }
        // The beginning, or the middle, of a transaction too large for one batch: in the target, but not visible.
        try server { () throws(PostgresError) in try settle() }
        try session.beginTransaction()
        try session.applier.apply(split..<batch.bytes.count)
    }

    /// Applies a stretch that ends behind a transaction, and commits. Returns how far it came.
    private func applyWhole(
        _ batch: ChangeBatch, _ session: SinkSession, _ range: Range<Int>
    ) throws(SinkFailure) -> Int {
        if !session.applier.isCatchingUp && range.upperBound == batch.bytes.count {
            if try session.applyAtOnce(range, cursor: batch.end) {
                committed(batch.end, session, bytes: range.count)
                return range.upperBound
            }
        }
        try session.beginTransaction()
        let reached = try session.applier.apply(range, mayStop: true)
        let place = session.applier.place
        let end = batch.cursor(behind: reached, commitLSN: place.commitLSN, ordinal: place.ordinal)
        if let main, end.offset < main.offset {
            for (id, through) in session.applier.retried where through < end.offset {
                try server { () throws(PostgresError) in try session.ledger.moveSuspension(id, to: end) }
            }
            try session.commitTransaction(nil)
        } else {
            for id in session.applier.retried.keys {
                try server { () throws(PostgresError) in try session.ledger.endSuspension(id) }
            }
            try session.commitTransaction(end)
        }
        committed(end, session, bytes: reached - range.lowerBound)
        return reached
    }

    private func committed(_ end: Cursor, _ session: SinkSession, bytes: Int) {
        progress = end
        let applier = session.applier
        if let main, end.offset < main.offset {
            for (id, through) in applier.retried where through < end.offset {
                applier.retried[id] = end.offset
                suspended[id]?.cursor = end
            }
        } else {
            main = end
            applier.appliedThrough = nil
            if !applier.retried.isEmpty {
                for id in applier.retried.keys { suspended[id] = nil }
                logger.info("suspended tables have caught up", metadata: ["tables": "\(applier.retried.count)"])
                applier.retried.removeAll()
                publishSuspensions()
            }
        }
        let counted = applier.committed()
        published.update { status in
            status.transactions &+= counted.transactions
            status.bytes &+= UInt64(bytes)
            for (table, count) in counted.changes {
                status.changes &+= count
                status.changesByTable[table.name, default: 0] &+= count
            }
        }
    }

    /// Records that a table is suspended, in a transaction of its own, where it stood at the last commit.
    private func suspend(
        _ refusal: TableRefusal, _ session: SinkSession, isHeld: Bool
    ) throws(SinkFailure) {
        let id = refusal.relation
        let cursor = session.applier.retried[id] != nil ? suspended[id]?.cursor : main
        let suspension = SinkLedger.Suspension(
            relation: id, table: refusal.tableName, position: refusal.position ?? "", cursor: cursor, key: refusal.key,
            sqlState: refusal.sqlState, message: refusal.message, isHeld: isHeld)
        try server { () throws(PostgresError) in try session.ledger.write(suspension) }
        session.applier.knownTable(id)?.isSuspended = true
        session.applier.retried[id] = nil
        suspended[id] = suspension
        logger.error(
            "the target refuses a change: the table is suspended until the task is restarted",
            metadata: [
                "table": "\(refusal.tableName)", "position": "\(suspension.position)", "key": "\(refusal.key ?? "-")",
                "sqlstate": "\(refusal.sqlState ?? "-")", "reason": "\(refusal.message)",
            ])
        publishSuspensions()
    }

    /// Index behind the first commit record at or behind `start`; `limit` for none.
    private static func endOfTransaction(_ bytes: UnsafeRawBufferPointer, from start: Int, _ limit: Int) -> Int {
        var offset = start
        while offset < limit, let (kind, body) = RecordReader.peek(bytes, at: offset) {
            offset += RecordReader.headerSize + body.count
            if kind == RecordKind.commit { return offset }
        }
        return limit
    }

    /// Index behind the last commit record; 0 for none.
    private static func endOfLastTransaction(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        var end = 0
        while let (kind, body) = RecordReader.peek(bytes, at: offset) {
            offset += RecordReader.headerSize + body.count
            if kind == RecordKind.commit { end = offset }
        }
        return end
    }
}
