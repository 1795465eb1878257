/* `otter image build` and `otter image synth`. argv[0] is the word itself; both return the exit status. */
#ifndef OTTER_TOOL_IMAGE_BUILD_H
#define OTTER_TOOL_IMAGE_BUILD_H

int tool_image_build(int argc, char **argv);
int tool_image_synth(int argc, char **argv);

#endif
