import FileConnector
import MillraceCore

/// A disk in memory that can be stopped at any step, and then forgets what had not been made sure.
// SAFETY: each test uses its own, on one thread.
final class MemoryStorage: FileStorage, @unchecked Sendable {
    private struct File {
        var bytes: [UInt8] = []
        /// Bytes that survive a crash.
        var sureCount = 0
    }

    /// Files by number; names point to them, so that a rename moves a name and not the bytes.
    private var files: [Int: File] = [:]
    private var names: [String: Int] = [:]
    private var sureNames: [String: Int] = [:]
    private var directories: Set<String> = []
    private var handles: [Int32: Int] = [:]
    private var nextNumber = 1
    private var locked: Set<String> = []
    private var lockHandles: [Int32: String] = [:]

    /// Steps that may still be taken; nil: any number.
    var stepsLeft: Int?
    private(set) var steps = 0
    /// Every path that was ever given.
    private(set) var paths: Set<String> = []

    private func step(_ path: String? = nil) throws(ConnectorError) {
        if let path { paths.insert(path) }
        steps += 1
        guard let left = stepsLeft else { return }
        guard left > 0 else { throw ConnectorError(.transient, code: "file_error", "the disk is gone") }
        stepsLeft = left - 1
    }

    /// What is left after the machine has lost its power. `losesNames`: also names that were not made sure are lost, as
    /// they may or may not be.
    func crash(losesNames: Bool) {
        if losesNames { names = sureNames }
        files = files.mapValues { file in
            File(bytes: Array(file.bytes.prefix(file.sureCount)), sureCount: file.sureCount)
        }
        sureNames = names
        handles = [:]
        locked = []
        lockHandles = [:]
        stepsLeft = nil
    }

    func content(_ path: String) -> String? {
        names[path].flatMap { files[$0] }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// Paths with this extension, in order.
    func finished(_ pathExtension: String) -> [String] {
        names.keys.filter { $0.hasSuffix("." + pathExtension) }.sorted()
    }

    func put(_ path: String, _ text: String) {
        files[nextNumber] = File(bytes: Array(text.utf8), sureCount: text.utf8.count)
        names[path] = nextNumber
        sureNames[path] = nextNumber
        nextNumber += 1
    }

    // MARK: FileStorage

    func createDirectory(_ path: String) throws(ConnectorError) {
        try step(path)
        directories.insert(path)
    }

    func list(_ directory: String) throws(ConnectorError) -> [String] {
        try step(directory)
        return names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
            .filter { !$0.contains("/") }
    }

    func open(_ path: String, truncating: Bool) throws(ConnectorError) -> Int32 {
        try step(path)
        let number = names[path] ?? nextNumber
        if names[path] == nil {
            nextNumber += 1
            files[number] = File()
            names[path] = number
        }
        if truncating { files[number] = File() }
        let handle = Int32(handles.count + lockHandles.count + steps + 3)
        handles[handle] = number
        return handle
    }

    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        try step()
        guard let number = handles[file] else { throw ConnectorError(.bug, code: "test", "written after close") }
        files[number]?.bytes += bytes
    }

    func sync(_ file: Int32) throws(ConnectorError) {
        try step()
        guard let number = handles[file] else { throw ConnectorError(.bug, code: "test", "synced after close") }
        let count = files[number]?.bytes.count ?? 0
        files[number]?.sureCount = count
    }

    func close(_ file: Int32) {
        if let path = lockHandles.removeValue(forKey: file) { locked.remove(path) }
        handles[file] = nil
    }

    func rename(_ from: String, _ to: String) throws(ConnectorError) {
        try step(to)
        guard let number = names.removeValue(forKey: from) else {
            throw ConnectorError(.transient, code: "file_error", "no such file")
        }
        names[to] = number
    }

    func remove(_ path: String) throws(ConnectorError) {
        try step(path)
        names[path] = nil
    }

    func syncDirectory(_ path: String) throws(ConnectorError) {
        try step(path)
        func isInside(_ name: String) -> Bool {
            name.hasPrefix(path + "/") && !name.dropFirst(path.count + 1).contains("/")
        }
        sureNames = sureNames.filter { !isInside($0.key) }
        for (name, number) in names where isInside(name) { sureNames[name] = number }
    }

    func read(_ path: String) throws(ConnectorError) -> [UInt8]? {
        try step(path)
        return names[path].flatMap { files[$0]?.bytes }
    }

    func lock(_ path: String) throws(ConnectorError) -> Int32? {
        try step(path)
        guard locked.insert(path).inserted else { return nil }
        let handle = Int32(1_000_000 + steps)
        lockHandles[handle] = path
        return handle
    }
}
