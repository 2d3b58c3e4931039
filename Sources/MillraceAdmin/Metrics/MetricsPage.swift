import MillraceCore
import MillraceRuntime

/// What `/metrics` shows.
struct MetricsPage {
    private var text = PrometheusText()

    static func bytes(_ metrics: WorkerMetrics, _ build: BuildInfo, uptime: Double) -> [UInt8] {
        var page = MetricsPage()
        page.addProcess(build, uptime: uptime)
        for connector in metrics.connectors { page.addConnector(connector) }
        for source in metrics.sources { page.addSource(source) }
        for sink in metrics.sinks { page.addSink(sink) }
        return page.text.bytes
    }

    private mutating func addProcess(_ build: BuildInfo, uptime: Double) {
        let figures = ProcessFigures()
        text.add(
            "build_info", .gauge, "Always 1; the labels say what runs.",
            [("version", build.version), ("commit", build.commit)], 1 as UInt64)
        text.add("uptime_seconds", .gauge, "Seconds since the server started.", [], uptime)
        text.add("process_resident_memory_bytes", .gauge, "Resident memory.", [], figures.residentBytes)
        text.add("process_threads", .gauge, "Threads of the process.", [], figures.threads)
        text.add("process_open_fds", .gauge, "Open file descriptors.", [], figures.openFiles)
        text.add("process_cpu_seconds_total", .counter, "CPU time used.", [], figures.cpuSeconds)
    }

    private mutating func addConnector(_ connector: ConnectorStatus) {
        text.add(
            "connector_info", .gauge, "Always 1; the labels say what each connector is and does.",
            [("connector", connector.name), ("type", connector.type.rawValue), ("state", connector.state)], 1 as UInt64)
        for task in connector.tasks {
            text.add(
                "task_info", .gauge, "Always 1; the labels say what each task does.",
                [("connector", connector.name), ("task", String(task.id)), ("state", task.state)], 1 as UInt64)
        }
    }

    private mutating func addSource(_ details: SourceDetails) {
        let labels: PrometheusText.Labels = [("connector", details.connector)]
        text.add("source_lag_bytes", .gauge, "WAL at the server that is not durable here.", labels, details.lagBytes)
        text.add(
            "source_lag_seconds", .gauge, "Age of the last commit received, 0 when level.", labels, details.lagSeconds)
        text.add("source_errors_total", .counter, "Errors of the source.", labels, details.errors)
        text.add("source_retries_total", .counter, "Starts after an error.", labels, details.retries)
        if let source = details.source { addStatus(source, labels) }
        guard let log = details.log else { return }
        text.add(
            "source_lsn_durable", .gauge, "LSN up to which changes are fsynced.", labels, log.durable.commitLSN.value)
        text.add("log_bytes", .gauge, "Size of the change log.", labels, log.byteCount)
        text.add("log_segments", .gauge, "Segments of the change log.", labels, UInt64(log.segmentCount))
        text.add("log_start_offset", .gauge, "Log offset of the oldest byte kept.", labels, log.start.offset)
        text.add("log_durable_offset", .gauge, "Log offset up to which bytes are fsynced.", labels, log.durable.offset)
        text.add(
            "log_blocked", .gauge, "1 while the change log takes nothing.", labels,
            log.trouble == nil ? 0 : 1 as UInt64)
    }

    private mutating func addStatus(_ source: SourceStatus, _ labels: PrometheusText.Labels) {
        text.add(
            "source_phase", .gauge, "Always 1; the label says the phase.",
            labels + [("phase", source.phase.rawValue)], 1 as UInt64)
        text.add(
            "source_lsn_sent", .gauge, "End of WAL at the server, as it last said.", labels, source.serverLSN.value)
        text.add("source_lsn_received", .gauge, "LSN received.", labels, source.receivedLSN.value)
        text.add(
            "source_lsn_acknowledged", .gauge, "LSN reported to the server as flushed.", labels,
            source.acknowledgedLSN.value)
        text.add("source_transactions_total", .counter, "Transactions received.", labels, source.transactions)
        for table in source.tables {
            let labels = labels + [("table", table.name)]
            for (operation, count) in [
                ("insert", table.inserts), ("update", table.updates), ("delete", table.deletes),
                ("truncate", table.truncates),
            ] {
                text.add(
                    "source_changes_total", .counter, "Changes received by table.",
                    labels + [("operation", operation)], count)
            }
            text.add("source_bytes_total", .counter, "Bytes of changes received by table.", labels, table.bytes)
            text.add("source_snapshot_rows_total", .counter, "Rows read by the full load.", labels, table.rowsLoaded)
            text.add(
                "source_snapshot_rows_estimated", .gauge, "Rows that the full load expects.", labels,
                table.rowsEstimated)
            text.add(
                "source_table_stale", .gauge, "1 for a table that needs a new full load.", labels,
                table.state == .stale ? 1 : 0 as UInt64)
        }
    }

    private mutating func addSink(_ sink: SinkDetails) {
        let labels: PrometheusText.Labels = [
            ("connector", sink.connector), ("task", String(sink.task)), ("source", sink.source),
        ]
        text.add(
            "sink_cursor_offset", .gauge, "Log offset up to which changes are durable.", labels, sink.cursor?.offset)
        text.add(
            "sink_cursor_lsn", .gauge, "Commit LSN up to which changes are durable.", labels,
            sink.cursor?.commitLSN.value)
        text.add("sink_lag_bytes", .gauge, "Bytes of log that are not delivered durably.", labels, sink.lagBytes)
        text.add(
            "sink_lag_seconds", .gauge, "Age of the newest transaction delivered, 0 when level.", labels,
            sink.lagSeconds)
        text.add("sink_changes_total", .counter, "Changes delivered.", labels, sink.status.changes)
        text.add("sink_transactions_total", .counter, "Transactions delivered.", labels, sink.status.transactions)
        text.add("sink_bytes_total", .counter, "Bytes of log delivered.", labels, sink.status.bytes)
        text.add("sink_errors_total", .counter, "Errors of the sink.", labels, sink.errors)
        text.add("sink_retries_total", .counter, "Starts after an error.", labels, sink.retries)
        text.add(
            "sink_suspended_tables", .gauge, "Tables that stand still because a row was refused.", labels,
            UInt64(sink.status.suspended.count))
        for (table, count) in sink.status.changesByTable.sorted(by: { $0.key < $1.key }) {
            text.add(
                "sink_table_changes_total", .counter, "Changes delivered by table.", labels + [("table", table)], count)
        }
    }
}
