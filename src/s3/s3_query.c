#include "s3/s3_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Decodes LEN bytes in place and ends them with NUL. */
static int decode(char *text, size_t len, size_t *ret_len)
{
	static const bool is_special[256] = {
		['\0'] = true, ['%'] = true, ['+'] = true, [0x80 ... 0xff] = true};
	size_t start = 0;
	while (start < len && !is_special[(unsigned char)text[start]])
		start++;
	text[len] = '\0';
	*ret_len = len;
	if (start == len)
		return 0;
	text += start;
	len -= start;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '+')
			text[i] = ' ';
	long n = eos_percent_decode(text, len, text);
	if (n < 0 || memchr(text, '\0', (size_t)n) != NULL || !eos_utf8_is_valid(text, (size_t)n))
		return -EINVAL;
	text[n] = '\0';
	*ret_len = start + (size_t)n;
	return 0;
}

/* Names share bits, so one that is set says nothing. */
static uint64_t initial_of(const char *name)
{
	return UINT64_C(1) << ((unsigned char)name[0] % 64);
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
	int err = decode(value, value_len, &param->value_len);
	if (err == 0)
		err = decode(text, name_len, &param->name_len);
	query->initials |= initial_of(text);
	return err;
}

int s3_query_parse(struct s3_query *query, const char *text)
{
	query->count = 0;
	query->initials = 0;
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
	query->initials = 0;
	query->count = 0;
}

const char *s3_query_get(const struct s3_query *query, const char *name)
{
	if ((query->initials & initial_of(name)) == 0)
		return NULL;
	size_t len = strlen(name);
	for (size_t i = 0; i < query->count; i++)
		if (query->params[i].name_len == len &&
		    memcmp(query->params[i].name, name, len) == 0)
			return query->params[i].value;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct s3_param *const *left = a, *const *right = b;
	int order = eos_percent_compare((*left)->name, (*right)->name);
	return order != 0 ? order : eos_percent_compare((*left)->value, (*right)->value);
}

/* Clients send them in order, or nearly. Whoever sends many in another one shall not keep us busy.
 */
static void sort(const struct s3_param **params, size_t count)
{
	if (count > 16) {
		qsort(params, count, sizeof(params[0]), compare);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		const struct s3_param *param = params[i];
		size_t at = i;
		for (; at > 0 && compare(&params[at - 1], &param) > 0; at--)
			params[at] = params[at - 1];
		params[at] = param;
	}
}

int s3_query_canonical(const struct s3_query *query, const char *skip, struct eos_buf *out)
{
	const struct s3_param *params[S3_QUERY_PARAMS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < query->count; i++)
		if (skip == NULL || strcmp(query->params[i].name, skip) != 0)
			params[count++] = &query->params[i];
	sort(params, count);
	for (size_t i = 0; i < count; i++) {
		eos_buf_append(out, "&", i > 0);
		eos_percent_encode(out, params[i]->name, params[i]->name_len, false);
		eos_buf_append(out, "=", 1);
		eos_percent_encode(out, params[i]->value, params[i]->value_len, false);
	}
	return eos_buf_failed(out) ? -ENOMEM : 0;
}
