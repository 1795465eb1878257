/* Files through the push door: an exchange's file is found, stored, removed. Part of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_FILES_H
#define OTTER_DOORS_PUSH_FILES_H

#include "doors/push.h"

enum otter_err otter_push_files_find(struct otter_exchange *x);
enum otter_err otter_push_files_remove(struct otter_exchange *x);
/* The error's sentence, with numbers where there are any. */
void otter_push_files_words(const struct otter_exchange *x, enum otter_err err, char *words, size_t size);

#endif
