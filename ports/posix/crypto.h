/* The crypto tables of the Linux port. Both are stateless and for one thread at a time. */
#ifndef OTTER_PORTS_POSIX_CRYPTO_H
#define OTTER_PORTS_POSIX_CRYPTO_H

#include "otter/port.h"

/* For the tool. Source: OpenSSL 3, SHA256_*() and MD5_*(). */
extern const struct otter_crypto otter_crypto_openssl;

/* For the virtual device: the same PSA Crypto calls as on the chip. 0 after otter_crypto_psa_start(), else PSA's code.
 */
int otter_crypto_psa_start(void);
extern const struct otter_crypto otter_crypto_psa;

#endif
