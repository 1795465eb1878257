/* Shared by the commands: errors, files, numbers. Knows no format. */
#define _GNU_SOURCE
#include "tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ports/posix/crypto.h"

int tool_fail(enum otter_err err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("otter: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return otter_err_exit(err);
}

int tool_usage_error(const char *cmd, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("otter: ", stderr);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nTry: otter %s --help\n", cmd);
    va_end(args);
    return 2;
}

static void end_stdout(void)
{
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !failed) return;
    _exit(tool_fail(OTTER_ARG, "stdout: %s", errno ? strerror(errno) : "not all of it could be written"));
}

void tool_watch_stdout(void)
{
    if (atexit(end_stdout)) exit(tool_fail(OTTER_ARG, "out of memory"));
}

static void print_help(const struct tool_command *commands, const char *help, FILE *to)
{
    fputs(help, to);
    for (; commands->name; commands++) fprintf(to, "  %-10s %s\n", commands->name, commands->text);
}

int tool_dispatch(const struct tool_command *commands, const char *help, int argc, char **argv)
{
    if (argc < 2) {
        print_help(commands, help, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(commands, help, stdout);
        return 0;
    }
    for (const struct tool_command *c = commands; c->name; c++)
        if (strcmp(c->name, argv[1]) == 0) return c->run(argc - 1, argv + 1);
    fprintf(stderr, "otter: there is no command \"%s\"\n", argv[1]);
    print_help(commands, help, stderr);
    return 2;
}

/* All there is, up to max + 1 bytes, so that too much is noticed. */
static char *read_all(int fd, size_t max, size_t *n)
{
    size_t room = 1 << 16;
    char *data = malloc(room);
    for (*n = 0; data && *n <= max;) {
        ssize_t got = read(fd, data + *n, room - *n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        *n += (size_t)got;
        if (got == 0) return data;
        if (*n < room) continue;
        char *more = realloc(data, room *= 2);
        if (!more) break;
        data = more;
    }
    if (data && *n > max) return data;
    free(data);
    return NULL;
}

static size_t size_hint(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
}

void *tool_read_file(const char *path, size_t max, size_t *n)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        tool_fail(OTTER_ARG, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *data = NULL;
    errno = 0;
    if (size_hint(fd) <= max)
        data = read_all(fd, max, n);
    else
        *n = max + 1;
    int error = errno;
    if (fd != STDIN_FILENO) close(fd);
    if (*n > max) {
        free(data);
        tool_fail(OTTER_TOO_BIG, "%s: larger than the %zu bytes that are possible here", path, max);
        return NULL;
    }
    if (!data) tool_fail(OTTER_ARG, "%s: %s", path, strerror(error ? error : ENOMEM));
    return data;
}

int tool_write_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t put = write(fd, data, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        data += put;
        n -= (size_t)put;
    }
    return 0;
}

static int write_temporary(const char *temporary, const void *data, size_t n)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    int bad = tool_write_all(fd, data, n);
    return close(fd) | bad;
}

/* A device, a pipe: nothing that a new file may take the place of. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_special(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int bad = fd < 0 ? -1 : tool_write_all(fd, data, n);
    int status = bad ? tool_fail(OTTER_ARG, "%s: %s", path, strerror(errno)) : 0;
    if (fd >= 0) close(fd);
    return status;
}

int tool_write_file(const char *path, const void *data, size_t n)
{
    char *temporary;
    if (is_special(path)) return write_special(path, data, n);
    if (strcmp(path, "-") == 0) {
        if (tool_write_all(STDOUT_FILENO, data, n) == 0) return 0;
        return tool_fail(OTTER_ARG, "stdout: %s", strerror(errno));
    }
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) return tool_fail(OTTER_ARG, "out of memory");
    int status = 0;
    if (write_temporary(temporary, data, n) || rename(temporary, path)) {
        status = tool_fail(OTTER_ARG, "%s: %s", path, strerror(errno));
        unlink(temporary);
    }
    free(temporary);
    return status;
}

static uint64_t unit_of(const char *suffix)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1}, {"K", 1024}, {"KB", 1024}, {"M", 1024 * 1024}, {"MB", 1024 * 1024}};
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(units[i].name, suffix) == 0) return units[i].factor;
    return 0;
}

int tool_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9') return 2;
    errno = 0;
    uint64_t n = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    uint64_t unit = unit_of(end);
    if (errno || end == text || !unit || n > max / unit) return 2;
    *out = n * unit;
    return 0;
}

const struct otter_chip_info *tool_chip(const char *name)
{
    const struct otter_chip_info *chip = otter_chip_by_name(name);
    if (chip) return chip;
    fprintf(stderr, "otter: there is no chip \"%s\"; the chips are", name);
    for (unsigned i = 0; (chip = otter_chip_at(i)); i++) fprintf(stderr, " %s", chip->target);
    fputc('\n', stderr);
    return NULL;
}

const struct otter_crypto *tool_crypto(void) { return &otter_crypto_openssl; }

bool tool_digest(enum otter_hash_alg alg, const void *bytes, size_t n, uint8_t *out)
{
    const struct otter_crypto *c = tool_crypto();
    struct otter_hash h;
    bool started = c->hash_start(c->ctx, &h, alg) == 0;
    if (started && c->hash_update(c->ctx, &h, bytes, n) == 0 && c->hash_finish(c->ctx, &h, out) == 0) return true;
    tool_fail(OTTER_CRYPTO, "%s", otter_err_text(OTTER_CRYPTO));
    return false;
}

char *tool_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}
