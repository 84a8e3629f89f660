/*
 * Any bytes as a multipart form: what comes out does not depend on the pieces in which they came.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t hash;
	size_t bytes;
};

static void mix(struct seen *seen, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		seen->hash = (seen->hash ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
	seen->bytes += len;
}

static int on_field(void *ctx, const char *name, const char *value, size_t len)
{
	if (value[len] != '\0' || len > S3_FORM_FIELDS_BYTES_MAX)
		abort();
	mix(ctx, name, strlen(name) + 1);
	mix(ctx, value, len);
	return 0;
}

static int on_file(void *ctx, const char *filename)
{
	mix(ctx, filename, strlen(filename) + 1);
	return 0;
}

static int on_data(void *ctx, const void *data, size_t len)
{
	mix(ctx, data, len);
	return 0;
}

static int feed(const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
	const struct s3_form_handler handler = {on_field, on_file, on_data, seen};
	struct s3_form form;
	if (s3_form_init(&form, "multipart/form-data; boundary=b", &handler) < 0)
		abort();
	int err = 0;
	for (size_t at = 0; at < size && err == 0; at += step)
		err = s3_form_feed(&form, data + at, size - at < step ? size - at : step);
	if (err == 0)
		err = s3_form_finish(&form);
	s3_form_fini(&form);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, pieces = {0};
	int err = feed(data, size, size > 0 ? size : 1, &whole);
	int pieces_err = feed(data, size, 3, &pieces);
	if (err != pieces_err)
		abort();
	if (err == 0 && (whole.hash != pieces.hash || whole.bytes != pieces.bytes))
		abort();
	return 0;
}
