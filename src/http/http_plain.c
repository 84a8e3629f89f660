#include "http/http_plain.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/http_chars.h"
#include "http/http_target.h"

/* One byte before the head's end is of no class. */
static char *skip(char *text, unsigned class)
{
	return text + (http_skip(text, class) - text);
}

static bool begins(const char *name, const char *known)
{
	return strncasecmp(name, known, strlen(known)) == 0;
}

/* Said once, in digits that fit, as http_check.c wants it. */
static bool take_length(struct http_plain *plain, const char *value)
{
	if (plain->has_content_length)
		return false;
	plain->has_content_length = true;
	return eos_parse_u64(value, &plain->content_length) == 0;
}

/* Is a line with this name and value a plain one? Counts those of Host. */
static bool is_plain_line(struct http_plain *plain, const char *name, const char *value,
			  unsigned *hosts)
{
	switch (name[0] | 0x20) {
	case 'c':
		if (strcasecmp(name, "connection") == 0)
			return strcasecmp(value, "keep-alive") == 0;
		if (strcasecmp(name, "content-length") == 0)
			return take_length(plain, value);
		return !begins(name, "content-length");
	case 'e':
		if (strcasecmp(name, "expect") != 0)
			return true;
		plain->expects_continue = true;
		return strcasecmp(value, "100-continue") == 0;
	case 'h':
		if (strcasecmp(name, "host") == 0)
			(*hosts)++;
		return true;
	case 'k':
		return strcasecmp(name, "keep-alive") != 0;
	case 't':
		return !begins(name, "transfer-encoding") && strcasecmp(name, "trailer") != 0 &&
		       strcasecmp(name, "te") != 0;
	case 'u':
		return strcasecmp(name, "upgrade") != 0;
	default:
		return true;
	}
}

/* Which method TEXT begins with, or NULL. */
static const char *find_method(const char *text, size_t len)
{
	static const char *const methods[] = {"GET", "PUT", "HEAD", "POST", "DELETE"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(methods); i++) {
		size_t method_len = strlen(methods[i]);
		if (method_len < len && text[method_len] == ' ' &&
		    memcmp(text, methods[i], method_len) == 0)
			return methods[i];
	}
	return NULL;
}

/* "GET /path?query HTTP/1.1\r\n": what is behind it, or NULL. */
static char *parse_first_line(char *text, const char *end, struct http_plain *plain)
{
	static const char version[] = " HTTP/1.1\r\n";
	const size_t version_len = sizeof(version) - 1;

	plain->method = find_method(text, (size_t)(end - text));
	if (plain->method == NULL)
		return NULL;
	plain->is_head = strcmp(plain->method, "HEAD") == 0;
	char *target = text + strlen(plain->method) + 1;
	char *space = memchr(target, ' ', (size_t)(end - target));
	if (space == NULL || (size_t)(end - space) < version_len ||
	    memcmp(space, version, version_len) != 0)
		return NULL;
	size_t len = (size_t)(space - target);
	if (len > HTTP_PLAIN_TARGET_MAX)
		return NULL;
	*space = '\0';
	if (http_target_split(target, len, &plain->path, &plain->query) < 0)
		return NULL;
	return space + version_len;
}

/* One header line, which ends before END: what is behind it, or NULL. */
static char *parse_line(char *line, struct http_plain *plain, unsigned *hosts)
{
	char *colon = skip(line, HTTP_TOKEN);
	if (colon == line || *colon != ':' || plain->headers_count == HTTP_PLAIN_HEADERS_MAX)
		return NULL;
	char *value = colon + 1;
	while (*value == ' ' || *value == '\t')
		value++;
	char *behind = skip(value, HTTP_VALUE);
	if (behind[0] != '\r' || behind[1] != '\n')
		return NULL;
	if (behind > value && (behind[-1] == ' ' || behind[-1] == '\t'))
		return NULL;
	*colon = *behind = '\0';
	if (!is_plain_line(plain, line, value, hosts))
		return NULL;
	plain->headers[plain->headers_count++] = (struct http_header){line, value};
	return behind + 2;
}

/* The empty line that ends the head, or NULL. memmem() is made for longer needles. */
static char *find_end(char *text, size_t len)
{
	char *at = text, *end = text + len;
	while ((at = memchr(at, '\r', (size_t)(end - at))) != NULL) {
		if (end - at < 4)
			return NULL;
		if (memcmp(at, "\r\n\r\n", 4) == 0)
			return at;
		at++;
	}
	return NULL;
}

size_t http_plain_parse(char *text, size_t len, struct http_plain *ret_plain)
{
	unsigned hosts = 0;
	/* The end of the request bounds everything below: a line cannot pass the "\r\n\r\n", as
	 * '\r' is of no class. */
	char *end = find_end(text, len);
	if (end == NULL)
		return 0;
	ret_plain->headers_count = 0;
	ret_plain->has_content_length = ret_plain->expects_continue = false;
	ret_plain->content_length = 0;
	char *line = parse_first_line(text, end + 2, ret_plain);
	while (line != NULL && line < end + 2)
		line = parse_line(line, ret_plain, &hosts);
	return line == end + 2 && hosts == 1 ? (size_t)(end + 4 - text) : 0;
}
