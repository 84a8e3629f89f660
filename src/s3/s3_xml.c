#include "s3/s3_xml.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

void s3_xml_begin(struct eos_buf *buf, const char *root)
{
	eos_buf_printf(buf,
		       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		       "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
		       root);
}

void s3_xml_open(struct eos_buf *buf, const char *tag)
{
	eos_buf_printf(buf, "<%s>", tag);
}

void s3_xml_close(struct eos_buf *buf, const char *tag)
{
	eos_buf_printf(buf, "</%s>", tag);
}

/* The bytes of the character that TEXT begins with, which is not ASCII; 0: it is not UTF-8. */
static size_t utf8_len(const char *text, size_t len)
{
	for (size_t n = 2; n <= 4 && n <= len; n++)
		if (eos_utf8_is_valid(text, n))
			return n;
	return 0;
}

void s3_xml_escape(struct eos_buf *buf, const char *text, size_t len)
{
	size_t plain = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		size_t n = c >= 0x80 ? utf8_len(text + i, len - i) : 1;
		if (n == 0) {
			eos_buf_append(buf, text + plain, i - plain);
			plain = i + 1;
			eos_buf_puts(buf, "\xef\xbf\xbd");
			continue;
		}
		i += n - 1;
		if (c >= 0x20 && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'')
			continue;
		eos_buf_append(buf, text + plain, i - plain);
		plain = i + 1;
		if (c == '&')
			eos_buf_puts(buf, "&amp;");
		else if (c == '<')
			eos_buf_puts(buf, "&lt;");
		else if (c == '>')
			eos_buf_puts(buf, "&gt;");
		else
			eos_buf_printf(buf, "&#x%X;", c);
	}
	eos_buf_append(buf, text + plain, len - plain);
}

void s3_xml_bytes(struct eos_buf *buf, const char *tag, const char *text, size_t len)
{
	s3_xml_open(buf, tag);
	s3_xml_escape(buf, text, len);
	s3_xml_close(buf, tag);
}

void s3_xml_text(struct eos_buf *buf, const char *tag, const char *text)
{
	s3_xml_bytes(buf, tag, text, strlen(text));
}

void s3_xml_key(struct eos_buf *buf, const char *tag, const char *text, size_t len, bool is_url)
{
	if (!is_url) {
		s3_xml_bytes(buf, tag, text, len);
		return;
	}
	s3_xml_open(buf, tag);
	eos_percent_encode(buf, text, len, true);
	s3_xml_close(buf, tag);
}

void s3_xml_etag(struct eos_buf *buf, const char *etag)
{
	eos_buf_puts(buf, "<ETag>&quot;");
	s3_xml_escape(buf, etag, strlen(etag));
	eos_buf_puts(buf, "&quot;</ETag>");
}

void s3_xml_u64(struct eos_buf *buf, const char *tag, uint64_t value)
{
	eos_buf_printf(buf, "<%s>%" PRIu64 "</%s>", tag, value, tag);
}

void s3_xml_bool(struct eos_buf *buf, const char *tag, bool value)
{
	eos_buf_printf(buf, "<%s>%s</%s>", tag, value ? "true" : "false", tag);
}

void s3_xml_time(struct eos_buf *buf, const char *tag, uint64_t wall_ns)
{
	char text[EOS_ISO8601_SIZE];
	eos_format_iso8601(wall_ns, text);
	s3_xml_text(buf, tag, text);
}
