/*
 * Conditions: {OPERATOR: {KEY: VALUE or [VALUES]}}. All operators and keys must hold; of a key's
 * values one is enough, or for an operator with a Not none may fit. A key that the request does not
 * have: a Not holds, anything else does not, and with IfExists both do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_auth.h"
#include "s3/s3_policy_priv.h"

enum kind { STRING, STRING_CASE, LIKE, NUMERIC, DATE, BOOL, ADDRESS, ABSENT };
enum order { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

struct op {
	const char *name;
	enum kind kind;
	enum order order;
	bool is_negated;
};

static const struct op ops[] = {
	{"StringEquals", STRING, EQUAL, false},
	{"StringNotEquals", STRING, EQUAL, true},
	{"StringEqualsIgnoreCase", STRING_CASE, EQUAL, false},
	{"StringNotEqualsIgnoreCase", STRING_CASE, EQUAL, true},
	{"StringLike", LIKE, EQUAL, false},
	{"StringNotLike", LIKE, EQUAL, true},
	{"NumericEquals", NUMERIC, EQUAL, false},
	{"NumericNotEquals", NUMERIC, EQUAL, true},
	{"NumericLessThan", NUMERIC, LESS, false},
	{"NumericLessThanEquals", NUMERIC, LESS_EQUAL, false},
	{"NumericGreaterThan", NUMERIC, GREATER, false},
	{"NumericGreaterThanEquals", NUMERIC, GREATER_EQUAL, false},
	{"DateEquals", DATE, EQUAL, false},
	{"DateNotEquals", DATE, EQUAL, true},
	{"DateLessThan", DATE, LESS, false},
	{"DateLessThanEquals", DATE, LESS_EQUAL, false},
	{"DateGreaterThan", DATE, GREATER, false},
	{"DateGreaterThanEquals", DATE, GREATER_EQUAL, false},
	{"Bool", BOOL, EQUAL, false},
	{"IpAddress", ADDRESS, EQUAL, false},
	{"NotIpAddress", ADDRESS, EQUAL, true},
	{"Null", ABSENT, EQUAL, false},
};

/* What a request can be asked for; a name that ends in '/' has a tag's key behind it. */
static const char *const keys[] = {
	"aws:CurrentTime",
	"aws:EpochTime",
	"aws:Referer",
	"aws:SecureTransport",
	"aws:SourceIp",
	"aws:UserAgent",
	"s3:ExistingObjectTag/",
	"s3:RequestObjectTag/",
	"s3:VersionId",
	"s3:authType",
	"s3:delimiter",
	"s3:if-match",
	"s3:if-none-match",
	"s3:max-keys",
	"s3:prefix",
	"s3:signatureversion",
	"s3:x-amz-acl",
	"s3:x-amz-content-sha256",
	"s3:x-amz-copy-source",
	"s3:x-amz-grant-full-control",
	"s3:x-amz-grant-read",
	"s3:x-amz-grant-read-acp",
	"s3:x-amz-grant-write",
	"s3:x-amz-grant-write-acp",
	"s3:x-amz-metadata-directive",
	"s3:x-amz-server-side-encryption",
	"s3:x-amz-server-side-encryption-aws-kms-key-id",
	"s3:x-amz-server-side-encryption-customer-algorithm",
	"s3:x-amz-storage-class",
};

/* The operator NAME, without IfExists. */
static const struct op *find_op(const char *name, bool *ret_if_exists)
{
	static const char suffix[] = "IfExists";
	size_t len = strlen(name);
	bool if_exists = eos_str_ends_with(name, suffix);
	if (if_exists)
		len -= sizeof(suffix) - 1;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(ops); i++) {
		if (strlen(ops[i].name) == len && strncmp(ops[i].name, name, len) == 0) {
			*ret_if_exists = if_exists;
			return ops[i].kind == ABSENT && if_exists ? NULL : &ops[i];
		}
	}
	return NULL;
}

/* The key in our spelling, or as it is for tags; NULL: unknown. AWS's keys have no case. */
static const char *find_key(const char *name)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(keys); i++) {
		size_t len = strlen(keys[i]);
		if (keys[i][len - 1] == '/') {
			if (strncasecmp(name, keys[i], len) == 0 && name[len] != '\0')
				return name;
		} else if (strcasecmp(name, keys[i]) == 0) {
			return keys[i];
		}
	}
	return NULL;
}

