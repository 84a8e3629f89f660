#include "s3/s3_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Decodes LEN bytes in place and ends them with NUL. */
static int decode(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '+')
			text[i] = ' ';
	long n = eos_percent_decode(text, len, text);
	if (n < 0 || memchr(text, '\0', (size_t)n) != NULL || !eos_utf8_is_valid(text, (size_t)n))
		return -EINVAL;
	text[n] = '\0';
	return 0;
}

static int parse_param(struct s3_query *query, char *text, size_t len)
{
	if (query->count == S3_QUERY_PARAMS_MAX)
		return -EINVAL;
	struct s3_param *param = &query->params[query->count++];
	char *equals = memchr(text, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
	char *value = equals != NULL ? equals + 1 : text + len;
	size_t value_len = equals != NULL ? len - name_len - 1 : 0;
	param->name = text;
	param->value = value;
	/* The byte behind each is '=', '&' or the end: it may be overwritten. */
	int err = decode(value, value_len);
	return err < 0 ? err : decode(text, name_len);
}

int s3_query_parse(struct s3_query *query, const char *text)
{
	query->count = 0;
	query->storage = NULL;
	if (text[0] == '\0')
		return 0;
	query->storage = strdup(text);
	if (query->storage == NULL)
		return -ENOMEM;
	char *at = query->storage;
	while (at != NULL) {
		char *end = strchr(at, '&');
		size_t len = end != NULL ? (size_t)(end - at) : strlen(at);
		int err = len > 0 ? parse_param(query, at, len) : 0;
		if (err < 0) {
			s3_query_fini(query);
			return err;
		}
		at = end != NULL ? end + 1 : NULL;
	}
	return 0;
}

void s3_query_fini(struct s3_query *query)
{
	free(query->storage);
	query->storage = NULL;
	query->count = 0;
}

const char *s3_query_get(const struct s3_query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->params[i].name, name) == 0)
			return query->params[i].value;
	return NULL;
}

/* One parameter encoded: NAME and VALUE are offsets into one buffer, which moves as it grows. */
struct encoded {
	size_t name, value;
	const struct eos_buf *buf;
};

static int compare(const void *a, const void *b)
{
	const struct encoded *left = a, *right = b;
	int order = strcmp(left->buf->data + left->name, right->buf->data + right->name);
	if (order != 0)
		return order;
	return strcmp(left->buf->data + left->value, right->buf->data + right->value);
}

int s3_query_canonical(const struct s3_query *query, const char *skip, struct eos_buf *out)
{
	struct encoded encoded[S3_QUERY_PARAMS_MAX];
	struct eos_buf buf;
	size_t count = 0;

	eos_buf_init(&buf);
	for (size_t i = 0; i < query->count; i++) {
		const struct s3_param *param = &query->params[i];
		if (skip != NULL && strcmp(param->name, skip) == 0)
			continue;
		encoded[count].buf = &buf;
		encoded[count].name = buf.len;
		eos_percent_encode(&buf, param->name, strlen(param->name), false);
		eos_buf_append(&buf, "", 1);
		encoded[count].value = buf.len;
		eos_percent_encode(&buf, param->value, strlen(param->value), false);
		eos_buf_append(&buf, "", 1);
		count++;
	}
	if (!eos_buf_failed(&buf)) {
		if (count > 1)
			qsort(encoded, count, sizeof(encoded[0]), compare);
		for (size_t i = 0; i < count; i++) {
			eos_buf_puts(out, i > 0 ? "&" : "");
			eos_buf_puts(out, buf.data + encoded[i].name);
			eos_buf_append(out, "=", 1);
			eos_buf_puts(out, buf.data + encoded[i].value);
		}
	}
	int err = eos_buf_failed(&buf) || eos_buf_failed(out) ? -ENOMEM : 0;
	eos_buf_fini(&buf);
	return err;
}
