/* What otter_start() starts, each in a file of its own, and for each one a file that does without. */
#ifndef OTTER_PORTS_ESP_IDF_PARTS_H
#define OTTER_PORTS_ESP_IDF_PARTS_H

#include "doors/lock.h"
#include "doors/update.h"
#include "ports/esp_idf/include/otter_esp.h"

/* Names the elastic layout, and who keeps files, if the table's slots overlap. */
void otter_esp_part_layout(struct otter_device *scratch, struct otter_ports *ports,
                           const struct otter_esp_files *files);
/* Listens for the network, which the health policy asks for. */
esp_err_t otter_esp_part_network(void);
/* Starts the channel door and its task; *out: NULL without it. */
struct otter_channel;
esp_err_t otter_esp_part_channel(struct otter_update *u, const struct otter_start_config *config,
                                 struct otter_channel **out);
/* Starts the job door and its task, if there is a broker. */
esp_err_t otter_esp_part_job(struct otter_update *u, const struct otter_start_config *config);
/* otter_esp_lock() for doors. */
extern const struct otter_lock otter_esp_part_lock;
/* Opens the push door, through which the channels are chosen, too. */
esp_err_t otter_esp_part_push(struct otter_update *u, const struct otter_start_config *config,
                              struct otter_channel *channel);
/* turn() is called again and again from now on, by the push door's server. False: nobody does. */
bool otter_esp_part_watch(void (*turn)(void));

#endif
