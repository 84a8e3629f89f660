/* x-amz-expiration: when an object will expire, and by which rule. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_object_priv.h"

static void add_header(struct s3_request *request, const char *id, uint64_t ns)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	char date[EOS_HTTP_DATE_SIZE];

	eos_format_http_date(ns, date);
	eos_buf_printf(&text, "expiry-date=\"%s\", rule-id=\"", date);
	eos_percent_encode(&text, id, strlen(id), false);
	eos_buf_puts(&text, "\"");
	if (eos_buf_failed(&text) ||
	    http_request_add_header(request->http, "x-amz-expiration", text.data) < 0)
		eos_log(EOS_LOG_WARN, "s3", "event=expiration_not_told bucket=%s why=memory",
			request->bucket);
}

void s3_add_expiration(struct s3_request *request, const struct store_object_info *info)
{
	struct eos_buf *text = &request->lifecycle;
	const struct s3_config *config = &request->server->config;
	const struct s3_lifecycle_subject subject = {
		.key = request->key, .key_len = request->key_len, .info = info};
	struct s3_lifecycle *lifecycle;
	uint64_t ns;

	enum s3_code code = S3_OK;
	if (!request->has_lifecycle)
		code = s3_read_document(request, request->bucket, "lifecycle", text);
	request->has_lifecycle = code == S3_OK;
	if (code == S3_OK && text->len == 0)
		return;
	if (code == S3_OK)
		code = s3_lifecycle_read(text->data, text->len, &lifecycle);
	if (code != S3_OK) {
		eos_log(EOS_LOG_WARN, "s3", "event=expiration_not_told bucket=%s why=\"%s\"",
			request->bucket, s3_code_message(code));
		return;
	}
	const char *id = s3_lifecycle_expiry(
		lifecycle, &subject,
		config->lifecycle_day_ns != 0 ? config->lifecycle_day_ns : S3_LIFECYCLE_DAY_NS,
		&ns);
	if (id != NULL)
		add_header(request, id, ns);
	s3_lifecycle_free(lifecycle);
}
