/* The C library's string functions, for measuring without a C library. Used by scripts/footprint alone, which also makes
 * an empty stand-in for each. */
#ifndef OTTER_FOOTPRINT_STRING_H
#define OTTER_FOOTPRINT_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *p, int byte, size_t n);
size_t strlen(const char *s);
size_t strcspn(const char *s, const char *stop);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strcpy(char *to, const char *from);
char *strncpy(char *to, const char *from, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

#endif
