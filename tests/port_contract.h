/* What every port must do, on Linux as on the chip: each function returns NULL if all of it holds, else what does not.
 */
#ifndef OTTER_TESTS_PORT_CONTRACT_H
#define OTTER_TESTS_PORT_CONTRACT_H

#include "otter/port.h"

const char *port_contract_crypto(const struct otter_crypto *c);
const char *port_contract_signatures(const struct otter_crypto *c);
/* Erases and writes [off, off + 128 KiB), which must be 64 KiB aligned. */
const char *port_contract_flash(const struct otter_flash *f, uint32_t off);
/* Uses the namespace "contract", and leaves nothing in it. */
const char *port_contract_settings(const struct otter_settings *s);
const char *port_contract_clock(const struct otter_clock *c);

#endif
