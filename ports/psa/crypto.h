/* otter_crypto over PSA Crypto: the chip's, and the virtual device's. Stateless; for one thread at a time. */
#ifndef OTTER_PORTS_PSA_CRYPTO_H
#define OTTER_PORTS_PSA_CRYPTO_H

#include "otter/port.h"

/* 0, else PSA's code. To be called before the first use of: */
int otter_crypto_psa_start(void);
extern const struct otter_crypto otter_crypto_psa;

#endif
