#include "s3/s3_auth.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

static bool are_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

static unsigned number_of(const char *text, size_t len)
{
	unsigned value = 0;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	return value;
}

int s3_auth_parse_time(const char *text, int64_t *ret_s)
{
	if (strlen(text) != S3_AMZ_DATE_SIZE - 1 || !are_digits(text, 8) || text[8] != 'T' ||
	    !are_digits(text + 9, 6) || text[15] != 'Z')
		return -EINVAL;
	unsigned year = number_of(text, 4), month = number_of(text + 4, 2);
	unsigned day = number_of(text + 6, 2), hour = number_of(text + 9, 2);
	unsigned minute = number_of(text + 11, 2), second = number_of(text + 13, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
	    minute > 59 || second > 60)
		return -EINVAL;
	*ret_s = (int64_t)(eos_days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 +
			   second);
	return 0;
}

/* TEXT of LEN bytes into OUT; false: too long or empty. */
static bool copy(char *out, size_t size, const char *text, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

/* "AKID/20130524/us-east-1/s3/aws4_request" */
static bool parse_credential(const char *text, size_t len, struct s3_auth *auth)
{
	const char *parts[5];
	size_t lens[5];
	size_t count = 0;
	const char *end = text + len;

	for (const char *at = text; count < 5; at += lens[count - 1] + 1) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		parts[count] = at;
		lens[count] = (size_t)((slash != NULL ? slash : end) - at);
		count++;
		if (slash == NULL)
			break;
	}
	if (count != 5 || parts[4] + lens[4] != end)
		return false;
	return copy(auth->access_key, sizeof(auth->access_key), parts[0], lens[0]) &&
	       lens[1] == 8 && are_digits(parts[1], 8) &&
	       copy(auth->day, sizeof(auth->day), parts[1], lens[1]) &&
	       copy(auth->region, sizeof(auth->region), parts[2], lens[2]) && lens[3] == 2 &&
	       memcmp(parts[3], "s3", 2) == 0 && lens[4] == 12 &&
	       memcmp(parts[4], "aws4_request", 12) == 0;
}

/* What cannot be a signature is one that does not match: "". */
static bool parse_signature(const char *text, size_t len, struct s3_auth *auth)
{
	if (len != S3_SIGNATURE_SIZE - 1)
		return len > 0;
	return copy(auth->signature, sizeof(auth->signature), text, len);
}

/* Names in lower case, in order, each once: as the canonical form wants them. */
static bool parse_signed_headers(const char *text, size_t len, struct s3_auth *auth)
{
	if (!copy(auth->signed_headers, sizeof(auth->signed_headers), text, len))
		return false;
	const char *previous = NULL;
	size_t previous_len = 0;
	for (const char *at = auth->signed_headers;;) {
		size_t n = strcspn(at, ";");
		if (n == 0)
			return false;
		for (size_t i = 0; i < n; i++)
			if (at[i] <= ' ' || at[i] >= 0x7f || (at[i] >= 'A' && at[i] <= 'Z'))
				return false;
		if (previous != NULL) {
			size_t shorter = previous_len < n ? previous_len : n;
			int order = memcmp(previous, at, shorter);
			if (order > 0 || (order == 0 && previous_len >= n))
				return false;
		}
		previous = at;
		previous_len = n;
		if (at[n] == '\0')
			return true;
		at += n + 1;
	}
}

/* If TEXT begins with NAME and '=', its value up to END. */
static const char *value_of(const char *text, const char *end, const char *name)
{
	size_t len = strlen(name);
	if ((size_t)(end - text) <= len || memcmp(text, name, len) != 0 || text[len] != '=')
		return NULL;
	return text + len + 1;
}

/* All but the names of signed headers, which are long. */
static struct s3_auth *clear(struct s3_auth *auth)
{
	memset(auth, 0, offsetof(struct s3_auth, signed_headers) + 1);
	return auth;
}

