/* Little-endian numbers in byte strings of any alignment. */
#ifndef OTTER_BYTES_H
#define OTTER_BYTES_H

#include <stdint.h>

static inline uint16_t otter_get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t otter_get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void otter_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void otter_put32(uint8_t *p, uint32_t v)
{
    otter_put16(p, (uint16_t)v);
    otter_put16(p + 2, (uint16_t)(v >> 16));
}

/* The next multiple of unit (a power of two) at or above v; v must be at most 2^32 - unit. */
static inline uint32_t otter_round_up(uint32_t v, uint32_t unit) { return (v + unit - 1) & ~(unit - 1); }

#endif
