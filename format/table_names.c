/* The known names, and those that a project adds. */
#include "format/table_names.h"

#include <string.h>

static const struct otter_table_name types[] = {
    {OTTER_TYPE_BOOTLOADER, OTTER_TYPE_BOOTLOADER, "bootloader"},
    {OTTER_TYPE_TABLE, OTTER_TYPE_TABLE, "partition_table"},
    {OTTER_TYPE_APP, OTTER_TYPE_APP, "app"},
    {OTTER_TYPE_DATA, OTTER_TYPE_DATA, "data"},
};

static const struct otter_table_name subtypes[] = {
    {OTTER_TYPE_BOOTLOADER, OTTER_SUBTYPE_PRIMARY, "primary"},
    {OTTER_TYPE_BOOTLOADER, OTTER_SUBTYPE_OTA, "ota"},
    {OTTER_TYPE_BOOTLOADER, OTTER_SUBTYPE_RECOVERY, "recovery"},
    {OTTER_TYPE_TABLE, OTTER_SUBTYPE_PRIMARY, "primary"},
    {OTTER_TYPE_TABLE, OTTER_SUBTYPE_OTA, "ota"},
    {OTTER_TYPE_APP, OTTER_APP_FACTORY, "factory"},
    {OTTER_TYPE_APP, OTTER_APP_TEST, "test"},
    {OTTER_TYPE_APP, 0x30, "tee_0"},
    {OTTER_TYPE_APP, 0x31, "tee_1"},
    {OTTER_TYPE_APP, 0x10, "ota_0"},
    {OTTER_TYPE_APP, 0x11, "ota_1"},
    {OTTER_TYPE_APP, 0x12, "ota_2"},
    {OTTER_TYPE_APP, 0x13, "ota_3"},
    {OTTER_TYPE_APP, 0x14, "ota_4"},
    {OTTER_TYPE_APP, 0x15, "ota_5"},
    {OTTER_TYPE_APP, 0x16, "ota_6"},
    {OTTER_TYPE_APP, 0x17, "ota_7"},
    {OTTER_TYPE_APP, 0x18, "ota_8"},
    {OTTER_TYPE_APP, 0x19, "ota_9"},
    {OTTER_TYPE_APP, 0x1A, "ota_10"},
    {OTTER_TYPE_APP, 0x1B, "ota_11"},
    {OTTER_TYPE_APP, 0x1C, "ota_12"},
    {OTTER_TYPE_APP, 0x1D, "ota_13"},
    {OTTER_TYPE_APP, 0x1E, "ota_14"},
    {OTTER_TYPE_APP, 0x1F, "ota_15"},
    {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, "ota"},
    {OTTER_TYPE_DATA, OTTER_DATA_PHY, "phy"},
    {OTTER_TYPE_DATA, OTTER_DATA_NVS, "nvs"},
    {OTTER_TYPE_DATA, OTTER_DATA_COREDUMP, "coredump"},
    {OTTER_TYPE_DATA, 0x04, "nvs_keys"},
    {OTTER_TYPE_DATA, 0x05, "efuse"},
    {OTTER_TYPE_DATA, OTTER_DATA_UNDEFINED, "undefined"},
    {OTTER_TYPE_DATA, 0x80, "esphttpd"},
    {OTTER_TYPE_DATA, 0x81, "fat"},
    {OTTER_TYPE_DATA, 0x82, "spiffs"},
    {OTTER_TYPE_DATA, OTTER_DATA_LITTLEFS, "littlefs"},
    {OTTER_TYPE_DATA, OTTER_DATA_TEE_OTA, "tee_ota"},
};

enum { TYPES = sizeof types / sizeof types[0], SUBTYPES = sizeof subtypes / sizeof subtypes[0] };

const struct otter_table_name *otter_type_at(unsigned i) { return i < TYPES ? &types[i] : NULL; }

const struct otter_table_name *otter_subtype_at(const struct otter_table_names *names, unsigned i)
{
    if (i < SUBTYPES) return &subtypes[i];
    return names && i - SUBTYPES < names->extras ? &names->extra[i - SUBTYPES] : NULL;
}

const char *otter_type_name(uint8_t type)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].value == type) return types[i].name;
    return NULL;
}

const char *otter_subtype_name(const struct otter_table_names *names, uint8_t type, uint8_t subtype)
{
    const struct otter_table_name *s;
    for (unsigned i = 0; (s = otter_subtype_at(names, i)); i++)
        if (s->type == type && s->value == subtype) return s->name;
    return NULL;
}

/* ---- extra names ---- */

static struct otter_slice cut_field(struct otter_slice *rest)
{
    const char *comma = rest->n ? memchr(rest->p, ',', rest->n) : NULL;
    size_t n = comma ? (size_t)(comma - rest->p) : rest->n;
    struct otter_slice field = otter_slice_trim((struct otter_slice){rest->p, n});
    if (comma) n++;
    rest->p += n;
    rest->n -= n;
    return field;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex(struct otter_slice s, uint8_t *value)
{
    unsigned v = 0;
    if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') s = (struct otter_slice){s.p + 2, s.n - 2};
    for (size_t i = 0; i < s.n; i++) {
        int digit = hex_digit(s.p[i]);
        if (digit < 0 || (v = v * 16 + (unsigned)digit) > 0xFF) return false;
    }
    *value = (uint8_t)v;
    return s.n > 0;
}

const char *otter_table_names_add(struct otter_table_names *names, const char *text)
{
    struct otter_slice rest = {text, strlen(text)}, type = cut_field(&rest), name = cut_field(&rest);
    const struct otter_table_name *t, *s;
    struct otter_table_name new = {0};
    unsigned i = 0;
    while ((t = otter_type_at(i)) && !otter_slice_is(type, t->name)) i++;
    if (!t) return "its type is not app, data, bootloader or partition_table; write TYPE, NAME, VALUE";
    if (!name.n || name.n >= OTTER_TABLE_NAME) return "its name must have 1 to 31 bytes; write TYPE, NAME, VALUE";
    if (!read_hex(cut_field(&rest), &new.value)) return "its value is no hexadecimal number up to 0xff";
    new.type = t->value;
    memcpy(new.name, name.p, name.n);
    for (i = 0; (s = otter_subtype_at(names, i)); i++) {
        if (s->type != new.type) continue;
        if (s->value == new.value) return "its value is taken by another subtype of that type; choose a free one";
        if (otter_slice_is(name, s->name)) return "its name is taken by another subtype of that type";
    }
    if (names->extras == OTTER_TABLE_EXTRAS) return "there is no room for more than 64 extra subtypes";
    names->extra[names->extras++] = new;
    return NULL;
}
