#ifndef MILLRACE_CCHECKSUM_H
#define MILLRACE_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc`
/// (0 for a new one). Uses the processor's instruction where it has one.
uint32_t millrace_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
