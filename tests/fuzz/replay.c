/* Runs a fuzz harness over the files of a folder, and over each of them cut at every length up to 512 bytes. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void run_exactly(const uint8_t *data, size_t size)
{
    /* Memory of just this size, so that a sanitizer sees the first byte read beyond it. */
    uint8_t *copy = malloc(size ? size : 1);
    HOLDS(copy);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    HOLDS(f);
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    run_exactly(data, size);
    for (size_t cut = 0; cut < size && cut < 512; cut++) run_exactly(data, cut);
}

int main(int argc, char **argv)
{
    char path[1024];
    unsigned n = 0;
    HOLDS(argc == 2);
    DIR *d = opendir(argv[1]);
    HOLDS(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        run_file(path);
        n++;
    }
    closedir(d);
    printf("%s: %u files\n", argv[1], n);
    return n ? 0 : 1;
}
