/* What both fuzzers of partition tables hold true. */
#ifndef OTTER_TESTS_FUZZ_TABLES_H
#define OTTER_TESTS_FUZZ_TABLES_H

#include "format/table_check.h"

/* Takes findings and looks at no more than that each has words; ctx is the judged table. */
void has_words(void *ctx, const struct otter_table_finding *f);

/* The same rows in the same order, as far as the flags given go. */
void same_rows(const struct otter_table_list *first, const struct otter_table_list *again, uint32_t flags);

#endif
