/* otter table plan and migrate, and the pictures that plan draws. */
#ifndef OTTER_TOOL_TABLE_PLAN_H
#define OTTER_TOOL_TABLE_PLAN_H

#include <stdio.h>

#include "format/plan.h"

enum { PLAN_RESCUE_APP = 512 * 1024 }; /* a small app that only updates, as other layouts have it */

int tool_table_plan(int argc, char **argv);
int tool_table_migrate(int argc, char **argv);

/* What every expected size leaves for data, beside two fixed slots, and beside a rescue app with one slot; fixed slots
 * are as large as the largest expected image. */
void plan_chart_text(FILE *to, const struct otter_plan *p);
void plan_chart_svg(FILE *to, const struct otter_plan *p);

#endif
