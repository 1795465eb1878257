/* The commands of otter flash that have a file of their own. argv[0] is the command's name. */
#ifndef OTTER_TOOL_FLASH_H
#define OTTER_TOOL_FLASH_H

int tool_flash_build(int argc, char **argv);
int tool_flash_info(int argc, char **argv);
int tool_flash_erase(int argc, char **argv);

#endif
