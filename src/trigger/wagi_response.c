/*
 * A function's output as an answer.
 *
 *     output = 1*( line ( LF / CRLF ) ) ( LF / CRLF ) body
 *     line   = token ":" *( SP / HTAB ) value
 *
 * "Status: 404 Not Found" sets the status (the words behind the number are ignored); "Location"
 * without a status is a redirection (302). Everything else becomes a header of the answer, once it
 * is certain that it cannot end the header line or the header block: names are tokens (RFC 9110),
 * values have no control characters but HTAB.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "trigger/wagi_priv.h"

static bool is_token_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* What speaks of the connection to the client is not the function's business. */
static bool is_framing(const char *name)
{
	static const char *const names[] = {
		"content-length", "transfer-encoding", "connection", "keep-alive",	 "te",
		"trailer",	  "upgrade",	       "date",	     "proxy-connection",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		/* Most names differ in their first letter. */
		if ((name[0] | 0x20) == names[i][0] && strcasecmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int parse_status(const char *value, unsigned *ret_status, struct eos_why *why)
{
	unsigned status = 0;
	size_t digits = strspn(value, "0123456789");
	for (size_t i = 0; i < digits && i < 4; i++)
		status = status * 10 + (unsigned)(value[i] - '0');
	if (digits != 3 || (value[3] != '\0' && value[3] != ' ') || status < 200 || status > 599)
		return eos_why(why, -EINVAL, "not a status from 200 to 599: \"%.40s\"", value);
	*ret_status = status;
	return 0;
}

/* One header line, LEN bytes without its end; LINE[LEN] may be overwritten. */
static int parse_line(char *line, size_t len, struct wagi_response *response, bool *has_location,
		      struct eos_why *why)
{
	size_t name = 0;
	while (name < len && is_token_char(line[name]))
		name++;
	if (name == 0 || name == len || line[name] != ':')
		return eos_why(why, -EINVAL, "not a header line: \"%.*s\"",
			       (int)EOS_MIN(len, (size_t)60), line);
	char *value = line + name + 1;
	char *end = line + len;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	line[name] = '\0';
	if (!is_value(value, (size_t)(end - value)))
		return eos_why(why, -EINVAL, "a control character in the header %.60s", line);
	*end = '\0';
	if (strcasecmp(line, "status") == 0) {
		if (response->status != 0)
			return eos_why(why, -EINVAL, "a second Status");
		return parse_status(value, &response->status, why);
	}
	*has_location |= strcasecmp(line, "location") == 0;
	if (is_framing(line))
		return 0;
	if (response->headers_count == WAGI_HEADERS_MAX)
		return eos_why(why, -EINVAL, "more than %u headers", WAGI_HEADERS_MAX);
	response->headers[response->headers_count++] = (struct http_header){line, value};
	return 0;
}

int wagi_parse_response(char *output, size_t len, struct wagi_response *ret_response,
			struct eos_why *why)
{
	struct wagi_response response = {.status = 0};
	bool has_location = false;
	size_t at = 0;
	for (unsigned lines = 0;; lines++) {
		char *feed = at < len ? memchr(output + at, '\n', len - at) : NULL;
		if (feed == NULL)
			return eos_why(why, -EINVAL,
				       len == 0 ? "there is no output"
						: "there is no empty line behind the "
						  "headers");
		size_t line = (size_t)(feed - (output + at));
		size_t next = at + line + 1;
		if (line > 0 && output[at + line - 1] == '\r')
			line--;
		if (line == 0) {
			if (lines == 0)
				return eos_why(why, -EINVAL, "there are no headers");
			at = next;
			break;
		}
		if (next > WAGI_HEADER_BYTES_MAX)
			return eos_why(why, -EINVAL, "more than %u bytes of headers",
				       WAGI_HEADER_BYTES_MAX);
		int err = parse_line(output + at, line, &response, &has_location, why);
		if (err < 0)
			return err;
		at = next;
	}
	if (response.status == 0)
		response.status = has_location ? 302 : 200;
	response.body = output + at;
	/* These two have no body, whatever the function wrote. */
	response.body_len = response.status == 204 || response.status == 304 ? 0 : len - at;
	*ret_response = response;
	return 0;
}
