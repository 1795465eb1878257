/* otter flash erase: a whole-flash file, or one partition of it, as it comes from the factory. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tool/flash.h"
#include "tool/flash_file.h"
#include "tool/json.h"
#include "tool/tool.h"

static const char cmd[] = "flash erase";
static const char help_text[] =
    "Usage: otter flash erase FLASH.bin LABEL [--json]\n"
    "       otter flash erase FLASH.bin --all [--json]\n"
    "Erases one partition of a whole flash, or all of it: every byte becomes 0xFF.\n";

struct request {
    const char *path, *label;
    bool all, json;
    uint32_t offset;
    size_t size; /* what is erased */
};

/* Finds what to erase in the flash's bytes. */
static int find_range(struct request *q, const uint8_t *bytes, size_t size)
{
    struct flash_file f;
    q->size = size;
    if (q->all) return 0;
    int status = flash_file_parse(&f, q->path, bytes, size);
    if (status) return status;
    for (unsigned i = 0; i < f.rows; i++) {
        if (strcmp(f.row[i].label, q->label) != 0) continue;
        q->offset = f.row[i].offset;
        q->size = f.row[i].size;
        return 0;
    }
    return tool_fail(OTTER_ARG, "%s has no partition \"%s\"; otter flash info lists them", q->path, q->label);
}

static int erase(const struct request *q, int fd)
{
    uint8_t erased[OTTER_SECTOR];
    memset(erased, 0xFF, sizeof erased);
    for (size_t done = 0; done < q->size;) {
        size_t n = q->size - done < sizeof erased ? q->size - done : sizeof erased;
        ssize_t put = pwrite(fd, erased, n, (off_t)(q->offset + done));
        if (put < 0 && errno != EINTR) return tool_fail(OTTER_FLASH_ERASE, "%s: %s", q->path, strerror(errno));
        if (put > 0) done += (size_t)put;
    }
    return 0;
}

/* In place and under the virtual device's lock, so that none runs from it meanwhile. */
static int erase_file(struct request *q)
{
    size_t size;
    int fd = open(q->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return tool_fail(OTTER_ARG, "%s: %s", q->path, strerror(errno));
    int status = 0;
    if (flock(fd, LOCK_EX | LOCK_NB))
        status = tool_fail(OTTER_BUSY, "%s: a virtual device runs from it; stop that first", q->path);
    uint8_t *bytes = status ? NULL : tool_read_file(q->path, FLASH_FILE_MAX, &size);
    if (!status && !bytes) status = 2;
    if (!status) status = find_range(q, bytes, size);
    if (!status) status = erase(q, fd);
    free(bytes);
    if (close(fd) && !status) status = tool_fail(OTTER_FLASH_ERASE, "%s: %s", q->path, strerror(errno));
    return status;
}

static void print_json(const struct request *q)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", q->path);
    if (q->all)
        cJSON_AddNullToObject(o, "name");
    else
        cJSON_AddStringToObject(o, "name", q->label);
    cJSON_AddNumberToObject(o, "offset", q->offset);
    cJSON_AddNumberToObject(o, "size", (double)q->size);
    tool_print_json(o);
}

/* -1: go on; else the exit status. */
static int read_options(struct request *q, int argc, char **argv)
{
    static const struct option options[] = {{"all", 0, 0, 'a'}, {"json", 0, 0, 'j'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'a': q->all = true; break;
        case 'j': q->json = true; break;
        case 'h': return fputs(help_text, stdout) < 0;
        default: return tool_usage_error(cmd, "the command line is wrong");
        }
    }
    if (argc - optind != (q->all ? 1 : 2))
        return tool_usage_error(cmd, "it takes FLASH.bin and either a partition's label or --all");
    q->path = argv[optind];
    q->label = argv[optind + 1];
    return -1;
}

int tool_flash_erase(int argc, char **argv)
{
    struct request q = {0};
    int status = read_options(&q, argc, argv);
    if (status >= 0) return status;
    status = erase_file(&q);
    if (status) return status;
    if (q.json)
        print_json(&q);
    else
        printf("%s: erased %s, 0x%x to 0x%zx\n", q.path, q.all ? "all" : q.label, q.offset, q.offset + q.size);
    return 0;
}
