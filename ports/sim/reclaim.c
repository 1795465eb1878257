/* Walks all chains of a FAT, and frees what lies on none. */
#include "ports/sim/reclaim.h"

#include <string.h>

enum { CLUSTERS_12 = 4085, CLUSTERS_16 = 65525, ENTRY = 32, FREE = 0xE5, FOLDER = 0x10, VOLUME = 0x08 };

struct volume {
    struct sim_disk *disk;
    uint32_t fat, fat_sectors, root, root_entries, clusters; /* sectors; clusters: the first number that is none */
    bool wide, strange;                                      /* 16 bits; better left alone */
    uint8_t used[CLUSTERS_16 / 8 + 1];
};

static uint32_t le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }

static uint32_t le32(const uint8_t *p) { return le16(p) | le16(p + 2) << 16; }

/* Strange: not what this checker knows. */
static bool read_volume(struct volume *v)
{
    uint8_t b[SIM_DISK_SECTOR];
    if (!sim_disk_read(v->disk, 0, 1, b)) return false;
    uint32_t sectors = le16(b + 19) ? le16(b + 19) : le32(b + 32), per_cluster = b[13];
    v->fat = le16(b + 14);
    v->fat_sectors = le16(b + 22);
    v->root = v->fat + v->fat_sectors;
    v->root_entries = le16(b + 17);
    uint32_t data = v->root + v->root_entries * ENTRY / SIM_DISK_SECTOR;
    v->strange = le16(b + 11) != SIM_DISK_SECTOR || b[16] != 1 || !per_cluster || !v->fat_sectors || data > sectors ||
                 sectors > sim_disk_sectors(v->disk);
    if (v->strange) return true;
    uint32_t count = (sectors - data) / per_cluster;
    v->clusters = count + 2;
    v->wide = count >= CLUSTERS_12;
    v->strange = count >= CLUSTERS_16 || v->clusters * (v->wide ? 4 : 3) / 2 >= v->fat_sectors * SIM_DISK_SECTOR;
    return true;
}

/* A byte of the FAT, read or, with new, written. */
static bool fat_byte(struct volume *v, uint32_t at, uint8_t *value, const uint8_t *new)
{
    uint8_t b[SIM_DISK_SECTOR];
    uint32_t sector = v->fat + at / SIM_DISK_SECTOR;
    if (!sim_disk_read(v->disk, sector, 1, b)) return false;
    *value = b[at % SIM_DISK_SECTOR];
    if (!new || *new == *value) return true;
    b[at % SIM_DISK_SECTOR] = *new;
    return sim_disk_write(v->disk, sector, 1, b);
}

static bool read_next(struct volume *v, uint32_t cluster, uint32_t *next)
{
    uint8_t b[2];
    uint32_t at = v->wide ? cluster * 2 : cluster * 3 / 2;
    if (!fat_byte(v, at, &b[0], NULL) || !fat_byte(v, at + 1, &b[1], NULL)) return false;
    *next = v->wide ? le16(b) : cluster % 2 ? le16(b) >> 4 : le16(b) & 0xFFF;
    return true;
}

static bool set_free(struct volume *v, uint32_t cluster)
{
    const uint8_t keep[2] = {v->wide || cluster % 2 == 0 ? 0 : 0x0F, v->wide || cluster % 2 ? 0 : 0xF0};
    uint32_t at = v->wide ? cluster * 2 : cluster * 3 / 2;
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t value, new;
        if (!fat_byte(v, at + i, &value, NULL)) return false;
        new = value &keep[i];
        if (!fat_byte(v, at + i, &value, &new)) return false;
    }
    return true;
}

static bool mark_chain(struct volume *v, uint32_t cluster)
{
    while (cluster >= 2 && cluster < v->clusters) {
        uint8_t bit = (uint8_t)(1u << cluster % 8);
        v->strange = v->strange || v->used[cluster / 8] & bit;
        if (v->strange) return true;
        v->used[cluster / 8] |= bit;
        if (!read_next(v, cluster, &cluster)) return false;
    }
    return true;
}

static bool mark_files(struct volume *v)
{
    uint8_t b[SIM_DISK_SECTOR];
    for (uint32_t i = 0; i < v->root_entries && !v->strange; i++) {
        const uint8_t *e = b + i * ENTRY % SIM_DISK_SECTOR;
        if (e == b && !sim_disk_read(v->disk, v->root + i * ENTRY / SIM_DISK_SECTOR, 1, b)) return false;
        if (!e[0]) break;
        if (e[0] == FREE || e[11] & VOLUME) continue;
        v->strange = e[11] & FOLDER;
        if (!mark_chain(v, le16(e + 26))) return false;
    }
    return true;
}

bool sim_reclaim(struct sim_disk *d)
{
    static struct volume v;
    uint32_t bad, next;
    memset(&v, 0, sizeof v);
    v.disk = d;
    if (!read_volume(&v) || (!v.strange && !mark_files(&v))) return false;
    bad = v.wide ? 0xFFF7 : 0xFF7;
    for (uint32_t c = 2; c < v.clusters && !v.strange; c++) {
        if (v.used[c / 8] >> c % 8 & 1) continue;
        if (!read_next(&v, c, &next) || (next && next != bad && !set_free(&v, c))) return false;
    }
    return sim_disk_flush(d);
}
