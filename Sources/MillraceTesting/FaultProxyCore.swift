import Glibc

/// The state of a `FaultProxy`, moved on by its thread.
struct FaultProxyCore {
    private(set) var links: [FaultProxyLink] = []
    private(set) var accepted = 0
    private(set) var passed = 0
    private(set) var cut: FaultProxy.Cut?
    var isClosed = false

    private var fault = FaultProxy.Fault.pass
    private let port: Int
    private let target: Int
    private var listener: Int32
    private let wake: Int32

    init(port: Int, target: Int, wake: Int32) throws {
        self.port = port
        self.target = target
        self.wake = wake
        listener = try Socket.listen(on: port)
    }

    // MARK: From outside

    mutating func set(_ fault: FaultProxy.Fault) {
        self.fault = fault
        for index in links.indices { links[index].isDropping = fault == .vanish || links[index].isLost }
        if fault == .reset {
            resetAll()
            close(listener)
            listener = -1
        } else if listener < 0 {
            // The port was ours a moment ago: nobody but us asks for it.
            listener = (try? Socket.listen(on: port)) ?? -1
        }
        if listener >= 0 { Socket.setDropping(fault == .vanish, listener) }
    }

    mutating func arm(_ cut: FaultProxy.Cut) {
        self.cut = cut
        for index in links.indices { links[index].beginCounting() }
    }

    mutating func resetAll() {
        for link in links { link.reset() }
        links.removeAll()
    }

    mutating func closeAll() {
        resetAll()
        if listener >= 0 { close(listener) }
        close(wake)
    }

    // MARK: The thread

    /// What to wait for, and how long at most (milliseconds).
    mutating func prepare() -> (descriptors: [pollfd], timeout: Int32, isClosed: Bool) {
        var descriptors = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
        if listener >= 0 { descriptors.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
        var timeout: Int32 = 200
        for link in links where !link.isDropping && fault != .silent {
            for (flow, source, sink) in [(link.up, link.client, link.server), (link.down, link.server, link.client)] {
                let wait = flow.wait(fault, now: Socket.now())
                if flow.canRead { descriptors.append(pollfd(fd: source, events: Int16(POLLIN), revents: 0)) }
                if let wait {
                    if wait > 0 {
                        timeout = min(timeout, wait)
                    } else {
                        descriptors.append(pollfd(fd: sink, events: Int16(POLLOUT), revents: 0))
                    }
                }
            }
        }
        return (descriptors, timeout, isClosed)
    }

    mutating func move() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(wake, &bytes, bytes.count) > 0 {}
        acceptAll()
        guard fault != .silent else { return }
        for index in links.indices where !links[index].isDropping {
            passed += links[index].move(fault, &cut)
        }
        links.removeAll { link in
            guard link.isOver else { return false }
            link.close()
            return true
        }
    }

    private mutating func acceptAll() {
        guard listener >= 0, fault != .vanish else { return }
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            accepted += 1
            guard let server = Socket.connect(to: target) else {
                Socket.reset(client)
                continue
            }
            Socket.prepare(client)
            links.append(FaultProxyLink(client: client, server: server))
        }
    }
}

/// System calls on TCP sockets of the loopback.
enum Socket {
    static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    static func listen(on port: Int) throws -> Int32 {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        setOption(handle, SOL_SOCKET, SO_REUSEADDR, 1)
        let bound = withAddress(port) { bind(handle, $0, $1) }
        guard handle >= 0, bound == 0, Glibc.listen(handle, 64) == 0 else {
            let error = errno
            if handle >= 0 { close(handle) }
            throw TestFailure("cannot listen on port \(port): errno \(error)")
        }
        _ = fcntl(handle, F_SETFL, O_NONBLOCK)
        return handle
    }

    /// Nil where nobody listens. The loopback answers at once.
    static func connect(to port: Int) -> Int32? {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard handle >= 0 else { return nil }
        guard withAddress(port, { Glibc.connect(handle, $0, $1) }) == 0 else {
            close(handle)
            return nil
        }
        prepare(handle)
        return handle
    }

    static func prepare(_ handle: Int32) {
        _ = fcntl(handle, F_SETFL, O_NONBLOCK)
        _ = fcntl(handle, F_SETFD, FD_CLOEXEC)
        setOption(handle, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// Closes with RST instead of FIN.
    static func reset(_ handle: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(handle, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(handle)
    }

    /// Whether the kernel throws away every segment that arrives for this socket before TCP sees it: a filter (socket(7),
    /// classic BPF) that accepts no byte.
    static func setDropping(_ isDropping: Bool, _ handle: Int32) {
        let attach: Int32 = 26
        let detach: Int32 = 27
        guard isDropping else {
            setOption(handle, SOL_SOCKET, detach, 0)
            return
        }
        // struct sock_filter { u16 code; u8 jt, jf; u32 k }: BPF_RET | BPF_K with k = 0.
        var instruction: UInt64 = 6
        withUnsafeMutablePointer(to: &instruction) { instruction in
            // struct sock_fprog { unsigned short len; struct sock_filter *filter }.
            var program: (UInt64, UnsafeMutablePointer<UInt64>) = (1, instruction)
            setsockopt(handle, SOL_SOCKET, attach, &program, 16)
        }
    }

    private static func setOption(_ handle: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(handle, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func withAddress(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
