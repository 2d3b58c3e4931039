import Glibc
import MillraceCore
import Synchronization

/// The write end of the pipe that wakes the watching thread; -1 before there is one.
private let wakeFile = Atomic<Int32>(-1)
private let signalCount = Atomic<Int>(0)

/// Turns the first SIGTERM or SIGINT into a call and the second one into the end of the process. SIGPIPE is ignored: a
/// peer that goes away is an error of that connection.
final class SignalWatch: Sendable {
    private let first = Monitor(false)

    init() {
        signal(SIGPIPE, SIG_IGN)
        var files: [Int32] = [-1, -1]
        guard pipe(&files) == 0 else { return }
        for file in files { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
        let readEnd = files[0]
        wakeFile.store(files[1], ordering: .sequentiallyConsistent)
        _ = signalCount.load(ordering: .sequentiallyConsistent)
        for number in [SIGTERM, SIGINT] {
            // Only what may be done in a signal handler: atomics, write and _exit.
            signal(number) { number in
                let count = signalCount.add(1, ordering: .sequentiallyConsistent).newValue
                if count > 1 { _exit(128 + number) }
                var byte: UInt8 = 1
                _ = write(wakeFile.load(ordering: .sequentiallyConsistent), &byte, 1)
            }
        }
        let first = first
        _ = WorkerThread("signals") {
            var byte: UInt8 = 0
            while read(readEnd, &byte, 1) < 0 && errno == EINTR {}
            first.update { $0 = true }
        }
    }

    /// Calls `body` once, on a thread of its own, when the first signal comes (or has come).
    func onFirst(_ body: @escaping @Sendable () -> Void) {
        let first = first
        _ = WorkerThread("signal-wait") {
            _ = first.wait { $0 ? true : nil }
            body()
        }
    }
}
