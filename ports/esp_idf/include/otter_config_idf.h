/* Otter's sizes as menuconfig has them: the only file that reads them for the portable code. */
#ifndef OTTER_CONFIG_IDF_H
#define OTTER_CONFIG_IDF_H

#include <sdkconfig.h>

#define OTTER_CFG_EVENTS CONFIG_OTTER_EVENTS
#define OTTER_CFG_IDLE_MS CONFIG_OTTER_IDLE_MS
#define OTTER_CFG_KEYS CONFIG_OTTER_KEYS
#define OTTER_CFG_BANNED CONFIG_OTTER_BANNED
#define OTTER_CFG_ERRORS OTTER_DEVICE_ERRORS
#define OTTER_CFG_TABLE_OFFSET CONFIG_PARTITION_TABLE_OFFSET

#endif
