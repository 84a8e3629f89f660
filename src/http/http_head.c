/* The heads of answers that libmicrohttpd does not write. */
#include <string.h>
#include <time.h>

#include "http/http_server_priv.h"

#define HEAD_BYTES 512u

static void put_date(struct eos_buf *out, struct http_date *date)
{
	time_t now_s = time(NULL); /* the cheapest clock */
	if (now_s != date->s) {
		date->s = now_s;
		eos_format_http_date((uint64_t)now_s * EOS_NS_PER_S, date->text);
	}
	eos_buf_append(out, "Date: ", 6);
	eos_buf_append(out, date->text, sizeof(date->text) - 1);
	eos_buf_append(out, "\r\n", 2);
}

static void put_number(struct eos_buf *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	eos_buf_append(out, digits + at, sizeof(digits) - at);
}

static void put_header(struct eos_buf *out, const struct http_header *header)
{
	size_t name_len, value_len;
	if (!http_header_measure(header, &name_len, &value_len) ||
	    eos_buf_reserve(out, name_len + value_len + 4) < 0)
		return;
	char *at = mempcpy(out->data + out->len, header->name, name_len);
	at = mempcpy(at, ": ", 2);
	at = mempcpy(at, header->value, value_len);
	memcpy(at, "\r\n", 3);
	out->len += name_len + value_len + 4;
}

bool http_status_has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

void http_head_put(struct eos_buf *out, struct http_date *date, const struct http_request *request,
		   unsigned status, const struct http_header *headers, size_t headers_count,
		   uint64_t size)
{
	struct http_header added;
	size_t offset = 0;
	/* Most fit into this, so that it grows once. */
	(void)eos_buf_reserve(out, HEAD_BYTES);
	if (status == 200)
		eos_buf_puts(out, "HTTP/1.1 200 OK\r\n");
	else
		eos_buf_printf(out, "HTTP/1.1 %u %s\r\n", status,
			       MHD_get_reason_phrase_for(status));
	put_date(out, date);
	for (size_t i = 0; i < headers_count; i++)
		put_header(out, &headers[i]);
	while (http_next_added_header(request, &offset, &added))
		put_header(out, &added);
	if (request->closes)
		eos_buf_puts(out, "Connection: close\r\n");
	if (http_status_has_body(status)) {
		eos_buf_puts(out, "Content-Length: ");
		put_number(out, size);
		eos_buf_append(out, "\r\n", 2);
	}
	eos_buf_append(out, "\r\n", 2);
}
