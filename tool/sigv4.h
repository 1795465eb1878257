/* AWS Signature Version 4, as S3 takes it: in a URL's query (a presigned URL), or in a request's headers. Knows no
 * network, no clock and no settings. Source: Amazon S3 API reference, "Authenticating Requests (AWS Signature Version
 * 4)"; docs/SPEC.md, section 6. */
#ifndef OTTER_TOOL_SIGV4_H
#define OTTER_TOOL_SIGV4_H

#include <stdbool.h>
#include <time.h>

/* Who signs, where and when. */
struct sigv4 {
    const char *access_key, *secret_key;
    const char *token; /* of a session; NULL: none */
    const char *region;
    time_t now;
};

struct sigv4_request {
    const char *method;
    const char *host; /* as the Host header has it */
    const char *path; /* escaped */
};

/* All of these are to be freed; NULL: out of memory. */

/* Escapes all but letters, digits and -._~, and slashes where they are kept. */
char *sigv4_escape(const char *text, bool keep_slashes);
/* The query of a URL that is good for so many seconds. */
char *sigv4_query(const struct sigv4 *s, const struct sigv4_request *r, unsigned seconds);
/* X-Amz-Date, and the Authorization header's value for a request with the headers Host, X-Amz-Content-Sha256 (payload:
 * SHA-256 of the body, hex), X-Amz-Date, and X-Amz-Security-Token where there is a token. */
void sigv4_date(const struct sigv4 *s, char out[17]);
char *sigv4_authorization(const struct sigv4 *s, const struct sigv4_request *r, const char *payload);

#endif
