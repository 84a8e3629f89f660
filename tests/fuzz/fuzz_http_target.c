/* The request target, its query, and what a range or date header may hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/http_target.h"
#include "s3/s3_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path, *rest;
	struct s3_query query;
	struct eos_buf buf;
	uint64_t first, len;
	int64_t time_s;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (s3_parse_range(text, 1000, &first, &len) > 0)
		EOS_ASSERT(len > 0 && first < 1000 && len <= 1000 - first);
	(void)!s3_parse_http_date(text, &time_s);
	if (http_target_split(text, strlen(text), &path, &rest) == 0) {
		EOS_ASSERT(path[0] == '/');
		if (s3_query_parse(&query, rest) == 0) {
			eos_buf_init(&buf);
			(void)!s3_query_canonical(&query, NULL, &buf);
			eos_buf_fini(&buf);
			s3_query_fini(&query);
		}
	}
	free(text);
	return 0;
}