enum s3_code s3_auth_parse_header(const char *text, struct s3_auth *ret_auth)
{
	struct s3_auth *auth = clear(ret_auth);
	unsigned seen = 0;

	if (!eos_str_starts_with(text, ALGORITHM " "))
		return eos_str_starts_with(text, "AWS ") && strchr(text, ':') != NULL
			       ? S3_INVALID_REQUEST
			       : S3_INVALID_ARGUMENT;
	for (const char *at = text + sizeof(ALGORITHM);;) {
		at += strspn(at, " ");
		const char *end = at + strcspn(at, ",");
		const char *next = end;
		while (end > at && end[-1] == ' ')
			end--;
		const char *value;
		unsigned bit;
		bool is_good;
		if ((value = value_of(at, end, "Credential")) != NULL) {
			bit = 1;
			is_good = parse_credential(value, (size_t)(end - value), auth);
		} else if ((value = value_of(at, end, "SignedHeaders")) != NULL) {
			bit = 2;
			is_good = parse_signed_headers(value, (size_t)(end - value), auth);
		} else if ((value = value_of(at, end, "Signature")) != NULL) {
			bit = 4;
			is_good = parse_signature(value, (size_t)(end - value), auth);
		} else {
			return S3_AUTH_HEADER_MALFORMED;
		}
		if (!is_good || (seen & bit) != 0)
			return S3_AUTH_HEADER_MALFORMED;
		seen |= bit;
		if (*next == '\0')
			break;
		at = next + 1;
	}
	if (seen != 7)
		return S3_AUTH_HEADER_MALFORMED;
	return S3_OK;
}

enum s3_code s3_auth_parse_query(const struct s3_query *query, struct s3_auth *ret_auth)
{
	struct s3_auth *auth = clear(ret_auth);
	const char *algorithm = s3_query_get(query, "X-Amz-Algorithm");
	const char *credential = s3_query_get(query, "X-Amz-Credential");
	const char *date = s3_query_get(query, "X-Amz-Date");
	const char *expires = s3_query_get(query, "X-Amz-Expires");
	const char *signed_headers = s3_query_get(query, "X-Amz-SignedHeaders");
	const char *signature = s3_query_get(query, "X-Amz-Signature");
	int64_t time_s;

	auth->is_presigned = true;
	if (algorithm == NULL || credential == NULL || date == NULL || expires == NULL ||
	    signed_headers == NULL || signature == NULL)
		return S3_AUTH_QUERY_ERROR;
	if (strcmp(algorithm, ALGORITHM) != 0 ||
	    !parse_credential(credential, strlen(credential), auth) ||
	    s3_auth_parse_time(date, &time_s) < 0 || eos_parse_u64(expires, &auth->expires_s) < 0 ||
	    auth->expires_s > S3_PRESIGN_S_MAX ||
	    !parse_signed_headers(signed_headers, strlen(signed_headers), auth) ||
	    !parse_signature(signature, strlen(signature), auth))
		return S3_AUTH_QUERY_ERROR;
	memcpy(auth->amz_date, date, sizeof(auth->amz_date));
	if (memcmp(auth->amz_date, auth->day, 8) != 0)
		return S3_AUTH_QUERY_ERROR;
	return S3_OK;
}

enum s3_code s3_auth_parse_form(const char *algorithm, const char *credential, const char *date,
				const char *signature, struct s3_auth *ret_auth)
{
	struct s3_auth *auth = clear(ret_auth);
	int64_t time_s;

	if (strcmp(algorithm, ALGORITHM) != 0 ||
	    !parse_credential(credential, strlen(credential), auth) ||
	    s3_auth_parse_time(date, &time_s) < 0 || memcmp(date, auth->day, 8) != 0 ||
	    !parse_signature(signature, strlen(signature), auth))
		return S3_INVALID_ARGUMENT;
	memcpy(auth->amz_date, date, sizeof(auth->amz_date));
	return S3_OK;
}
