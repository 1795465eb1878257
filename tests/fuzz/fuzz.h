/* A fuzz harness: one function, one file a parser. It runs under libFuzzer, and over tests/fuzz/corpus in the test
 * suite. Its assertions are invariants, so that a run can fail without a sanitizer's help. */
#ifndef OTTER_TESTS_FUZZ_H
#define OTTER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(what)           \
    do {                      \
        if (!(what)) abort(); \
    } while (0)

#endif
