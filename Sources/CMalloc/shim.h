#ifndef MILLRACE_CMALLOC_SHIM_H
#define MILLRACE_CMALLOC_SHIM_H
#include <malloc.h>

/* mallopt(3), M_MMAP_THRESHOLD: Swift's Glibc module leaves malloc.h out. Other C libraries have no such setting, and no
   need of it. */
static inline void millrace_set_mmap_threshold(int bytes) {
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, bytes);
#else
    (void)bytes;
#endif
}
#endif
