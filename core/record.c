/* The update record and its companions. Knows settings and bytes; when to write them is others' business. */
#include "core/record.h"

#include <string.h>

#include "core/setting.h"
#include "format/bytes.h"

/* The record as it lies in the settings. */
enum { PHASE = 0, SLOT = 1, RETRIED = 2, FROM = 3, SIZE = 4, SHA256 = 8, HEAD = 40, VERSION = 72, RECORD_SIZE = 104 };

/* Settings of a newer Otter are left alone: what they mean is not known here. */
static bool known_schema(struct otter_device *d)
{
    uint32_t schema = 0;
    otter_setting_u32(d, "schema", &schema);
    return schema <= OTTER_SCHEMA;
}

static bool claim_schema(struct otter_device *d)
{
    uint32_t schema = 0;
    otter_setting_u32(d, "schema", &schema);
    if (schema) return schema <= OTTER_SCHEMA;
    schema = OTTER_SCHEMA;
    return otter_setting_set(d, "schema", OTTER_SETTING_U32, &schema, sizeof schema);
}

void otter_record_load(struct otter_device *d)
{
    uint8_t raw[RECORD_SIZE];
    size_t got;
    uint32_t progress = 0;
    struct otter_record *r = &d->record;
    memset(r, 0, sizeof *r);
    if (!known_schema(d) || !otter_setting_get(d, "update", OTTER_SETTING_BLOB, raw, sizeof raw, &got) ||
        got != sizeof raw)
        return;
    if (raw[PHASE] != OTTER_RECORD_RECEIVING && raw[PHASE] != OTTER_RECORD_SWITCHED) return;
    r->phase = raw[PHASE];
    r->slot = (int8_t)raw[SLOT];
    r->retried = raw[RETRIED] != 0;
    r->from = (int8_t)raw[FROM];
    r->size = otter_get32(raw + SIZE);
    memcpy(r->sha256, raw + SHA256, sizeof r->sha256);
    memcpy(r->head, raw + HEAD, sizeof r->head);
    memcpy(r->version, raw + VERSION, sizeof r->version - 1);
    otter_setting_u32(d, "progress", &progress);
    if (progress <= r->size) r->progress = progress;
}

bool otter_record_save(struct otter_device *d)
{
    uint8_t raw[RECORD_SIZE] = {0};
    struct otter_record *r = &d->record;
    raw[PHASE] = r->phase;
    raw[SLOT] = (uint8_t)r->slot;
    raw[RETRIED] = r->retried;
    raw[FROM] = (uint8_t)r->from;
    otter_put32(raw + SIZE, r->size);
    memcpy(raw + SHA256, r->sha256, sizeof r->sha256);
    memcpy(raw + HEAD, r->head, sizeof r->head);
    memcpy(raw + VERSION, r->version, sizeof r->version - 1);
    /* The old progress first: it must never be read with the new record. */
    otter_setting_drop(d, "progress");
    r->progress = 0;
    r->writes++;
    if (claim_schema(d) && otter_setting_set(d, "update", OTTER_SETTING_BLOB, raw, sizeof raw)) return true;
    otter_setting_drop(d, "update");
    return false;
}

void otter_record_progress(struct otter_device *d, uint32_t written)
{
    d->record.writes++;
    if (otter_setting_set(d, "progress", OTTER_SETTING_U32, &written, sizeof written)) d->record.progress = written;
}

bool otter_record_switched(struct otter_device *d, const uint8_t sha256[32], const char *version)
{
    struct otter_record *r = &d->record;
    r->phase = OTTER_RECORD_SWITCHED;
    r->retried = false;
    memcpy(r->sha256, sha256, sizeof r->sha256);
    strncpy(r->version, version, sizeof r->version - 1);
    otter_setting_drop(d, "why");
    return otter_record_save(d);
}

bool otter_record_clear(struct otter_device *d)
{
    if (!d->record.phase) return true;
    memset(&d->record, 0, sizeof d->record);
    otter_setting_drop(d, "progress");
    return otter_setting_drop(d, "update");
}

void otter_record_why(struct otter_device *d, const char *why)
{
    char text[OTTER_WHY];
    size_t n = 0;
    for (; why[n] && n < sizeof text - 1; n++) text[n] = why[n];
    text[n] = '\0';
    if (claim_schema(d)) otter_setting_set(d, "why", OTTER_SETTING_STRING, text, n + 1);
}

void otter_why(struct otter_device *d, char out[OTTER_WHY])
{
    size_t got;
    if (!otter_setting_get(d, "why", OTTER_SETTING_STRING, out, OTTER_WHY, &got)) got = 0;
    out[got < OTTER_WHY ? got : OTTER_WHY - 1] = '\0';
}

/* ---- firmware that was rolled back ---- */

static size_t banned_count(struct otter_device *d, uint8_t list[OTTER_CFG_BANNED][32])
{
    size_t got;
    if (!otter_setting_get(d, "banned", OTTER_SETTING_BLOB, list, OTTER_CFG_BANNED * 32, &got)) return 0;
    return got / 32;
}

bool otter_record_banned(struct otter_device *d, const uint8_t sha256[32])
{
    uint8_t list[OTTER_CFG_BANNED][32];
    size_t n = banned_count(d, list);
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i], sha256, 32) == 0) return true;
    return false;
}

void otter_record_ban(struct otter_device *d, const uint8_t sha256[32])
{
    uint8_t list[OTTER_CFG_BANNED][32];
    if (otter_record_banned(d, sha256)) return;
    size_t n = banned_count(d, list), kept = n < OTTER_CFG_BANNED ? n : OTTER_CFG_BANNED - 1;
    memmove(list[1], list[0], kept * 32);
    memcpy(list[0], sha256, 32);
    if (claim_schema(d)) otter_setting_set(d, "banned", OTTER_SETTING_BLOB, list, (kept + 1) * 32);
}
