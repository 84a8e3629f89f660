/*
 * Grammar, as AWS's clients send it:
 *
 *   body     = *chunk last (CRLF | *trailer CRLF)
 *   chunk    = 1*16HEXDIG [";chunk-signature=" 64HEXDIG] CRLF bytes CRLF
 *   last     = "0" [";chunk-signature=" 64HEXDIG] CRLF
 *   trailer  = name ":" value CRLF
 *
 * AWS's documentation shows trailer lines that end with LF alone; both ends are understood there,
 * and only there.
 *
 *   SIZE --size > 0--> DATA --> DATA_CR --> DATA_LF --> SIZE
 *     '--size 0--> TRAILER --empty line--> DONE
 */
#include "s3/s3_chunked.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

#define SIZE_DIGITS_MAX 16

void s3_chunked_init(struct s3_chunked *chunked, bool is_signed, bool has_trailers)
{
	memset(chunked, 0, sizeof(*chunked));
	chunked->state = S3_CHUNK_SIZE;
	chunked->is_signed = is_signed;
	chunked->has_trailers = has_trailers;
}

static void move(struct s3_chunked *chunked, enum s3_chunk_state next)
{
	static const unsigned allowed[] = {
		[S3_CHUNK_SIZE] = 1u << S3_CHUNK_DATA | 1u << S3_CHUNK_TRAILER,
		[S3_CHUNK_DATA] = 1u << S3_CHUNK_DATA_CR,
		[S3_CHUNK_DATA_CR] = 1u << S3_CHUNK_DATA_LF,
		[S3_CHUNK_DATA_LF] = 1u << S3_CHUNK_SIZE,
		[S3_CHUNK_TRAILER] = 1u << S3_CHUNK_DONE,
		[S3_CHUNK_DONE] = 0,
		[S3_CHUNK_FAILED] = 0,
	};
	EOS_ASSERT(next == S3_CHUNK_FAILED || (allowed[chunked->state] & 1u << next) != 0);
	chunked->state = next;
}

static int fail(struct s3_chunked *chunked)
{
	move(chunked, S3_CHUNK_FAILED);
	return -EINVAL;
}

/* 1: the line is complete (without its end), 0: not yet, -EINVAL. */
static int read_line(struct s3_chunked *chunked, const char **data, size_t *len)
{
	while (*len > 0) {
		char c = **data;
		(*data)++;
		(*len)--;
		if (c == '\n') {
			bool has_cr = chunked->line_len > 0 &&
				      chunked->line[chunked->line_len - 1] == '\r';
			if (!has_cr && chunked->state != S3_CHUNK_TRAILER)
				return -EINVAL;
			chunked->line_len -= has_cr;
			chunked->line[chunked->line_len] = '\0';
			chunked->line_len = 0;
			return 1;
		}
		if (c == '\0' || chunked->line_len == S3_CHUNK_LINE_MAX)
			return -EINVAL;
		chunked->line[chunked->line_len++] = c;
	}
	return 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Returns the signature in the line, "" if none; NULL: malformed. */
static const char *parse_size(struct s3_chunked *chunked)
{
	static const char extension[] = ";chunk-signature=";
	const char *at = chunked->line;
	uint64_t size = 0;

	for (; digit_of(*at) >= 0; at++) {
		if (at - chunked->line == SIZE_DIGITS_MAX)
			return NULL;
		size = size << 4 | (uint64_t)digit_of(*at);
	}
	if (at == chunked->line)
		return NULL;
	chunked->left = size;
	if (*at == '\0')
		return chunked->is_signed ? NULL : at;
	if (!chunked->is_signed || strncmp(at, extension, sizeof(extension) - 1) != 0)
		return NULL;
	at += sizeof(extension) - 1;
	if (strlen(at) != S3_SIGNATURE_DIGITS)
		return NULL;
	for (const char *c = at; *c != '\0'; c++)
		if (digit_of(*c) < 0)
			return NULL;
	return at;
}

static int parse_trailer(struct s3_chunked *chunked, struct s3_chunk_item *item)
{
	char *colon = strchr(chunked->line, ':');
	if (!chunked->has_trailers || colon == NULL || colon == chunked->line ||
	    chunked->trailers++ == S3_CHUNK_TRAILERS_MAX)
		return fail(chunked);
	*colon = '\0';
	for (char *c = chunked->line; *c != '\0'; c++) {
		if (*c <= ' ' || *c >= 0x7f)
			return fail(chunked);
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	}
	char *value = colon + 1;
	value += strspn(value, " \t");
	char *end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	item->name = chunked->line;
	item->value = value;
	return S3_CHUNK_EVENT_TRAILER;
}

static int next_in_line(struct s3_chunked *chunked, const char **data, size_t *len,
			struct s3_chunk_item *item)
{
	int complete = read_line(chunked, data, len);
	if (complete < 0)
		return fail(chunked);
	if (complete == 0)
		return S3_CHUNK_EVENT_MORE;
	if (chunked->state == S3_CHUNK_TRAILER) {
		if (chunked->line[0] != '\0')
			return parse_trailer(chunked, item);
		move(chunked, S3_CHUNK_DONE);
		return S3_CHUNK_EVENT_DONE;
	}
	item->signature = parse_size(chunked);
	if (item->signature == NULL)
		return fail(chunked);
	chunked->is_last = chunked->left == 0;
	/* The end of the last chunk is reported by the next call, in TRAILER. */
	move(chunked, chunked->is_last ? S3_CHUNK_TRAILER : S3_CHUNK_DATA);
	return S3_CHUNK_EVENT_BEGIN;
}

static int next_data(struct s3_chunked *chunked, const char **data, size_t *len,
		     struct s3_chunk_item *item)
{
	size_t n = *len < chunked->left ? *len : (size_t)chunked->left;
	item->data = *data;
	item->len = n;
	*data += n;
	*len -= n;
	chunked->left -= n;
	if (chunked->left == 0)
		move(chunked, S3_CHUNK_DATA_CR);
	return S3_CHUNK_EVENT_DATA;
}

int s3_chunked_next(struct s3_chunked *chunked, const char **data, size_t *len,
		    struct s3_chunk_item *ret_item)
{
	*ret_item = (struct s3_chunk_item){.signature = ""};
	if (chunked->state == S3_CHUNK_FAILED)
		return -EINVAL;
	if (chunked->is_last && chunked->state == S3_CHUNK_TRAILER) {
		chunked->is_last = false;
		return S3_CHUNK_EVENT_END;
	}
	if (*len == 0)
		return S3_CHUNK_EVENT_MORE;
	switch (chunked->state) {
	case S3_CHUNK_SIZE:
	case S3_CHUNK_TRAILER:
		return next_in_line(chunked, data, len, ret_item);
	case S3_CHUNK_DATA:
		return next_data(chunked, data, len, ret_item);
	case S3_CHUNK_DATA_CR:
	case S3_CHUNK_DATA_LF:
		if (**data != (chunked->state == S3_CHUNK_DATA_CR ? '\r' : '\n'))
			return fail(chunked);
		(*data)++;
		(*len)--;
		if (chunked->state == S3_CHUNK_DATA_CR) {
			move(chunked, S3_CHUNK_DATA_LF);
			return s3_chunked_next(chunked, data, len, ret_item);
		}
		move(chunked, S3_CHUNK_SIZE);
		return S3_CHUNK_EVENT_END;
	case S3_CHUNK_DONE:
	case S3_CHUNK_FAILED:
		break;
	}
	return fail(chunked);
}

bool s3_chunked_is_done(const struct s3_chunked *chunked)
{
	return chunked->state == S3_CHUNK_DONE;
}
