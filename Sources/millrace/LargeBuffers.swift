import CMalloc

/// Memory for buffers of a megabyte and more comes from the system, and goes back to it when they are let go.
///
/// glibc raises that limit by itself, to the size of whatever large buffer was freed (mallopt(3), M_MMAP_THRESHOLD): up to 32 MB
/// are then kept in each thread's heap. During a full load, where rows pass through several threads, that was a sixth of
/// the resident memory.
enum LargeBuffers {
    static func giveBackWhenFreed() {
        millrace_set_mmap_threshold(1 << 20)
    }
}
