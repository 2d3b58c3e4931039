import Glibc

/// Memory for buffers of a megabyte and more comes from the system, and goes back to it when they are let go.
///
/// glibc raises that limit by itself, to the size of whatever large buffer was freed (mallopt(3), M_MMAP_THRESHOLD): up to 32 MB
/// are then kept in each thread's heap. During a full load, where rows pass through several threads, that was a sixth of
/// the resident memory.
enum LargeBuffers {
    private static let mmapThreshold: Int32 = -3

    static func giveBackWhenFreed() {
        // Swift's Glibc module leaves malloc.h out; other C libraries have no such setting, and no need of it.
        guard let symbol = dlsym(nil, "mallopt") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)(mmapThreshold, 1 << 20)
    }
}
