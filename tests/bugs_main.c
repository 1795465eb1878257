/* `otter torture` alone, to be linked with a planted bug. */
#include "tool/commands.h"

int main(int argc, char **argv) { return tool_torture(argc, argv); }
