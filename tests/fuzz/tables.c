/* The assertions that the fuzzers of partition tables share. */
#include "tests/fuzz/tables.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

void has_words(void *ctx, const struct otter_table_finding *f)
{
    char buf[400];
    struct otter_text t;
    otter_text_start(&t, buf, sizeof buf);
    otter_table_finding_text(ctx, f, &t);
    HOLDS(t.n > 0);
}

void same_rows(const struct otter_table_list *first, const struct otter_table_list *again, uint32_t flags)
{
    HOLDS(first->rows == again->rows);
    for (unsigned i = 0; i < first->rows; i++) {
        const struct otter_partition *a = &first->row[i], *b = &again->row[i];
        HOLDS(a->type == b->type && a->subtype == b->subtype && a->offset == b->offset && a->size == b->size);
        HOLDS((a->flags & flags) == (b->flags & flags) && strcmp(a->label, b->label) == 0);
    }
}
