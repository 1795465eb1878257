/* otter board: board.yaml, looked at and turned into what a device keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports/posix/board_yaml.h"
#include "tool/commands.h"
#include "tool/tool.h"

static const char help[] =
    "Usage: otter board COMMAND board.yaml\n"
    "The channels in \"ota\" of a board.yaml, for devices, which read no YAML: they keep the channels in their "
    "settings.\n"
    "\n"
    "  nvs prints a table for `otter nvs build` and Espressif's generator, json what a device takes:\n"
    "  otter board json board.yaml |\n"
    "      curl -X PUT --data-binary @- -H 'Content-Type: application/json' http://DEVICE/api/v1/board\n"
    "\n";

/* False (said on stderr) if it is not to be read. */
static bool load(int argc, char **argv, struct otter_board *b, int *status)
{
    struct board_yaml_error error;
    *status = 2;
    if (argc != 2 || strcmp(argv[1], "--help") == 0)
        tool_usage_error("board", "one file is wanted");
    else if (board_yaml_load(argv[1], b, &error))
        return true;
    else
        *status = tool_fail(OTTER_BOARD, "%s, line %u: %s", argv[1], error.line, error.why);
    return false;
}

static int check(int argc, char **argv)
{
    struct otter_board b;
    int status;
    if (!load(argc, argv, &b, &status)) return status;
    for (unsigned i = 0; i < b.count; i++)
        printf("%-16s %s%s\n", b.channel[i].name, b.channel[i].path, i ? "" : " (default)");
    otter_board_free(&b);
    return 0;
}

/* The board as JSON, to be freed; NULL (said on stderr) if there is none. */
static char *load_json(int argc, char **argv, int *status)
{
    struct otter_board b;
    if (!load(argc, argv, &b, status)) return NULL;
    char *text = otter_board_write(&b);
    otter_board_free(&b);
    if (!text) *status = tool_fail(OTTER_MEMORY, "out of memory");
    return text;
}

static int print_json(int argc, char **argv)
{
    int status;
    char *text = load_json(argc, argv, &status);
    if (!text) return status;
    puts(text);
    free(text);
    return 0;
}

static int print_nvs(int argc, char **argv)
{
    int status;
    char *text = load_json(argc, argv, &status);
    if (!text) return status;
    fputs("key,type,encoding,value\nota,namespace,,\nchannels,data,string,\"", stdout);
    for (const char *p = text; *p; p++) {
        if (*p == '"') putchar('"');
        putchar(*p);
    }
    puts("\"");
    free(text);
    return 0;
}

int tool_board(int argc, char **argv)
{
    static const struct tool_command commands[] = {{"check", check, "its channels, or what is wrong, and where"},
                                                   {"json", print_json, "the same for PUT /api/v1/board"},
                                                   {"nvs", print_nvs, "the same as an NVS table (CSV)"},
                                                   {NULL, NULL, NULL}};
    return tool_dispatch(commands, help, argc, argv);
}
