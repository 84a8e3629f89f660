#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void eos_buf_init(struct eos_buf *buf)
{
	*buf = (struct eos_buf){0};
}

void eos_buf_fini(struct eos_buf *buf)
{
	free(buf->data);
	eos_buf_init(buf);
}

static bool has_room(const struct eos_buf *buf, size_t more)
{
	return !buf->failed && buf->data != NULL && buf->cap - buf->len > more;
}

static int grow(struct eos_buf *buf, size_t more)
{
	size_t need;
	if (buf->failed)
		return -ENOMEM;
	if (__builtin_add_overflow(buf->len, more, &need) || need >= SIZE_MAX / 2) {
		buf->failed = true;
		return -ENOMEM;
	}
	size_t cap = EOS_MAX(buf->cap * 2, need + 1);
	cap = EOS_MAX(cap, (size_t)64);
	char *data = realloc(buf->data, cap);
	if (data == NULL) {
		buf->failed = true;
		return -ENOMEM;
	}
	buf->data = data;
	buf->cap = cap;
	buf->data[buf->len] = '\0';
	return 0;
}

int eos_buf_reserve(struct eos_buf *buf, size_t more)
{
	return has_room(buf, more) ? 0 : grow(buf, more);
}

int eos_buf_append(struct eos_buf *buf, const void *data, size_t len)
{
	int err = has_room(buf, len) ? 0 : grow(buf, len);
	if (err < 0)
		return err;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int eos_buf_puts(struct eos_buf *buf, const char *text)
{
	return eos_buf_append(buf, text, strlen(text));
}

int eos_buf_printf(struct eos_buf *buf, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	va_list again;
	va_copy(again, args);
	/* Mostly there is room, and once is enough. */
	size_t room = buf->data != NULL && !buf->failed ? buf->cap - buf->len : 0;
	int n = vsnprintf(room > 0 ? buf->data + buf->len : NULL, room, fmt, args);
	va_end(args);
	int err = n < 0 ? -EINVAL : eos_buf_reserve(buf, (size_t)n);
	if (err == 0 && (size_t)n >= room)
		(void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
	if (err == 0)
		buf->len += (size_t)n;
	else
		buf->failed = true;
	va_end(again);
	return err;
}

void eos_buf_clear(struct eos_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

void eos_buf_consume(struct eos_buf *buf, size_t n)
{
	EOS_ASSERT(n <= buf->len);
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
	buf->data[buf->len] = '\0';
}

char *eos_buf_steal(struct eos_buf *buf)
{
	if (!buf->failed && buf->data == NULL)
		(void)eos_buf_reserve(buf, 0);
	char *data = buf->data;
	if (buf->failed) {
		free(data);
		data = NULL;
	}
	eos_buf_init(buf);
	return data;
}
