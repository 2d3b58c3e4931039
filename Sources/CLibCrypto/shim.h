#ifndef MILLRACE_CLIBCRYPTO_SHIM_H
#define MILLRACE_CLIBCRYPTO_SHIM_H
#include <openssl/evp.h>
#endif
