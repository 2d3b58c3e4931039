import Glibc

/// One connection through a `FaultProxy`.
struct FaultProxyLink {
    let client: Int32
    let server: Int32
    /// Towards the server, and back.
    var up = FaultProxyFlow()
    var down = FaultProxyFlow()
    /// Its packets vanish, whatever happens to others.
    private(set) var isLost = false
    private var isBroken = false

    init(client: Int32, server: Int32) {
        self.client = client
        self.server = server
    }

    var isDropping = false {
        didSet {
            guard isDropping != oldValue else { return }
            Socket.setDropping(isDropping, client)
            Socket.setDropping(isDropping, server)
        }
    }

    var isOver: Bool { isBroken || (up.isFinished && down.isFinished) }

    mutating func beginCounting() {
        up.counted = 0
        down.counted = 0
    }

    func reset() {
        Socket.reset(client)
        Socket.reset(server)
    }

    func close() {
        if isBroken {
            reset()
        } else {
            Glibc.close(client)
            Glibc.close(server)
        }
    }

    /// Moves what can be moved; returns how many bytes were passed on.
    mutating func move(_ fault: FaultProxy.Fault, _ cut: inout FaultProxy.Cut?) -> Int {
        // The answer first: what the server said before a cut behind the request has arrived before.
        var moved = pass(fault, &cut, .toClient)
        if !isLost && !isBroken { moved += pass(fault, &cut, .toServer) }
        return moved
    }

    private mutating func pass(
        _ fault: FaultProxy.Fault, _ cut: inout FaultProxy.Cut?, _ direction: FaultProxy.Cut.Direction
    ) -> Int {
        let isUp = direction == .toServer
        var flow = isUp ? up : down
        defer { if isUp { up = flow } else { down = flow } }
        flow.receive(from: isUp ? client : server)
        var limit = Int.max
        var isCut = false
        if let wanted = cut, wanted.direction == direction {
            (limit, isCut) = flow.limit(wanted)
        }
        let sent = flow.send(to: isUp ? server : client, fault, limit: limit)
        if isCut && sent == limit, let wanted = cut {
            cut = nil
            switch wanted.answer {
            case .vanish:
                isLost = true
                isDropping = true
            // What was sent is read by the other end before it sees the RST.
            case .reset: isBroken = true
            }
        }
        if flow.hasFailed { isBroken = true }
        return sent
    }
}

/// Bytes on their way in one direction.
struct FaultProxyFlow {
    private var pending: [UInt8] = []
    /// When the first bytes of `pending` came, by their end in the flow.
    private var arrivals: [(end: Int, time: Int)] = []
    private var received = 0
    private var sent = 0
    private var isAtEnd = false
    private(set) var isFinished = false
    private(set) var hasFailed = false
    private var lastSent = 0
    /// Bytes sent since a cut was armed.
    var counted = 0

    private static let capacity = 64 << 10

    var canRead: Bool { !isAtEnd && !hasFailed && pending.count < Self.capacity }

    /// Milliseconds until something may be sent; nil while there is nothing.
    func wait(_ fault: FaultProxy.Fault, now: Int) -> Int32? {
        guard !pending.isEmpty || (isAtEnd && !isFinished) else { return nil }
        switch fault {
        case .delay(let milliseconds):
            guard let first = arrivals.first else { return 0 }
            return Int32(clamping: max(0, first.time + milliseconds - now))
        case .throttle: return Int32(clamping: max(0, lastSent + 10 - now))
        default: return 0
        }
    }

    mutating func receive(from handle: Int32) {
        guard canRead else { return }
        var buffer = [UInt8](repeating: 0, count: Self.capacity - pending.count)
        let count = recv(handle, &buffer, buffer.count, 0)
        if count > 0 {
            pending.append(contentsOf: buffer[..<count])
            received += count
            arrivals.append((received, Socket.now()))
        } else if count == 0 {
            isAtEnd = true
        } else if errno != EAGAIN && errno != EINTR {
            hasFailed = true
        }
    }

    /// How many of the pending bytes may still pass, and whether the cut is behind them.
    func limit(_ cut: FaultProxy.Cut) -> (limit: Int, isCut: Bool) {
        switch cut.place {
        case .byteCount(let count):
            let rest = max(0, count - counted)
            return rest <= pending.count ? (rest, true) : (rest, false)
        case .text(let text):
            return pending.contains(text) ? (pending.count, true) : (.max, false)
        }
    }

    /// Sends what the fault lets through; returns how many bytes that were.
    mutating func send(to handle: Int32, _ fault: FaultProxy.Fault, limit: Int) -> Int {
        let now = Socket.now()
        var budget = min(limit, pending.count)
        switch fault {
        case .delay(let milliseconds):
            let due = arrivals.last { $0.time + milliseconds <= now }?.end ?? sent
            budget = min(budget, due - sent)
        case .throttle(let rate):
            let elapsed = min(now - lastSent, 100)
            budget = elapsed < 10 ? 0 : min(budget, max(1, rate * elapsed / 1000))
        case .singleBytes: budget = min(budget, 512)
        default: break
        }
        var done = 0
        while done < budget {
            let size = fault == .singleBytes ? 1 : budget - done
            let count = pending.withUnsafeBytes {
                Glibc.send(handle, $0.baseAddress.map { $0 + done }, size, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno != EAGAIN && errno != EINTR { hasFailed = true }
                break
            }
            done += count
        }
        if done > 0 {
            pending.removeFirst(done)
            sent += done
            counted += done
            lastSent = now
            arrivals.removeAll { $0.end <= sent }
        }
        if pending.isEmpty && isAtEnd && !isFinished {
            shutdown(handle, Int32(SHUT_WR))
            isFinished = true
        }
        return done
    }
}
