import MillraceCore
import MillraceRuntime

/// `/metrics`, and Millrace's own `/v1/connectors/{name}/details`.
struct DetailRoutes: Sendable {
    let worker: Worker
    let checker: ConfigChecker
    let build: BuildInfo
    let startedAt: ContinuousClock.Instant

    var routes: [Route] {
        [
            Route("metrics", produces: "text/plain", [.get(metrics)]),
            Route("v1/connectors/*/details", [.get(details)]),
        ]
    }

    @Sendable private func metrics(_: AdminRequest, _: [String]) async throws -> AdminResponse {
        let uptime = startedAt.duration(to: .now) / .seconds(1)
        let page = MetricsPage.bytes(await worker.metrics(), build, uptime: uptime)
        return AdminResponse(status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: page)
    }

    @Sendable private func details(_: AdminRequest, _ captures: [String]) async throws -> AdminResponse {
        let name = captures[0]
        let info = try await worker.info(name)
        let status = try await worker.status(name)
        let warnings = (try? checker.properties(info.config.values))?.warnings ?? []
        var document: JSONTree = [
            "name": .string(name), "type": .string(info.type.rawValue),
            "class": .text(info.config["connector.class"]), "state": .string(status.state),
            "warnings": .texts(warnings.map(\.message)),
        ]
        switch info.type {
        case .source: document = document.adding("source", Self.source(try await worker.sourceDetails(name)))
        case .sink:
            document = document.adding("tasks", .array(try await worker.sinkDetails(name).map { Self.sink($0) }))
        case .unknown: break
        }
        return .json(document)
    }

    // MARK: Sources

    private static func source(_ details: SourceDetails) -> JSONTree {
        let source = details.source
        return [
            "topic_prefix": .string(details.topicPrefix), "phase": .text(source?.phase.rawValue),
            "server_lsn": .text(source?.serverLSN.description),
            "received_lsn": .text(source?.receivedLSN.description),
            "durable_lsn": .text(details.log?.durable.commitLSN.description),
            "acknowledged_lsn": .text(source?.acknowledgedLSN.description),
            "snapshot_lsn": .text(source?.snapshotLSN?.description),
            "transactions": source.map { .count($0.transactions) } ?? .null,
            "lag_bytes": details.lagBytes.map { .count($0) } ?? .null,
            "lag_seconds": details.lagSeconds.map { .double($0) } ?? .null,
            "errors": .count(details.errors), "retries": .count(details.retries),
            "last_error": error(source?.lastError ?? details.lastError),
            "log": details.log.map { log($0) } ?? .null,
            "tables": .array((source?.tables ?? []).map { table($0) }),
        ]
    }

    private static func log(_ log: LogDetails) -> JSONTree {
        [
            "id": .string(String(log.id, radix: 16)), "directory": .string(log.directory),
            "bytes": .count(log.byteCount), "segments": .int(Int64(log.segmentCount)),
            "start_offset": .count(log.start.offset), "durable_offset": .count(log.durable.offset),
            "trouble": error(log.trouble),
        ]
    }

    private static func table(_ table: SourceStatus.Table) -> JSONTree {
        let percent = table.rowsEstimated.flatMap { estimated -> Double? in
            guard estimated > 0 else { return nil }
            // An estimate may be too low: more than all is never said.
            return min(100, (Double(table.rowsLoaded) / Double(estimated) * 1000).rounded() / 10)
        }
        return [
            "table": .string(table.name), "topic": .string(table.topic), "state": .string(table.state.rawValue),
            "rows_loaded": .count(table.rowsLoaded),
            "rows_estimated": table.rowsEstimated.map { .count($0) } ?? .null,
            "percent": percent.map { .double($0) } ?? .null,
            "inserts": .count(table.inserts), "updates": .count(table.updates), "deletes": .count(table.deletes),
            "truncates": .count(table.truncates), "bytes": .count(table.bytes), "remark": .text(table.remark),
        ]
    }

    // MARK: Sinks

    private static func sink(_ details: SinkDetails) -> JSONTree {
        [
            "id": .int(Int64(details.task)), "source": .string(details.source), "state": .string(details.state.state),
            "trace": .text(details.state.trace),
            "cursor_offset": details.cursor.map { .count($0.offset) } ?? .null,
            "cursor_lsn": .text(details.cursor?.commitLSN.description),
            "lag_bytes": .count(details.lagBytes), "lag_seconds": .double(details.lagSeconds),
            "changes": .count(details.status.changes), "transactions": .count(details.status.transactions),
            "bytes": .count(details.status.bytes), "errors": .count(details.errors),
            "retries": .count(details.retries),
            "suspended": .array(
                details.status.suspended.map { table in
                    [
                        "table": .string(table.table), "position": .string(table.position),
                        "reason": .string(table.reason),
                    ]
                }),
            "tables": .object(
                details.status.changesByTable.sorted { $0.key < $1.key }.map {
                    JSONTree.Member($0.key, .count($0.value))
                }),
        ]
    }

    private static func error(_ error: ConnectorError?) -> JSONTree {
        guard let error else { return .null }
        return [
            "kind": .string(error.kind.rawValue), "code": .string(error.code), "message": .string(error.message),
            "hint": .text(error.hint),
        ]
    }
}
