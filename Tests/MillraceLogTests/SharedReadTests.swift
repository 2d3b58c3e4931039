import MillraceCore
import MillraceLog
import MillraceTesting
import Testing

/// Counts what is read from the disk behind it.
struct CountingStorage: LogStorage {
    typealias File = SimulatedStorage.File
    let disk: SimulatedStorage
    let bytesRead = Monitor(0)

    func list(_ directory: String) throws(LogError) -> [String] { try disk.list(directory) }
    func makeDirectory(_ directory: String) throws(LogError) { try disk.makeDirectory(directory) }
    func create(_ path: String) throws(LogError) -> File { try disk.create(path) }
    func open(_ path: String) throws(LogError) -> File { try disk.open(path) }
    func size(_ file: File) throws(LogError) -> UInt64 { try disk.size(file) }
    func modificationTime(_ file: File) throws(LogError) -> Int64 { try disk.modificationTime(file) }
    func read(_ file: File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LogError) -> Int {
        let count = try disk.read(file, into: buffer, at: offset)
        bytesRead.update { $0 += count }
        return count
    }
    func write(
        _ file: File, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(LogError) { try disk.write(file, head, body, at: offset) }
    func sync(_ file: File) throws(LogError) { try disk.sync(file) }
    func truncate(_ file: File, to size: UInt64) throws(LogError) { try disk.truncate(file, to: size) }
    func rename(_ path: String, to newPath: String) throws(LogError) { try disk.rename(path, to: newPath) }
    func remove(_ path: String) throws(LogError) { try disk.remove(path) }
    func syncDirectory(_ directory: String) throws(LogError) { try disk.syncDirectory(directory) }
    func randomNumber() -> UInt64 { disk.randomNumber() }
}

/// Many readers of one log: read from disk about once, and each gets what it would get alone.
@Suite struct SharedReadTests {
    typealias Log = ChangeLog<CountingStorage>
    let storage = CountingStorage(disk: SimulatedStorage(seed: 11))

    func filled(_ count: Int = 400) throws -> Log {
        let log = try Log.open(
            directory: "/log", options: LogOptions(segmentByteLimit: 20_000, frameByteLimit: 300), storage: storage)
        for number in 1...count { try append(number, log) }
        try log.flush()
        return log
    }

    func append(_ number: Int, _ log: Log) throws {
        let text = String(repeating: "x", count: 100)
        try log.append(transaction(UInt64(number) * 100, ["\(number) \(text)"], define: number == 1))
    }

    /// Bytes that `body` causes to be read.
    func bytes(_ body: () throws -> Void) rethrows -> Int {
        let before = storage.bytesRead.read { $0 }
        try body()
        return storage.bytesRead.read { $0 } - before
    }

    @Test func twentyReadersFarBehindReadAboutAsMuchAsOne() throws {
        let log = try filled()
        let expected = try log.lines(byteLimit: 3000)
        let one = try bytes { _ = try log.lines(byteLimit: 3000) }
        let readers = try (0..<20).map { _ in try log.makeReader(after: nil) }
        let seen = Monitor([Int: [String]]())
        let all = bytes {
            let threads = readers.enumerated().map { number, reader in
                WorkerThread("reader") {
                    var lines: [String] = []
                    while let batch = try? reader.next(byteLimit: 3000, timeout: .zero) {
                        lines += (try? describe(batch)) ?? []
                    }
                    let result = lines
                    seen.update { $0[number] = result }
                }
            }
            for thread in threads { #expect(thread.join(for: .seconds(60))) }
        }
        for number in readers.indices { #expect(seen.read { $0[number] } == expected) }
        #expect(all <= one * 2, "\(all) bytes for 20, \(one) for one")
    }

    @Test func twentyReadersThatFollowReadAsMuchAsOne() throws {
        let log = try filled(1)
        let readers = try (0..<20).map { _ in try log.makeReader(after: log.durable) }
        var lines = [[String]](repeating: [], count: readers.count)
        let read = try bytes {
            for number in 2...60 {
                try append(number, log)
                try log.flush()
                for (index, reader) in readers.enumerated() {
                    // Limits need not be the same for what fits into both.
                    while let batch = try reader.next(byteLimit: index % 2 == 0 ? 4000 : 9000, timeout: .zero) {
                        lines[index] += try describe(batch)
                    }
                }
            }
        }
        for index in readers.indices { #expect(lines[index] == lines[0]) }
        #expect(lines[0].filter { $0.hasPrefix("I") }.count == 59)
        #expect(UInt64(read) < log.durable.offset * 2, "\(read) bytes of \(log.durable.offset)")
    }

    @Test func readersWithOtherPlacesAndLimitsGetWhatTheyWouldGetAlone() throws {
        let log = try filled(60)
        let middle = try #require(try log.makeReader(after: nil).next(byteLimit: 7000, timeout: .zero)).end
        let limits = [1, 500, 3000, 3000, 9000]
        for cursor in [nil, middle] {
            let expected = try log.lines(after: cursor)
            let readers = try limits.map { _ in try log.makeReader(after: cursor) }
            let other = try log.makeReader(after: cursor == nil ? middle : nil)
            var lines = [[String]](repeating: [], count: limits.count)
            var isMore = true
            while isMore {
                isMore = false
                _ = try other.next(byteLimit: 3000, timeout: .zero)
                for (index, reader) in readers.enumerated() {
                    guard let batch = try reader.next(byteLimit: limits[index], timeout: .zero) else { continue }
                    isMore = true
                    #expect(batch.relations[RelationID(1)] != nil || cursor == nil)
                    lines[index] += try describe(batch)
                }
            }
            for index in limits.indices { #expect(lines[index] == expected, "limit \(limits[index])") }
        }
    }

    @Test func damageIsRefusedForEachReader() throws {
        let log = try filled(5)
        storage.disk.damage("/log/" + log.segments[0].name) { bytes in bytes[bytes.count - 20] ^= 1 }
        let readers = try (0..<5).map { _ in try log.makeReader(after: nil) }
        for reader in readers { #expect(try reader.next(byteLimit: 9000, timeout: .zero) != nil) }
        for reader in readers + readers {
            guard case .corrupt = logError({ _ = try reader.next(byteLimit: 9000, timeout: .zero) }) else {
                Issue.record("damage was not seen")
                return
            }
        }
    }

    @Test func whatWasTrimmedOrDiscardedIsNotHandedOn() throws {
        let log = try filled()
        let readers = try (0..<3).map { _ in try log.makeReader(after: nil) }
        _ = try readers[0].next(byteLimit: 3000, timeout: .zero)
        try log.trim(before: log.segments[2].end)
        guard case .cursor = logError({ _ = try readers[1].next(byteLimit: 3000, timeout: .zero) }) else {
            Issue.record("a trimmed place was read")
            return
        }
        try log.reset()
        guard case .discarded = logError({ _ = try readers[2].next(byteLimit: 3000, timeout: .zero) }) else {
            Issue.record("a discarded log was read")
            return
        }
    }
}
