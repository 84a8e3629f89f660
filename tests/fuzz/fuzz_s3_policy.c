/*
 * Any bytes as a bucket policy, and as the policy of a POST form: refused with a reason, or safe to
 * be asked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_policy.h"
#include "s3/s3_post_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a request says of itself is as hostile: the end of the input, cut at its NULs. */
static const char *value_of(void *ctx, const char *key)
{
	const char *tail = ctx;
	switch (strlen(key) % 4) {
	case 0:
		return "127.0.0.1";
	case 1:
		return NULL;
	case 2:
		return tail + strlen(tail) + 1;
	default:
		return tail;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_post_form form = {.count = 0};
	struct s3_post_limits limits;
	struct s3_policy *policy;
	struct eos_why why = {""};
	const char *text = (const char *)data;

	char tail[130] = {0};
	if (size > 0)
		memcpy(tail, data + size - EOS_MIN(size, (size_t)128), EOS_MIN(size, (size_t)128));
	int err = s3_policy_parse(text, size, "bucket", &policy, &why);
	if (err < 0 && why.text[0] == '\0')
		abort();
	if (err == 0) {
		struct s3_policy_question question = {.action = "GetObject",
						      .resource = "bucket/key",
						      .value = value_of,
						      .ctx = tail};
		(void)s3_policy_is_public(policy);
		(void)s3_policy_ask(policy, &question);
		question.tenant = "acme";
		(void)s3_policy_ask(policy, &question);
		s3_policy_free(policy);
	}
	if (s3_post_form_add(&form, "key", "k", 1) == 0)
		(void)!s3_post_policy_check(text, size, &form, "bucket", "key", 0, &limits, &why);
	s3_post_form_fini(&form);
	return 0;
}
