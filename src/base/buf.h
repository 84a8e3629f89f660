/*
 * A growing byte buffer. After a failed append the buffer is marked failed and stays as it was;
 * so a chain of appends may be checked once, at its end, with eos_buf_failed().
 * The data always has a NUL behind it, not counted in len. Not for per-invocation paths.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct eos_buf {
	char *data; /* owned; NULL until the first append */
	size_t len;
	size_t cap;
	bool failed;
};

void eos_buf_init(struct eos_buf *buf);
/* Frees the data. For EOS_CLEANUP too. */
void eos_buf_fini(struct eos_buf *buf);
/* Room for MORE bytes behind len. -ENOMEM: nothing changed but the mark. */
int eos_buf_reserve(struct eos_buf *buf, size_t more);
int eos_buf_append(struct eos_buf *buf, const void *data, size_t len);
int eos_buf_puts(struct eos_buf *buf, const char *text);
int eos_buf_printf(struct eos_buf *buf, const char *fmt, ...) EOS_PRINTF(2, 3);
/* len = 0, and the failed mark is gone; the memory is kept. */
void eos_buf_clear(struct eos_buf *buf);
/* Takes the first N bytes out; N <= len. */
void eos_buf_consume(struct eos_buf *buf, size_t n);
/* The data, now owned by the caller (free()); the buffer is empty. NULL when it failed. */
char *eos_buf_steal(struct eos_buf *buf);

static inline bool eos_buf_failed(const struct eos_buf *buf)
{
	return buf->failed;
}
