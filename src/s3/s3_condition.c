/* Conditional requests (RFC 9110, section 13) and ranges (section 14). */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"

int s3_parse_http_date(const char *text, int64_t *ret_s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char weekday[4], month[4];
	int end = 0;
	struct tm tm = {0};

	if (strlen(text) != 29 ||
	    sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", weekday, &tm.tm_mday,
		   month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 7 ||
	    end != 29)
		return -EINVAL;
	const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
	if (found == NULL || (found - months) % 3 != 0 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
	    tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_mon = (int)(found - months) / 3;
	tm.tm_year -= 1900;
	*ret_s = (int64_t)timegm(&tm);
	return 0;
}

/* True if the list in TEXT ("*", or ETags with or without quotes) holds ETAG. */
static bool matches(const char *text, const char *etag)
{
	size_t etag_len = strlen(etag);
	while (*text != '\0') {
		text += strspn(text, ", \t");
		size_t len = strcspn(text, ",");
		const char *next = text + len;
		while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
		if (len == 1 && *text == '*')
			return true;
		if (len > 2 && text[0] == 'W' && text[1] == '/') {
			text += 2;
			len -= 2;
		}
		if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
			text++;
			len -= 2;
		}
		if (len == etag_len && memcmp(text, etag, len) == 0)
			return true;
		text = next;
	}
	return false;
}

enum s3_code s3_check_conditions(const struct s3_condition_headers *headers,
				 const struct store_object_info *info)
{
	int64_t modified_s = (int64_t)(info->modified_ns / EOS_NS_PER_S);
	const char *etag = s3_etag_of(info);
	int64_t given_s;

	if (headers->if_match != NULL) {
		if (!matches(headers->if_match, etag))
			return S3_PRECONDITION_FAILED;
	} else if (headers->if_unmodified_since != NULL &&
		   s3_parse_http_date(headers->if_unmodified_since, &given_s) == 0 &&
		   modified_s > given_s) {
		return S3_PRECONDITION_FAILED;
	}
	if (headers->if_none_match != NULL)
		return matches(headers->if_none_match, etag) ? S3_NOT_MODIFIED : S3_OK;
	if (headers->if_modified_since != NULL &&
	    s3_parse_http_date(headers->if_modified_since, &given_s) == 0 && modified_s <= given_s)
		return S3_NOT_MODIFIED;
	return S3_OK;
}

/* What is there now is compared with all that the headers say, and then the store is told to change
 * only that: so lists of ETags hold in its transaction as well as a single one, and those of
 * objects made of parts, whose ETag the store does not know. */
static enum s3_code pin_current(struct s3_request *request, const char *if_match,
				const char *if_none_match, struct store_object_info *info)
{
	const char *etag = NULL;
	int err = store_object_get(request->server->store, request->bucket, request->key,
				   request->key_len, STORE_VERSION_LATEST, info);

	if (err < 0 && err != -ENOENT)
		return s3_code_of(err, S3_NO_SUCH_KEY);
	if (err == 0)
		etag = s3_etag_of(info);
	if (if_match != NULL && etag == NULL)
		return S3_NO_SUCH_KEY;
	if ((if_match != NULL && !matches(if_match, etag)) ||
	    (if_none_match != NULL && etag != NULL && matches(if_none_match, etag)))
		return S3_PRECONDITION_FAILED;
	request->put.condition = etag != NULL ? STORE_IF_MATCH : STORE_IF_ABSENT;
	if (etag != NULL)
		memcpy(request->put.etag, info->etag, sizeof(request->put.etag));
	return S3_OK;
}

enum s3_code s3_read_put_condition(struct s3_request *request)
{
	const char *if_match = s3_header(request, "if-match");
	const char *if_none_match = s3_header(request, "if-none-match");

	request->put = (struct store_put_options){.condition = STORE_ALWAYS};
	if (s3_header(request, "if-modified-since") != NULL ||
	    s3_header(request, "if-unmodified-since") != NULL)
		return s3_say(request, S3_NOT_IMPLEMENTED,
			      "Conditions on time are not implemented for writing.");
	if (if_match == NULL && if_none_match == NULL)
		return S3_OK;
	struct store_object_info *info = malloc(sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = pin_current(request, if_match, if_none_match, info);
	free(info);
	return code;
}

/* Digits up to STOP into *RET; false: none or something else. */
static bool parse_number(const char *text, size_t len, uint64_t *ret)
{
	char digits[21];
	if (len == 0 || len >= sizeof(digits))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return eos_parse_u64(digits, ret) == 0;
}

int s3_parse_range(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
	uint64_t first, last;

	if (text == NULL || !eos_str_starts_with(text, "bytes=") || strchr(text, ',') != NULL)
		return 0;
	text += strlen("bytes=");
	const char *dash = strchr(text, '-');
	if (dash == NULL)
		return 0;
	size_t first_len = (size_t)(dash - text), last_len = strlen(dash + 1);
	if (first_len == 0) {
		/* The last N bytes. */
		if (!parse_number(dash + 1, last_len, &last))
			return 0;
		if (last == 0 || size == 0)
			return -ERANGE;
		*ret_len = last < size ? last : size;
		*ret_first = size - *ret_len;
		return 1;
	}
	if (!parse_number(text, first_len, &first))
		return 0;
	last = UINT64_MAX;
	if (last_len > 0 && (!parse_number(dash + 1, last_len, &last) || last < first))
		return 0;
	if (first >= size)
		return -ERANGE;
	if (last >= size)
		last = size - 1;
	*ret_first = first;
	*ret_len = last - first + 1;
	return 1;
}
