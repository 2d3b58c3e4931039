import MillraceCore

/// A source's offset as Debezium's PostgreSQL connector shows it: the names of the fields are its own.
enum SourceOffsetDocument {
    static func partition(topicPrefix: String) -> JSONTree {
        .object([.init("server", .string(topicPrefix))])
    }

    /// Nil before anything is durable. `status`: nil where the source has not run since the server started.
    /// `commitTime`: of the newest transaction in the log, as far as that knows.
    static func offset(_ log: RecoveredLog, _ status: SourceStatus?, commitTime: Timestamp? = nil) -> JSONTree? {
        guard let end = log.lastEndLSN, let commit = log.lastCommitLSN else { return nil }
        var members: [JSONTree.Member] = []
        let isSnapshot = status?.snapshotLSN.map { commit <= $0 } ?? false
        if isSnapshot {
            let isDone = status?.phase != .snapshot && status?.phase != .starting
            members = [
                .init("last_snapshot_record", .bool(isDone)), .init("lsn", number(end)),
                .init("snapshot", .string("INITIAL")), .init("snapshot_completed", .bool(isDone)),
            ]
        } else {
            members = [
                .init("lsn_proc", number(end)), .init("messageType", .string("COMMIT")),
                .init("lsn_commit", number(commit)), .init("lsn", number(end)),
            ]
        }
        if let status {
            if status.lastXID != 0 || isSnapshot { members.append(.init("txId", .int(Int64(status.lastXID)))) }
        }
        if let time = status?.lastCommitTime ?? commitTime {
            members.append(.init("ts_usec", .int(time.microsecondsSince1970)))
        }
        return .object(members)
    }

    private static func number(_ lsn: LSN) -> JSONTree { .int(Int64(clamping: lsn.value)) }
}
