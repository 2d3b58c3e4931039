#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A thread of our own for code that blocks: sockets, fsync, C libraries. The cooperative pool must never wait for those.
package final class WorkerThread: Sendable {
    private let finished = Monitor(false)

    /// Starts a thread that runs `body` once. `name`: at most 15 bytes are shown by the system's tools.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let start = Start(name: name, body: body, finished: finished)
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // The default of 8 MiB is address space only, but half a megabyte is plenty and tells of runaway recursion.
        pthread_attr_setstacksize(&attributes, 1 << 20)
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                WorkerThread.setName(start.name)
                start.body()
                start.finished.update { $0 = true }
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(status == 0, "cannot create a thread: error \(status)")
    }

    /// Waits until the body has returned. False when `timeout` passed first.
    @discardableResult
    package func join(for timeout: Duration? = nil) -> Bool {
        finished.wait(for: timeout) { $0 ? true : nil } ?? false
    }

    /// Runs blocking code on a thread of its own and suspends the caller until it is done.
    package static func run<Result: Sendable>(
        _ name: String, _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            _ = WorkerThread(name) { continuation.resume(with: Swift.Result { try body() }) }
        }
    }

    /// What `top -H` and `perf` show. Cosmetic, so an error is nobody's business.
    private static func setName(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        let finished: Monitor<Bool>

        init(name: String, body: @escaping @Sendable () -> Void, finished: Monitor<Bool>) {
            self.name = name
            self.body = body
            self.finished = finished
        }
    }
}
