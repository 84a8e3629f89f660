#include <string.h>

#include "proxy.h"

#define ROUTES_MAX 32u

struct route {
	char text[256];
	struct piece host, prefix; /* "*": any; "": any */
	uint32_t way;
};

static struct route routes[ROUTES_MAX];
static unsigned count;

static bool same_name(struct piece a, struct piece b)
{
	char text[256];
	if (b.len >= sizeof(text))
		return false;
	memcpy(text, b.text, b.len);
	text[b.len] = '\0';
	return strlen(text) == b.len && http_is(a, text);
}

static void add(struct piece entry)
{
	struct piece whole = entry, pattern, way, more;
	struct route *route = &routes[count];
	if (count == ROUTES_MAX)
		settings_fail("routes", "more than 32", whole);
	if (!piece_word(&entry, &pattern) || !piece_word(&entry, &way) ||
	    piece_word(&entry, &more) || pattern.len >= sizeof(route->text))
		settings_fail("routes", "not HOST[/PREFIX] WAY", whole);
	int32_t port =
		piece_is(way, "out") ? (int32_t)EDGEOS_PORT_OUT : edgeos_port(way.text, way.len);
	if (port < (int32_t)EDGEOS_PORT_OUT)
		settings_fail("routes", "the manifest has no such way out", way);
	memcpy(route->text, pattern.text, pattern.len);
	const char *slash = memchr(route->text, '/', pattern.len);
	uint32_t host_len = slash == NULL ? pattern.len : (uint32_t)(slash - route->text);
	route->host = (struct piece){route->text, host_len};
	route->prefix = (struct piece){route->text + host_len, pattern.len - host_len};
	/* "/api" and "/api/" are the same prefix. */
	if (route->prefix.len > 0 && route->prefix.text[route->prefix.len - 1] == '/')
		route->prefix.len--;
	route->way = (uint32_t)port;
	count++;
}

void routes_init(void)
{
	static char copy[SETTINGS_TEXT_MAX];
	struct piece text, entry;
	if (!settings_text("routes", &text))
		settings_fail("routes", "missing: HOST[/PREFIX] WAY; …", (struct piece){"", 0});
	memcpy(copy, text.text, text.len);
	struct piece rest = {copy, text.len};
	count = 0;
	while (piece_split(&rest, ";", &entry))
		if (entry.len > 0)
			add(entry);
	if (count == 0)
		settings_fail("routes", "none", text);
}

struct piece routes_name_of(struct piece host)
{
	/* In brackets, the address of IPv6 has colons of its own. */
	const char *colon = NULL;
	if (host.len == 0)
		return host;
	if (host.text[0] == '[') {
		const char *end = memchr(host.text, ']', host.len);
		colon = end == NULL ? NULL : end + 1;
		if (colon == host.text + host.len)
			colon = NULL;
	} else {
		colon = memchr(host.text, ':', host.len);
	}
	if (colon != NULL)
		host.len = (uint32_t)(colon - host.text);
	/* The root's dot makes no other name of it. */
	if (host.len > 1 && host.text[host.len - 1] == '.')
		host.len--;
	return host;
}

/* The character at AT of a path, decoded if it is written as %XX. */
static char decoded_at(struct piece path, uint32_t at, uint32_t *ret_len)
{
	*ret_len = 1;
	if (path.text[at] != '%' || at + 2 >= path.len)
		return path.text[at];
	int high = piece_hex(path.text[at + 1]), low = piece_hex(path.text[at + 2]);
	if (high < 0 || low < 0)
		return path.text[at];
	*ret_len = 3;
	return (char)(high * 16 + low);
}

/* The same, of those for which it makes no difference (RFC 3986, 2.3). */
static char plain_at(struct piece path, uint32_t at, uint32_t *ret_len)
{
	char c = decoded_at(path, at, ret_len);
	bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	if (*ret_len == 1 || is_letter || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	    c == '_' || c == '~')
		return c;
	*ret_len = 1;
	return path.text[at];
}

static bool has_prefix(struct piece target, struct piece prefix)
{
	uint32_t at = 0, target_len, len;
	for (uint32_t i = 0; i < prefix.len; i += len, at += target_len)
		if (at >= target.len ||
		    plain_at(target, at, &target_len) != plain_at(prefix, i, &len))
			return false;
	char next = target.len > at ? target.text[at] : '/';
	return prefix.len == 0 || next == '/' || next == '?';
}

bool routes_find(struct piece host, struct piece target, uint32_t *ret_way)
{
	for (unsigned i = 0; i < count; i++) {
		const struct route *route = &routes[i];
		if (!piece_is(route->host, "*") && !same_name(route->host, host))
			continue;
		if (!has_prefix(target, route->prefix))
			continue;
		*ret_way = route->way;
		return true;
	}
	return false;
}

bool routes_is_crooked(struct piece target)
{
	const char *query = memchr(target.text, '?', target.len);
	struct piece path = {target.text,
			     query == NULL ? target.len : (uint32_t)(query - target.text)};
	uint32_t dots = 0, others = 0, len;
	for (uint32_t at = 0; at < path.len; at += len) {
		char c = decoded_at(path, at, &len);
		/* Some servers take what is behind ";" off each part. */
		if (c == '/' || c == '\\' || c == ';') {
			if (others == 0 && (dots == 1 || dots == 2))
				return true;
			dots = 0;
			others = c == ';';
		} else if (c == '.') {
			dots++;
		} else {
			others++;
		}
		if (c == '\0')
			return true;
	}
	return others == 0 && (dots == 1 || dots == 2);
}
