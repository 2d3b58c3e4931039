import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A descriptor that is readable from `signal` until it is read empty. Behaves as an eventfd (each signal is eight
/// bytes), but is a pipe: Swift's C library module does not have eventfd.
final class DurableEvent: Sendable {
    let descriptor: Int32
    private let writeEnd: Int32

    init() throws(ConnectorError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw ConnectorError(
                .transient, code: "no_descriptors", "cannot make a pipe: \(String(cString: strerror(errno)))",
                hint: "raise the limit of open files (ulimit -n)", foreignCode: String(errno))
        }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        descriptor = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(descriptor)
        close(writeEnd)
    }

    func signal() {
        // It fails only when the pipe is full, and then it is readable already.
        var one: UInt64 = 1
        _ = write(writeEnd, &one, 8)
    }
}
