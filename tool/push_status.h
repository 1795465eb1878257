/* A device's status as `otter push` needs it. What a device says is hostile until it has been read here. */
#ifndef OTTER_TOOL_PUSH_STATUS_H
#define OTTER_TOOL_PUSH_STATUS_H

#include <stdbool.h>
#include <stddef.h>

struct push_status {
    double boot_id; /* other after each restart */
    bool rollback;  /* the boot loader can roll back */
    char chip[24];
    char version[40], slot[8], state[24]; /* of the firmware that runs; printable ASCII */
    char target[8];                       /* where an update goes; empty if there is no such slot */
    double room;                          /* for its image; 0: not known */
    bool elastic;                         /* target is for an image as large as the one that runs */
    char next[8];                         /* another slot than the running one that starts next, or empty */
    char update[16];                      /* the update's state */
    char resume_sha256[65];
    double resume_from;   /* 0: nothing to go on with */
    char data_sha256[65]; /* of the data image that is waited for; empty: none is */
    double data_from;     /* its next byte */
};

/* False if text is no status. */
bool push_status_read(struct push_status *s, const char *text, size_t size);

/* A refusal in the device's words; empty where it gives none. */
struct push_refusal {
    char name[40], message[300];
};
void push_refusal_read(struct push_refusal *r, const char *text, size_t size);

#endif
