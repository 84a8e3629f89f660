/* The Authorization header, the query of a presigned URL, and the canonical form of both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void canonicalise(const struct s3_auth *auth, const struct s3_query *query, const char *text)
{
	const struct s3_header headers[] = {{"host", text}, {"x-amz-date", text}};
	const struct s3_sign_input input = {.method = "GET",
					    .path = text,
					    .query = query,
					    .headers = headers,
					    .headers_count = 2,
					    .payload = "UNSIGNED-PAYLOAD"};
	struct s3_signer signer;
	if (s3_auth_verify(auth, &input, "secret", &signer) == S3_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_query query;
	struct s3_auth auth;
	int64_t time_s;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)!s3_auth_parse_time(text, &time_s);
	if (s3_query_parse(&query, text) == 0) {
		if (s3_auth_parse_header(text, &auth) == S3_OK)
			canonicalise(&auth, &query, text);
		if (s3_auth_parse_query(&query, &auth) == S3_OK)
			canonicalise(&auth, &query, text);
		s3_query_fini(&query);
	}
	free(text);
	return 0;
}
