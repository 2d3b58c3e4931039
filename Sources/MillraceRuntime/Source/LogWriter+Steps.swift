import MillraceCore
import MillraceLog

/// What the writing thread does, one step at a time. Nothing here waits, so that a simulation can take the steps itself.
extension LogWriter {
    enum Step: Hashable {
        /// Something was done; there may be more.
        case again
        /// There is nothing to do until something is submitted or the writer is to stop.
        case idle
        /// There is no space. To be tried again after this time, or when the writer is to stop.
        case stalled(Duration)
        /// Nothing will be written any more.
        case ended
    }

    func makeSession() -> LogWritingSession {
        LogWritingSession(progress: SourceProgress(state.read { $0.recovered }))
    }

    func step(_ session: inout LogWritingSession) -> Step {
        do {
            guard let work = nextWork(&session) else { return .idle }
            let pause = try attempt(work, &session)
            if case .end = work { return .ended }
            return pause.map { .stalled($0) } ?? .again
        } catch {
            fail(error)
            return .ended
        }
    }

    private func nextWork(_ session: inout LogWritingSession) -> LogWritingSession.Work? {
        let isStopping = state.read { $0.isStopping }
        if let stalled = session.takeStalled() {
            guard isStopping else { return stalled }
            // What could not be written was not acknowledged. It is left out, and the end is tried once.
            state.update { $0.dropQueue() }
            session.endStall()
            return .end
        }
        let now = clock.elapsed()
        return state.update { state in
            if session.shouldFlush(isIdle: state.isEmpty, at: now) { return .flush }
            if let item = state.pop() { return .item(item) }
            return state.isStopping ? .end : nil
        }
    }

    /// Does `work`. If there is no space for it: keeps it for later and returns how long to wait.
    private func attempt(
        _ work: LogWritingSession.Work, _ session: inout LogWritingSession
    ) throws(LogError) -> Duration? {
        let trouble: ConnectorError
        if case .item(.buffer(let buffer)) = work, let full = limitReached(adding: buffer.count) {
            trouble = full
        } else {
            do {
                try perform(work, &session)
                endStall(&session)
                return nil
            } catch .noSpace(let path) {
                trouble = LogTrouble.noSpace(path, byteCount: log.byteCount)
            }
        }
        try flushBeforeWaiting(&session)
        onPressure()
        beginStall(trouble)
        return session.stall(work, firstPause: retryPause)
    }

    private func perform(
        _ work: LogWritingSession.Work, _ session: inout LogWritingSession
    ) throws(LogError) {
        switch work {
        case .item(let item): try write(item, &session)
        case .flush: publish(try log.flush(), &session)
        case .end:
            if session.progress.hasOpenTransaction { try rollBack(&session) }
            if session.hasUnsynced { publish(try log.flush(), &session) }
        }
    }

    private func write(_ item: LogWriterState.Item, _ session: inout LogWritingSession) throws(LogError) {
        let now = clock.elapsed()
        switch item {
        case .buffer(let buffer):
            let count = buffer.count
            try log.append(buffer)
            session.progress.noteAppended(buffer)
            session.noteAppended(UInt64(count), at: now)
            state.update {
                $0.noteWritten(count)
                $0.recycle(buffer)
            }
        case .spool(let spool, let info):
            let count = spool.byteCount
            // The spool's bytes are on the disk already; only its frames are new.
            try log.append(spool, info)
            session.progress.noteAppended(info)
            session.noteAppended(count, at: now)
        case .rollBack:
            try rollBack(&session)
            session.noteAppended(0, at: now)
        case .reset:
            try log.reset()
            session.progress.noteReset(log.recovered)
            let recovered = log.recovered
            state.update {
                $0.recovered = recovered
                $0.durableLSN = .zero
            }
            session.noteAppended(0, at: now)
        }
    }

    /// Half of it cannot be tried again: an error, whatever its reason, is the end of this log object.
    private func rollBack(_ session: inout LogWritingSession) throws(LogError) {
        do {
            try log.rollBackOpenTransaction()
        } catch {
            throw .failed(reason: error.description)
        }
        session.progress.noteRolledBack()
    }

    private func publish(_ end: Cursor, _ session: inout LogWritingSession) {
        session.progress.noteFlushed(end)
        let recovered = session.progress.durable
        let count = session.takeUnsynced()
        state.update {
            $0.recovered = recovered
            $0.durableLSN = max($0.durableLSN, recovered.lastEndLSN ?? .zero)
            $0.durableCount += count
        }
        event.signal()
    }

    // MARK: Trouble

    /// Before a wait for space: what was appended must reach the sinks, or the slowest one could never let go of the
    /// segments that are to make room.
    private func flushBeforeWaiting(_ session: inout LogWritingSession) throws(LogError) {
        guard session.hasUnsynced else { return }
        do { publish(try log.flush(), &session) } catch .noSpace { return }
    }

    private func limitReached(adding byteCount: Int) -> ConnectorError? {
        guard let limit = maxByteCount, byteCount > 0, log.byteCount + UInt64(byteCount) > limit else { return nil }
        onPressure()
        guard log.byteCount + UInt64(byteCount) > limit else { return nil }
        return LogTrouble.limitReached(limit, byteCount: log.byteCount)
    }

    func beginStall(_ trouble: ConnectorError) {
        let isNew = state.update { state in
            defer { state.stall = trouble }
            return state.stall?.code != trouble.code
        }
        if isNew { onTrouble(trouble) }
    }

    private func endStall(_ session: inout LogWritingSession) {
        session.endStall()
        guard state.read({ $0.stall != nil }) else { return }
        state.update { $0.stall = nil }
        onTrouble(nil)
    }

    /// Nobody knows what is on the disk now: this log object is never written again.
    private func fail(_ error: LogError) {
        let failure = LogTrouble.failed(error)
        state.update {
            $0.failure = failure
            $0.dropQueue()
        }
        onTrouble(failure)
        event.signal()
    }
}
