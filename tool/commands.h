/* The commands of otter, one file each. argv[0] is the command's name; they return the exit status. */
#ifndef OTTER_TOOL_COMMANDS_H
#define OTTER_TOOL_COMMANDS_H

int tool_board(int argc, char **argv);
int tool_image(int argc, char **argv);
int tool_otadata(int argc, char **argv);
int tool_flash(int argc, char **argv);
int tool_table(int argc, char **argv);
int tool_presign(int argc, char **argv);
int tool_torture(int argc, char **argv);

#endif
