/* Fixed slots only: the engine refuses updates where they overlap. */
#include "ports/esp_idf/parts.h"

void otter_esp_part_layout(struct otter_device *scratch, struct otter_ports *ports, const struct otter_esp_files *files)
{
    (void)scratch;
    (void)ports;
    (void)files;
}
