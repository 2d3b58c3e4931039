import Glibc
import MillraceCore

/// A TCP proxy on the loopback that damages what passes through it: the network between a server and its peer.
///
/// The fault can be changed at any time, and holds for the connections that live then and for those to come. One thread
/// moves all bytes, so that a change of the fault has taken effect when `set` returns.
package final class FaultProxy: Sendable {
    /// What happens to bytes and connections.
    package enum Fault: Hashable, Sendable {
        case pass
        /// Packets vanish, in both directions and without a FIN: a cut cable. Not even the kernel answers, neither to data nor
        /// to keepalives nor to a SYN.
        case vanish
        /// The kernel at the other end still answers, but nobody reads or writes there: a frozen machine.
        case silent
        /// Connections are reset (RST) at once, and refused from then on.
        case reset
        /// Every byte arrives so much later.
        case delay(milliseconds: Int)
        /// At most so many bytes a second in each direction.
        case throttle(bytesPerSecond: Int)
        /// One byte per segment and system call.
        case singleBytes
    }

    /// Where a connection is to be cut.
    package struct Cut: Sendable {
        package enum Direction: Sendable {
            /// From the program that connected to the proxy.
            case toServer
            case toClient
        }
        package enum Answer: Sendable {
            /// What follows is lost with the connection: RST.
            case reset
            /// What follows vanishes, and the connection stays.
            case vanish
        }

        var direction: Direction
        var place: Place
        var answer: Answer

        enum Place: Sendable {
            case byteCount(Int)
            case text([UInt8])
        }

        /// After so many bytes of a connection in one direction, counted from now.
        package static func after(_ count: Int, _ direction: Direction, _ answer: Answer = .reset) -> Cut {
            Cut(direction: direction, place: .byteCount(count), answer: answer)
        }

        /// The first segment that holds `text` reaches the server, and the answer to it never comes back.
        package static func behind(_ text: String, _ answer: Answer = .reset) -> Cut {
            Cut(direction: .toServer, place: .text(Array(text.utf8)), answer: answer)
        }
    }

    package let port: Int
    let core: Monitor<FaultProxyCore>
    private let wakeEnd: Int32
    private let thread = Monitor<WorkerThread?>(nil)

    /// Listens on a free port, and passes on to `target` on the loopback.
    package init(to target: Int) throws {
        port = try freePort()
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestFailure("cannot make a pipe: errno \(errno)") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        wakeEnd = ends[1]
        let core = Monitor(try FaultProxyCore(port: port, target: target, wake: ends[0]))
        self.core = core
        thread.update {
            $0 = WorkerThread("fault proxy") {
                while true {
                    var (descriptors, timeout, isClosed) = core.update { $0.prepare() }
                    if isClosed { return }
                    poll(&descriptors, nfds_t(descriptors.count), timeout)
                    core.update { $0.move() }
                }
            }
        }
    }

    deinit {
        core.update { $0.isClosed = true }
        wake()
        thread.read { $0 }?.join()
        core.update { $0.closeAll() }
        close(wakeEnd)
    }

    /// Changes what happens to every connection from now on.
    package func set(_ fault: Fault) {
        core.update { $0.set(fault) }
        wake()
    }

    /// Cuts the connection that reaches `cut` first; once.
    package func arm(_ cut: Cut) {
        core.update { $0.arm(cut) }
    }

    /// Waits until the armed cut has happened.
    package func waitForCut(within timeout: Duration = .seconds(60)) throws {
        guard core.wait(for: timeout, until: { $0.cut == nil ? true : nil }) != nil else {
            throw TestFailure("the connection did not reach the place of its cut within \(timeout)")
        }
    }

    /// Closes every connection with an RST, those that have lost their packets too, and goes on with the same fault.
    package func resetConnections() {
        core.update { $0.resetAll() }
    }

    /// How many connections are open now.
    package var connectionCount: Int { core.read { $0.links.count } }
    /// How many have been accepted so far.
    package var acceptedCount: Int { core.read { $0.accepted } }
    /// Bytes that have been passed on, both directions together.
    package var passedBytes: Int { core.read { $0.passed } }

    private func wake() {
        var one: UInt8 = 1
        _ = write(wakeEnd, &one, 1)
    }
}
