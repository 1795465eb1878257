/* `otter image keygen`, `otter image sign`, `otter image key-digest`. argv[0] is the word itself; all return the exit
 * status. */
#ifndef OTTER_TOOL_IMAGE_SIGN_H
#define OTTER_TOOL_IMAGE_SIGN_H

int tool_image_keygen(int argc, char **argv);
int tool_image_sign(int argc, char **argv);
int tool_image_key_digest(int argc, char **argv);

#endif
