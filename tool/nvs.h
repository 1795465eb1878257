/* otter nvs: settings partitions, built from a table, listed, read and changed. */
#ifndef OTTER_TOOL_NVS_H
#define OTTER_TOOL_NVS_H

/* argv[0] is "nvs". Returns the exit status. */
int tool_nvs(int argc, char **argv);

#endif
