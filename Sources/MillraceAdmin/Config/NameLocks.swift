/// Lets one request at a time change a connector, so that two merges into one configuration do not lose each other.
actor NameLocks {
    private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

    nonisolated func withLock<Result: Sendable>(
        _ name: String, _ body: @Sendable () async throws -> Result
    ) async throws -> Result {
        await lock(name)
        do {
            let result = try await body()
            await unlock(name)
            return result
        } catch {
            await unlock(name)
            throw error
        }
    }

    private func lock(_ name: String) async {
        if waiting[name] == nil {
            waiting[name] = []
        } else {
            await withCheckedContinuation { waiting[name, default: []].append($0) }
        }
    }

    /// Hands the lock to the next one; it is gone when there is none.
    private func unlock(_ name: String) {
        guard var line = waiting[name], !line.isEmpty else {
            waiting[name] = nil
            return
        }
        let next = line.removeFirst()
        waiting[name] = line
        next.resume()
    }
}
