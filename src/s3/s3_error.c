#include "s3/s3_error.h"

#include <errno.h>

#include "base/assert.h"

struct row {
	const char *name;
	unsigned status;
	const char *message;
};

#define ROW(id, text, http_status, words) [S3_##id] = {text, http_status, words},
static const struct row rows[S3_CODE_COUNT] = {S3_CODES(ROW) S3_OBJECT_CODES(ROW)
						       S3_BUCKET_CODES(ROW)};
#undef ROW

static const struct row *row_of(enum s3_code code)
{
	EOS_ASSERT(code > S3_OK && code < S3_CODE_COUNT);
	return &rows[code];
}

const char *s3_code_name(enum s3_code code)
{
	return row_of(code)->name;
}

unsigned s3_code_status(enum s3_code code)
{
	return row_of(code)->status;
}

const char *s3_code_message(enum s3_code code)
{
	return row_of(code)->message;
}

enum s3_code s3_code_of(int err, enum s3_code not_found)
{
	switch (err) {
	case 0:
		return S3_OK;
	case -ENOENT:
		return not_found;
	case -ENOSPC:
		return S3_INSUFFICIENT_STORAGE;
	case -EDQUOT:
		return S3_QUOTA_EXCEEDED;
	case -ENOKEY:
		return S3_NO_NODE_KEY;
	case -EKEYREJECTED:
	case -EPERM:
		return S3_ACCESS_DENIED;
	case -EROFS:
		return S3_SERVICE_UNAVAILABLE;
	case -EMFILE:
		return S3_SLOW_DOWN;
	case -EFBIG:
		return S3_ENTITY_TOO_LARGE;
	case -EEXIST:
	case -ESTALE:
		return S3_PRECONDITION_FAILED;
	default:
		return S3_INTERNAL_ERROR;
	}
}