/* An address in IPv6's form and the bits of it that count. Those of IPv4 are apart: no range of
 * IPv6 has them, however wide it is, unless it lies within their block (::ffff:0:0/96). */
struct range {
	uint8_t address[16];
	unsigned bits;
	bool is_v4;
};

static int parse_range(const char *text, struct range *ret_range)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	uint64_t bits = 0;
	static const uint8_t v4_block[12] = {[10] = 0xff, [11] = 0xff};
	struct range range = {.address = {[10] = 0xff, [11] = 0xff}};

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	bool is_v4 = inet_pton(AF_INET, address, range.address + 12) == 1;
	if (!is_v4 && inet_pton(AF_INET6, address, range.address) != 1)
		return -EINVAL;
	unsigned bits_max = is_v4 ? 32 : 128;
	bits = bits_max;
	if (text[len] == '/' && (eos_parse_u64(text + len + 1, &bits) < 0 || bits > bits_max))
		return -EINVAL;
	range.bits = (unsigned)bits + (is_v4 ? 96 : 0);
	range.is_v4 = range.bits >= 96 && memcmp(range.address, v4_block, sizeof(v4_block)) == 0;
	*ret_range = range;
	return 0;
}

static bool is_in_range(const char *text, const struct range *range)
{
	struct range single;
	if (parse_range(text, &single) < 0 || single.is_v4 != range->is_v4)
		return false;
	unsigned bytes = range->bits / 8, rest = range->bits % 8;
	if (memcmp(single.address, range->address, bytes) != 0)
		return false;
	return rest == 0 || ((single.address[bytes] ^ range->address[bytes]) >> (8 - rest)) == 0;
}

static int parse_number(const char *text, double *ret_value)
{
	char *end;
	if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
		return -EINVAL;
	*ret_value = strtod(text, &end);
	return *end == '\0' ? 0 : -EINVAL;
}

/* "2026-11-22T01:02:03Z", also with milliseconds, or seconds since 1970. */
static int parse_date(const char *text, double *ret_s)
{
	char compact[S3_AMZ_DATE_SIZE];
	int64_t seconds;
	size_t n = 0;

	if (parse_number(text, ret_s) == 0)
		return 0;
	for (const char *c = text; *c != '\0' && *c != '.' && *c != 'Z'; c++) {
		if (*c == '-' || *c == ':')
			continue;
		if (n == sizeof(compact) - 2)
			return -EINVAL;
		compact[n++] = *c;
	}
	compact[n++] = 'Z';
	compact[n] = '\0';
	if (!eos_str_ends_with(text, "Z") || s3_auth_parse_time(compact, &seconds) < 0)
		return -EINVAL;
	*ret_s = (double)seconds;
	return 0;
}

static int check_value(const struct op *op, const char *text)
{
	struct range range;
	double number;

	switch (op->kind) {
	case NUMERIC:
		return parse_number(text, &number);
	case DATE:
		return parse_date(text, &number);
	case ADDRESS:
		return parse_range(text, &range);
	case BOOL:
	case ABSENT:
		return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ? 0 : -EINVAL;
	default:
		return 0;
	}
}

static int check_key(const struct op *op, const char *name, const struct eos_node *values,
		     struct eos_why *why)
{
	const char *key = find_key(name);
	if (key == NULL)
		return eos_node_fail(values, why, "Condition: the key %.80s is not implemented",
				     name);
	bool is_address = strcmp(key, "aws:SourceIp") == 0;
	if (op->kind != ABSENT && is_address != (op->kind == ADDRESS))
		return eos_node_fail(values, why, "Condition: %s does not go with %.80s", op->name,
				     name);
	int err = s3_policy_check_texts(values, name, why);
	for (size_t i = 0; err == 0 && i < s3_policy_texts(values); i++)
		if (check_value(op, s3_policy_text(values, i)) < 0)
			err = eos_node_fail(values, why, "Condition: %s: not a value: %.80s",
					    op->name, s3_policy_text(values, i));
	return err;
}

