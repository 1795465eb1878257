/* The crypto table of the tool. Stateless and for one thread at a time. */
#ifndef OTTER_PORTS_POSIX_CRYPTO_H
#define OTTER_PORTS_POSIX_CRYPTO_H

#include "otter/port.h"

/* Source: OpenSSL 3, SHA256_*() and MD5_*(). */
extern const struct otter_crypto otter_crypto_openssl;

#endif
