#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

/* Leading digits of *TEXT, which moves behind them. */
static int parse_digits(const char **text, uint64_t *ret_value)
{
	const char *p = *text;
	uint64_t value = 0;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	}
	*text = p;
	*ret_value = value;
	return 0;
}

int eos_parse_u64(const char *text, uint64_t *ret_value)
{
	uint64_t value;
	int err = parse_digits(&text, &value);
	if (err == 0 && *text != '\0')
		err = -EINVAL;
	if (err == 0)
		*ret_value = value;
	return err;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int parse_with_unit(const char *text, const struct unit *units, uint64_t *ret_value)
{
	uint64_t value;
	int err = parse_digits(&text, &value);
	if (err < 0)
		return err;
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(text, u->name) != 0)
			continue;
		if (__builtin_mul_overflow(value, u->factor, &value))
			return -ERANGE;
		*ret_value = value;
		return 0;
	}
	return -EINVAL;
}

int eos_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"kB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
		{"KiB", UINT64_C(1) << 10},
		{"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30},
		{"TiB", UINT64_C(1) << 40},
		{NULL, 0},
	};
	return parse_with_unit(text, units, ret_bytes);
}

int eos_parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{"ns", 1},
		{"us", EOS_NS_PER_US},
		{"ms", EOS_NS_PER_MS},
		{"s", EOS_NS_PER_S},
		{"m", 60 * EOS_NS_PER_S},
		{"h", 3600 * EOS_NS_PER_S},
		{"d", 86400 * EOS_NS_PER_S},
		{NULL, 0},
	};
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	return parse_with_unit(text, units, ret_ns);
}

/* The digits of four bytes at once: each half of a byte gets a byte, those over nine the distance
 * to the letters besides. */
static uint64_t hex_of(const uint8_t bytes[4])
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint32_t four;
	memcpy(&four, bytes, sizeof(four));
	uint64_t spread = le32toh(four);
	spread = (spread | spread << 16) & UINT64_C(0x0000ffff0000ffff);
	spread = (spread | spread << 8) & UINT64_C(0x00ff00ff00ff00ff);
	uint64_t halves =
		((spread >> 4) & (ones * 0x0f)) | ((spread & UINT64_C(0x000f000f000f000f)) << 8);
	uint64_t letters = ((halves + ones * 6) >> 4) & ones;
	return htole64(halves + ones * '0' + letters * ('a' - '0' - 10));
}

void eos_hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;
	size_t i = 0;
	for (; len - i >= 4; i += 4) {
		uint64_t eight = hex_of(bytes + i);
		memcpy(out + 2 * i, &eight, sizeof(eight));
	}
	for (; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int eos_hex_decode(const char *text, void *out, size_t len)
{
	uint8_t *bytes = out;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * len] == '\0' ? 0 : -EINVAL;
}

/* Length of the sequence that starts with LEAD and the smallest code point it may carry. */
static int utf8_sequence(uint8_t lead, uint32_t *ret_bits, uint32_t *ret_min)
{
	if (lead < 0x80) {
		*ret_bits = lead;
		*ret_min = 0;
		return 1;
	}
	if (lead >= 0xc2 && lead < 0xe0) {
		*ret_bits = lead & 0x1f;
		*ret_min = 0x80;
		return 2;
	}
	if (lead >= 0xe0 && lead < 0xf0) {
		*ret_bits = lead & 0x0f;
		*ret_min = 0x800;
		return 3;
	}
	if (lead >= 0xf0 && lead < 0xf5) {
		*ret_bits = lead & 0x07;
		*ret_min = 0x10000;
		return 4;
	}
	return 0;
}

void eos_make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			text[i] = text[i + 1] = '?';
		else if (c < 0x20 || c == 0x7f)
			text[i] = '?';
	}
}

/* How many bytes from AT on, eight at a time, are ASCII. */
static size_t skip_ascii(const uint8_t *p, size_t len)
{
	size_t i = 0;
	uint64_t eight;
	while (len - i >= sizeof(eight)) {
		memcpy(&eight, p + i, sizeof(eight));
		if ((eight & UINT64_C(0x8080808080808080)) != 0)
			break;
		i += sizeof(eight);
	}
	return i;
}

bool eos_utf8_is_valid(const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = skip_ascii(p, len); i < len;) {
		uint32_t code, min;
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		int n = utf8_sequence(p[i], &code, &min);
		if (n == 0 || (size_t)n > len - i)
			return false;
		for (int k = 1; k < n; k++) {
			if ((p[i + (size_t)k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i + (size_t)k] & 0x3f);
		}
		if (code < min || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return false;
		i += (size_t)n;
	}
	return true;
}

long eos_percent_decode(const char *text, size_t len, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '%') {
			out[n++] = text[i];
			continue;
		}
		if (len - i < 3)
			return -EINVAL;
		int high = hex_digit(text[i + 1]);
		int low = hex_digit(text[i + 2]);
		if (high < 0 || low < 0)
			return -EINVAL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return (long)n;
}

/* A table, because each byte of each request is looked up. */
static const bool unreserved[256] = {
	['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true,
	['.'] = true,	      ['_'] = true,	    ['~'] = true,
};

int eos_percent_encode(struct eos_buf *buf, const char *text, size_t len, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";
	/* One look for room, then byte by byte: each may become three. */
	int err = len > SIZE_MAX / 3 ? -ENOMEM : eos_buf_reserve(buf, 3 * len);
	if (err < 0)
		return err;
	char *out = buf->data + buf->len;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (unreserved[c] || (keep_slash && c == '/')) {
			*out++ = text[i];
			continue;
		}
		*out++ = '%';
		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
	}
	*out = '\0';
	buf->len = (size_t)(out - buf->data);
	return 0;
}

/* Where a byte stands among the others when they are encoded: the end, then "%01" to "%FF", then
 * what stays as it is, which is over '%'. */
static unsigned encoded_rank(char c)
{
	return (unsigned char)c + (unreserved[(unsigned char)c] ? 256u : 0u);
}

int eos_percent_compare(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	return (int)encoded_rank(*a) - (int)encoded_rank(*b);
}

bool eos_str_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool eos_str_ends_with(const char *text, const char *suffix)
{
	size_t text_len = strlen(text);
	size_t suffix_len = strlen(suffix);
	return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

int eos_str_copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);
	if (len >= size) {
		if (size > 0)
			out[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(out, text, len + 1);
	return 0;
}