int s3_policy_check_conditions(const struct eos_node *conditions, struct eos_why *why)
{
	if (eos_node_kind(conditions) != EOS_NODE_MAP)
		return eos_node_fail(conditions, why, "Condition: must be an object");
	for (size_t i = 0; i < eos_node_count(conditions); i++) {
		const struct eos_node *block = eos_node_at(conditions, i);
		bool if_exists;
		const struct op *op = find_op(eos_node_key_at(conditions, i), &if_exists);
		if (op == NULL)
			return eos_node_fail(block, why,
					     "Condition: the operator %.80s is not implemented",
					     eos_node_key_at(conditions, i));
		if (eos_node_kind(block) != EOS_NODE_MAP || eos_node_count(block) == 0)
			return eos_node_fail(block, why, "Condition: %s: must be an object",
					     op->name);
		for (size_t k = 0; k < eos_node_count(block); k++) {
			int err = check_key(op, eos_node_key_at(block, k), eos_node_at(block, k),
					    why);
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static bool compare(const struct op *op, double have, double want)
{
	switch (op->order) {
	case EQUAL:
		return have == want;
	case LESS:
		return have < want;
	case LESS_EQUAL:
		return have <= want;
	case GREATER:
		return have > want;
	case GREATER_EQUAL:
		return have >= want;
	}
	return false;
}

/* HAVE is the request's, WANT the policy's and checked. */
static bool fits(const struct op *op, const char *have, const char *want)
{
	struct range range;
	double have_number, want_number;

	switch (op->kind) {
	case STRING:
		return strcmp(have, want) == 0;
	case STRING_CASE:
	case BOOL:
		return strcasecmp(have, want) == 0;
	case LIKE:
		return s3_glob(want, have);
	case NUMERIC:
		return parse_number(have, &have_number) == 0 &&
		       parse_number(want, &want_number) == 0 &&
		       compare(op, have_number, want_number);
	case DATE:
		return parse_date(have, &have_number) == 0 && parse_date(want, &want_number) == 0 &&
		       compare(op, have_number, want_number);
	case ADDRESS:
		return parse_range(want, &range) == 0 && is_in_range(have, &range);
	case ABSENT:
		break;
	}
	return false;
}

static bool key_holds(const struct op *op, bool if_exists, const struct eos_node *values,
		      const char *have)
{
	bool is_any = false;

	if (op->kind == ABSENT) {
		for (size_t i = 0; i < s3_policy_texts(values); i++)
			is_any = is_any ||
				 (strcmp(s3_policy_text(values, i), "true") == 0) == (have == NULL);
		return is_any;
	}
	if (have == NULL)
		return op->is_negated || if_exists;
	for (size_t i = 0; !is_any && i < s3_policy_texts(values); i++)
		is_any = fits(op, have, s3_policy_text(values, i));
	return is_any != op->is_negated;
}

bool s3_policy_conditions_hold(const struct eos_node *conditions,
			       const struct s3_policy_question *question)
{
	for (size_t i = 0; i < eos_node_count(conditions); i++) {
		const struct eos_node *block = eos_node_at(conditions, i);
		bool if_exists;
		const struct op *op = find_op(eos_node_key_at(conditions, i), &if_exists);
		for (size_t k = 0; k < eos_node_count(block); k++) {
			const char *key = find_key(eos_node_key_at(block, k));
			if (!key_holds(op, if_exists, eos_node_at(block, k),
				       question->value(question->ctx, key)))
				return false;
		}
	}
	return true;
}

bool s3_policy_conditions_bound(const struct eos_node *conditions)
{
	/* As S3 sees it: from /8 (IPv6: /32) on a range is not the whole world. */
	const struct eos_node *block = eos_node_get(conditions, "IpAddress");
	bool is_bound = false;

	for (size_t k = 0; block != NULL && k < eos_node_count(block); k++) {
		const struct eos_node *values = eos_node_at(block, k);
		is_bound = true;
		for (size_t i = 0; i < s3_policy_texts(values); i++) {
			struct range range;
			if (parse_range(s3_policy_text(values, i), &range) < 0 ||
			    range.bits < (range.is_v4 ? 96 + 8 : 32))
				return false;
		}
	}
	return is_bound;
}
