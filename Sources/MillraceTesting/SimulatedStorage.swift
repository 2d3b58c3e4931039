import MillraceCore
package import MillraceLog

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A disk in memory that forgets what was not synced, in the ways that real ones do.
///
/// Written bytes and changed names are visible at once, and durable after `sync` or `syncDirectory`. `crash` makes the disk
/// that a machine finds when its power comes back: of what was not durable any part may be there, in sectors of 512 bytes
/// and single names, in any combination. All from one seed.
package final class SimulatedStorage: LogStorage {
    /// What the disk is to do, by the number of the call counted from 1.
    package struct Faults: Sendable {
        /// The machine goes down in this call: it may have done part of its work, and every later call fails.
        package var crashAtCall: Int?
        /// The next `sync` fails, and what it should have made durable never will be.
        package var failNextSync = false
        package var failNextDirectorySync = false
        /// The next write does a part of its work and fails.
        package var failNextWrite = false
        package var failNextRead = false
        /// Bytes that files may still grow by; nil for no limit.
        package var spaceLeft: Int?

        package init() {}
    }

    package final class File: Sendable {
        fileprivate let inode: Int
        fileprivate let path: String

        fileprivate init(inode: Int, path: String) {
            self.inode = inode
            self.path = path
        }
    }

    private enum Write {
        case bytes(Int, [UInt8])
        case size(Int)
    }

    private enum Naming {
        case link(String, Int)
        case unlink(String)
        case rename(String, String, Int)
    }

    private struct Inode {
        var content: [UInt8] = []
        var durable: [UInt8] = []
        var pending: [Write] = []
        /// A failed sync has dropped writes, which no later one makes durable.
        var hasLost = false
    }

    private struct Disk {
        var inodes: [Int: Inode] = [:]
        var nextInode = 1
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var pendingNames: [Naming] = []
        var faults = Faults()
        var calls = 0
        var isDown = false
        /// Faults that have happened, by what they are.
        var fired: [String: Int] = [:]
        var random: SeededGenerator
    }

    private let disk: Monitor<Disk>

    package init(seed: UInt64) {
        disk = Monitor(Disk(random: SeededGenerator(seed: seed)))
    }

    private init(_ disk: Disk) {
        self.disk = Monitor(disk)
    }

    // MARK: What tests do to it

    package var faults: Faults {
        get { disk.read { $0.faults } }
        set { disk.update { $0.faults = newValue } }
    }

    /// Calls so far.
    package var calls: Int { disk.read { $0.calls } }
    package var isDown: Bool { disk.read { $0.isDown } }
    package var fired: [String: Int] { disk.read { $0.fired } }
    package func forgetFired() { disk.update { $0.fired = [:] } }
    /// Paths of all files, in order.
    package var names: [String] { disk.read { $0.names.keys.sorted() } }

    /// The machine stops, or the process is killed: every later call fails.
    package func goDown() { disk.update { $0.isDown = true } }

    /// The disk as the next process finds it when this one was killed: what was written is there, synced or not.
    package func kill() -> SimulatedStorage {
        SimulatedStorage(
            disk.update { disk in
                disk.isDown = true
                var next = disk
                next.isDown = false
                next.faults = Faults()
                next.fired = [:]
                return next
            })
    }

    /// The disk after the power has failed and come back. This one is of no more use.
    package func crash() -> SimulatedStorage {
        SimulatedStorage(
            disk.update { disk in
                disk.isDown = true
                return Self.survivor(of: disk)
            })
    }

    /// A disk with the same content as this one now, all of it durable.
    package func copy() -> SimulatedStorage {
        var copy = disk.read { $0 }
        for (number, inode) in copy.inodes {
            copy.inodes[number] = Inode(content: inode.content, durable: inode.content, pending: [])
        }
        copy.durableNames = copy.names
        copy.pendingNames = []
        copy.isDown = false
        copy.faults = Faults()
        return SimulatedStorage(copy)
    }

    package func content(of path: String) -> [UInt8]? {
        disk.read { disk in disk.names[path].flatMap { disk.inodes[$0]?.content } }
    }

    /// Replaces what is in the file, durably: damage.
    package func damage(_ path: String, _ body: (inout [UInt8]) -> Void) {
        disk.update { disk in
            guard let inode = disk.names[path] else { return }
            body(&disk.inodes[inode, default: Inode()].content)
            let content = disk.inodes[inode]?.content ?? []
            disk.inodes[inode] = Inode(content: content, durable: content, pending: [])
        }
    }

    /// Flips a bit of what is stored: damage.
    package func flipBit(_ bit: Int, of path: String) {
        disk.update { disk in
            guard let number = disk.names[path], var inode = disk.inodes[number] else { return }
            if bit / 8 < inode.content.count { inode.content[bit / 8] ^= 1 << UInt8(bit % 8) }
            if bit / 8 < inode.durable.count { inode.durable[bit / 8] ^= 1 << UInt8(bit % 8) }
            disk.inodes[number] = inode
        }
    }

    /// A number that tells one content of the disk from another.
    package var digest: UInt64 {
        disk.read { disk in
            var digest: UInt64 = 0xCBF2_9CE4_8422_2325
            for (name, inode) in disk.names.sorted(by: { $0.key < $1.key }) {
                for byte in Array(name.utf8) + (disk.inodes[inode]?.content ?? []) {
                    digest = (digest ^ UInt64(byte)) &* 0x0100_0000_01B3
                }
            }
            return digest
        }
    }

    // MARK: Crash

    private static func survivor(of old: Disk) -> Disk {
        var random = old.random
        // Most crashes lose some of it; the two extremes must not be rare either.
        let chance = [0, 10, 50, 90, 100].randomElement(using: &random) ?? 50
        var disk = Disk(random: random)
        disk.nextInode = old.nextInode
        disk.names = old.durableNames
        for naming in old.pendingNames where disk.random.percent(chance) {
            switch naming {
            case .link(let name, let inode): disk.names[name] = inode
            case .unlink(let name): disk.names[name] = nil
            case .rename(let from, let to, let inode):
                if disk.names[from] == inode { disk.names[from] = nil }
                disk.names[to] = inode
            }
        }
        disk.durableNames = disk.names
        for inode in Set(disk.names.values).sorted() {
            guard let before = old.inodes[inode] else { continue }
            var content = before.durable
            for write in before.pending { apply(write, to: &content, chance, &disk.random) }
            disk.inodes[inode] = Inode(content: content, durable: content, pending: [])
        }
        return disk
    }

    private static func apply(
        _ write: Write, to content: inout [UInt8], _ chance: Int, _ random: inout SeededGenerator
    ) {
        switch write {
        case .size(let size):
            guard random.percent(chance) else { return }
            resize(&content, size)
        case .bytes(let start, let bytes):
            var index = 0
            while index < bytes.count {
                var length = min(512 - (start + index) % 512, bytes.count - index)
                let next = index + length
                if random.percent(chance) {
                    // Now and then a sector that was being written.
                    if chance < 100 && random.percent(5) { length = Int(random.next() % UInt64(length + 1)) }
                    put(bytes[index..<index + length], at: start + index, in: &content)
                }
                index = next
            }
        }
    }

    private static func resize(_ content: inout [UInt8], _ size: Int) {
        if size < content.count {
            content.removeSubrange(size...)
        } else {
            content.append(contentsOf: repeatElement(0, count: size - content.count))
        }
    }

    private static func put(_ bytes: ArraySlice<UInt8>, at start: Int, in content: inout [UInt8]) {
        if bytes.isEmpty { return }
        let end = start + bytes.count
        if content.count < end { resize(&content, end) }
        content.replaceSubrange(start..<end, with: bytes)
    }

    // MARK: LogStorage

    /// Counts the call. Returns whether the machine goes down in it.
    private static func enter(_ disk: inout Disk, _ operation: String, _ path: String) throws(LogError) -> Bool {
        if disk.isDown { throw .io(operation: operation, path: path, errno: ESHUTDOWN) }
        disk.calls += 1
        guard disk.calls == disk.faults.crashAtCall else { return false }
        disk.fired["crashes in \(operation)", default: 0] += 1
        disk.isDown = true
        return true
    }

    private static func failure(_ what: String, _ path: String, _ disk: inout Disk) -> LogError {
        disk.fired[what, default: 0] += 1
        return .io(operation: what, path: path, errno: EIO)
    }

    /// Runs a call that a crash does either wholly or not at all.
    private func call<Result>(
        _ operation: String, _ path: String, _ body: (inout Disk) throws(LogError) -> Result
    ) throws(LogError) -> Result {
        try disk.update { (disk) throws(LogError) -> Result in
            let goesDown = try Self.enter(&disk, operation, path)
            if goesDown && disk.random.percent(50) { throw .io(operation: operation, path: path, errno: ESHUTDOWN) }
            let result = try body(&disk)
            if goesDown { throw .io(operation: operation, path: path, errno: ESHUTDOWN) }
            return result
        }
    }

    package func list(_ directory: String) throws(LogError) -> [String] {
        try call("list", directory) { disk in
            disk.names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
                .sorted()
        }
    }

    package func makeDirectory(_ directory: String) throws(LogError) {}

    package func create(_ path: String) throws(LogError) -> File {
        try call("create", path) { (disk) throws(LogError) -> File in
            if disk.names[path] != nil { throw .io(operation: "create", path: path, errno: EEXIST) }
            if let left = disk.faults.spaceLeft, left <= 0 {
                disk.fired["ENOSPC in create", default: 0] += 1
                throw .noSpace(path: path)
            }
            let inode = disk.nextInode
            disk.nextInode += 1
            disk.inodes[inode] = Inode()
            disk.names[path] = inode
            disk.pendingNames.append(.link(path, inode))
            return File(inode: inode, path: path)
        }
    }

    package func open(_ path: String) throws(LogError) -> File {
        try call("open", path) { (disk) throws(LogError) -> File in
            guard let inode = disk.names[path] else { throw .io(operation: "open", path: path, errno: ENOENT) }
            return File(inode: inode, path: path)
        }
    }

    package func size(_ file: File) throws(LogError) -> UInt64 {
        try call("size", file.path) { UInt64($0.inodes[file.inode]?.content.count ?? 0) }
    }

    package func modificationTime(_ file: File) throws(LogError) -> Int64 { 0 }

    package func read(
        _ file: File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(LogError) -> Int {
        try call("read", file.path) { (disk) throws(LogError) in
            if disk.faults.failNextRead {
                disk.faults.failNextRead = false
                throw Self.failure("EIO in read", file.path, &disk)
            }
            guard let content = disk.inodes[file.inode]?.content, offset < UInt64(content.count) else { return 0 }
            let part = content[Int(offset)...].prefix(buffer.count)
            buffer.copyBytes(from: part)
            return part.count
        }
    }

    package func write(
        _ file: File, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(LogError) {
        try disk.update { (disk) throws(LogError) in
            let goesDown = try Self.enter(&disk, "write", file.path)
            let fails = disk.faults.failNextWrite
            disk.faults.failNextWrite = false
            var bytes = Array(head) + Array(body)
            let whole = bytes.count
            if goesDown || fails { bytes.removeLast(Int(disk.random.next() % UInt64(whole + 1))) }
            let size = disk.inodes[file.inode]?.content.count ?? 0
            if let left = disk.faults.spaceLeft {
                let room = max(size + left - Int(offset), 0)
                if bytes.count > room { bytes.removeLast(bytes.count - room) }
                disk.faults.spaceLeft = left - max(Int(offset) + bytes.count - size, 0)
            }
            Self.put(bytes[...], at: Int(offset), in: &disk.inodes[file.inode, default: Inode()].content)
            disk.inodes[file.inode]?.pending.append(.bytes(Int(offset), bytes))
            if goesDown { throw .io(operation: "write", path: file.path, errno: ESHUTDOWN) }
            if fails { throw Self.failure("EIO in write", file.path, &disk) }
            if bytes.count < whole {
                disk.fired["ENOSPC in write", default: 0] += 1
                throw .noSpace(path: file.path)
            }
        }
    }

    package func sync(_ file: File) throws(LogError) {
        try call("sync", file.path) { (disk) throws(LogError) in
            var inode = disk.inodes[file.inode, default: Inode()]
            defer { disk.inodes[file.inode] = inode }
            if disk.faults.failNextSync {
                disk.faults.failNextSync = false
                inode.hasLost = true
                inode.pending = []
                throw Self.failure("EIO in sync", file.path, &disk)
            }
            if inode.hasLost {
                for write in inode.pending { Self.apply(write, to: &inode.durable, 100, &disk.random) }
            } else {
                inode.durable = inode.content
            }
            inode.pending = []
        }
    }

    package func truncate(_ file: File, to size: UInt64) throws(LogError) {
        try call("truncate", file.path) { disk in
            Self.resize(&disk.inodes[file.inode, default: Inode()].content, Int(size))
            disk.inodes[file.inode]?.pending.append(.size(Int(size)))
        }
    }

    package func rename(_ path: String, to newPath: String) throws(LogError) {
        try call("rename", path) { (disk) throws(LogError) in
            guard let inode = disk.names.removeValue(forKey: path) else {
                throw .io(operation: "rename", path: path, errno: ENOENT)
            }
            disk.names[newPath] = inode
            disk.pendingNames.append(.rename(path, newPath, inode))
        }
    }

    package func remove(_ path: String) throws(LogError) {
        try call("remove", path) { (disk) throws(LogError) in
            guard disk.names.removeValue(forKey: path) != nil else {
                throw .io(operation: "remove", path: path, errno: ENOENT)
            }
            disk.pendingNames.append(.unlink(path))
        }
    }

    package func syncDirectory(_ directory: String) throws(LogError) {
        try call("sync directory", directory) { (disk) throws(LogError) in
            if disk.faults.failNextDirectorySync {
                disk.faults.failNextDirectorySync = false
                throw Self.failure("EIO in sync directory", directory, &disk)
            }
            disk.durableNames = disk.names
            disk.pendingNames = []
        }
    }

    package func randomNumber() -> UInt64 {
        disk.update { disk in
            let number = disk.random.next()
            return number == 0 ? 1 : number
        }
    }
}

/// Random numbers that are the same for the same seed everywhere (Steele, Lea, Flood: SplitMix64).
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// True in `chance` of 100 cases.
    package mutating func percent(_ chance: Int) -> Bool {
        Int(next() % 100) < chance
    }
}
