import MillraceCore

/// A segment file opened for reading: its header has been checked.
struct SegmentFile<Storage: LogStorage> {
    let storage: Storage
    let file: Storage.File
    let path: String
    let header: SegmentHeader

    init(_ storage: Storage, directory: String, name: String) throws(LogError) {
        let path = directory + "/" + name
        let file = try storage.open(path)
        let block = Block(SegmentHeader.size)
        let count = try storage.read(
            file, into: UnsafeMutableRawBufferPointer(rebasing: block.bytes[..<SegmentHeader.size]), at: 0)
        let header = try SegmentHeader(block.prefix(count), path: path)
        guard SegmentHeader.name(firstOffset: header.firstOffset) == name else {
            throw .corrupt(path: path, offset: 32, reason: "the header's first offset is not that of the file's name")
        }
        self.storage = storage
        self.file = file
        self.path = path
        self.header = header
    }

    func size() throws(LogError) -> UInt64 {
        try storage.size(file)
    }

    /// The seal at the end of a file of this size; nil where there is none.
    func seal(fileSize: UInt64) throws(LogError) -> SegmentSeal? {
        let overhead = UInt64(SegmentHeader.size + SegmentSeal.size)
        guard fileSize >= overhead else { return nil }
        let block = Block(SegmentSeal.size)
        let count = try storage.read(file, into: block.bytes, at: fileSize - UInt64(SegmentSeal.size))
        return SegmentSeal(block.prefix(count), salt: header.salt, contentLength: fileSize - overhead)
    }

    /// The frame header at `position`; nil where there is none.
    func frameHeader(at position: UInt64) throws(LogError) -> FrameHeader? {
        let block = Block(FrameHeader.size)
        let count = try storage.read(file, into: block.bytes, at: position)
        return FrameHeader(block.prefix(count), salt: header.salt, position: position)
    }

    /// The payload of a frame, nil if it is not what was written. `end`: file position that no frame goes beyond.
    func payload(of frame: FrameHeader, at position: UInt64, end: UInt64) throws(LogError) -> Block? {
        // The length was checked with the header, yet must not make us allocate what the file cannot hold.
        guard position &+ frame.totalLength <= end else { return nil }
        let block = Block(frame.payloadLength)
        let target = UnsafeMutableRawBufferPointer(rebasing: block.bytes[..<frame.payloadLength])
        let count = try storage.read(file, into: target, at: position + UInt64(FrameHeader.size))
        guard frame.matches(block.prefix(count), salt: header.salt, position: position) else { return nil }
        return block
    }

    func damaged(_ position: UInt64, _ reason: String) -> LogError {
        .corrupt(path: path, offset: position, reason: reason)
    }
}

/// Steps over the frames of a segment by their headers, reading small ones many at a time.
struct FrameWalker<Storage: LogStorage> {
    let segment: SegmentFile<Storage>
    /// File position of the next frame.
    private(set) var position: UInt64
    /// File position to stop at.
    let end: UInt64
    private let window = Block(16 << 10)
    private var windowStart: UInt64 = 0
    private var windowCount = 0

    init(_ segment: SegmentFile<Storage>, end: UInt64) {
        self.segment = segment
        self.end = end
        position = UInt64(SegmentHeader.size)
    }

    /// The next frame's header and position; nil at the end, or (`position` < `end`) where no whole frame is.
    mutating func next() throws(LogError) -> (header: FrameHeader, position: UInt64)? {
        let size = UInt64(FrameHeader.size)
        guard end >= size, position <= end - size else { return nil }
        if position < windowStart || position + size > windowStart + UInt64(windowCount) {
            windowStart = position
            let target = UnsafeMutableRawBufferPointer(
                rebasing: window.bytes[..<Int(min(end - position, UInt64(window.bytes.count)))])
            windowCount = try segment.storage.read(segment.file, into: target, at: position)
        }
        let index = Int(position - windowStart)
        guard index + FrameHeader.size <= windowCount,
            let header = FrameHeader(
                window.prefix(windowCount).part(index..<index + FrameHeader.size), salt: segment.header.salt,
                position: position),
            header.totalLength <= end - position
        else { return nil }
        let start = position
        position += header.totalLength
        return (header, start)
    }

    /// Goes on at a frame known to begin at `position`.
    mutating func move(to position: UInt64) {
        self.position = position
    }
}
