/*
 * The aws-chunked decoder. The first byte chooses the form and how the rest is cut into pieces;
 * any cutting must give the same result.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "s3/s3_chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t run(const char *text, size_t size, unsigned form, size_t piece)
{
	struct s3_chunked chunked;
	struct s3_chunk_item item;
	uint64_t bytes = 0;

	s3_chunked_init(&chunked, (form & 1) != 0, (form & 2) != 0);
	for (size_t at = 0; at < size; at += piece) {
		const char *data = text + at;
		size_t len = EOS_MIN(piece, size - at);
		for (;;) {
			int event = s3_chunked_next(&chunked, &data, &len, &item);
			if (event < 0)
				return UINT64_MAX;
			if (event == S3_CHUNK_EVENT_MORE)
				break;
			bytes += item.len;
		}
		EOS_ASSERT(len == 0);
	}
	return bytes * 2 + s3_chunked_is_done(&chunked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const char *text = (const char *)data + 1;
	uint64_t whole = run(text, size - 1, data[0], size);
	EOS_ASSERT(run(text, size - 1, data[0], 1u + (data[0] >> 2)) == whole);
	return 0;
}
