/* otter: one tool, one file a command. Commands that need network libraries are programs of their own beside it, so
 * that the others start at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool/commands.h"
#include "tool/nvs.h"
#include "tool/tool.h"

static const char help[] =
    "Usage: otter COMMAND [OPTION]...\n"
    "Over-the-air updates for ESP32 devices: images, tables, flash files, a virtual device, uploads.\n"
    "\n"
    "otter COMMAND --help says more. Exit status: 0 done, 2 wrong command line, 3 bad image or format, 4 refused,\n"
    "5 flash or device, 6 connection.\n"
    "\n";

/* Runs the program `name` from ../libexec/otter of where this one lies, or libexec/otter beside it. */
static int run_sibling(const char *name, char **argv)
{
    static const char *const places[] = {"libexec/otter", "../libexec/otter"};
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return tool_fail(OTTER_ARG, "/proc/self/exe: %s", strerror(errno));
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0';
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", self, places[i], name);
        execv(path, argv);
    }
    return tool_fail(OTTER_ARG, "%s is missing beside otter: %s", name, strerror(errno));
}

static int run_device(int argc, char **argv)
{
    (void)argc;
    return run_sibling("otter-device", argv);
}

static int run_push(int argc, char **argv)
{
    (void)argc;
    return run_sibling("otter-push", argv);
}

static int run_publish(int argc, char **argv)
{
    (void)argc;
    return run_sibling("otter-publish", argv);
}

static int run_job(int argc, char **argv)
{
    (void)argc;
    return run_sibling("otter-job", argv);
}

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("otter " OTTER_TOOL_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"image", tool_image, "app images: info, verify, build"},
        {"table", tool_table, "partition tables: build, dump, verify, plan"},
        {"otadata", tool_otadata, "which slot would boot, and why"},
        {"nvs", tool_nvs, "NVS partitions: build, dump, get, set, erase"},
        {"board", tool_board, "board.yaml: check, json, nvs"},
        {"flash", tool_flash, "whole-flash files: build, info, boot, erase"},
        {"torture", tool_torture, "proves that no loss of power costs a device"},
        {"device", run_device, "the virtual ESP32"},
        {"push", run_push, "upload firmware to a device and wait until it runs"},
        {"publish", run_publish, "releases into channels, from which devices fetch them"},
        {"job", run_job, "updates told to devices by MQTT, and followed"},
        {"presign", tool_presign, "a URL with which one object of an S3 bucket can be fetched"},
        {"version", run_version, "this tool's version"},
        {NULL, NULL, NULL},
    };
    tool_watch_stdout();
    return tool_dispatch(commands, help, argc, argv);
}
