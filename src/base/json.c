#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

struct eos_json eos_json_begin(struct eos_buf *buf)
{
	return (struct eos_json){.buf = buf};
}

/* Length of the well-formed UTF-8 sequence at P, or 0. */
static size_t sequence_length(const char *p, size_t left)
{
	for (size_t n = 1; n <= 4 && n <= left; n++) {
		if (eos_utf8_is_valid(p, n))
			return n;
	}
	return 0;
}

static void put_string(struct eos_buf *buf, const char *text, size_t len)
{
	eos_buf_puts(buf, "\"");
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\') {
			eos_buf_printf(buf, "\\%c", c);
			i++;
		} else if (c < 0x20 || c == 0x7f) {
			eos_buf_printf(buf, "\\u%04x", c);
			i++;
		} else {
			size_t n = sequence_length(text + i, len - i);
			if (n == 0)
				eos_buf_puts(buf, "\xef\xbf\xbd");
			else
				eos_buf_append(buf, text + i, n);
			i += n == 0 ? 1 : n;
		}
	}
	eos_buf_puts(buf, "\"");
}

static void begin_value(struct eos_json *json, const char *key)
{
	if (json->needs_comma)
		eos_buf_puts(json->buf, ",");
	json->needs_comma = true;
	if (key != NULL) {
		put_string(json->buf, key, strlen(key));
		eos_buf_puts(json->buf, ":");
	}
}

void eos_json_open(struct eos_json *json, const char *key, char bracket)
{
	begin_value(json, key);
	eos_buf_append(json->buf, &bracket, 1);
	json->needs_comma = false;
}

void eos_json_close(struct eos_json *json, char bracket)
{
	eos_buf_append(json->buf, &bracket, 1);
	json->needs_comma = true;
}

void eos_json_text_n(struct eos_json *json, const char *key, const char *text, size_t len)
{
	begin_value(json, key);
	put_string(json->buf, text, len);
}

void eos_json_text(struct eos_json *json, const char *key, const char *text)
{
	if (text == NULL)
		eos_json_raw(json, key, "null", 4);
	else
		eos_json_text_n(json, key, text, strlen(text));
}

void eos_json_u64(struct eos_json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	eos_buf_printf(json->buf, "%llu", (unsigned long long)value);
}

void eos_json_i64(struct eos_json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	eos_buf_printf(json->buf, "%lld", (long long)value);
}

void eos_json_f64(struct eos_json *json, const char *key, double value)
{
	begin_value(json, key);
	if (isfinite(value))
		eos_buf_printf(json->buf, "%.6g", value);
	else
		eos_buf_puts(json->buf, "null");
}

void eos_json_bool(struct eos_json *json, const char *key, bool value)
{
	begin_value(json, key);
	eos_buf_puts(json->buf, value ? "true" : "false");
}

void eos_json_raw(struct eos_json *json, const char *key, const char *document, size_t len)
{
	begin_value(json, key);
	eos_buf_append(json->buf, document, len);
}
