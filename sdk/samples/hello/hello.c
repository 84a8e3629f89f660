/*
 * hello: the smallest HTTP function. The request comes as CGI does it: what the client said in
 * environment variables, the body on standard input; the answer goes to standard output as header
 * lines, an empty line, and the body.
 *
 *     curl 'http://127.0.0.1:9800/hello?name=Ada'
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 65

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of `name=` in QUERY, decoded, cut at NAME_SIZE - 1 bytes; "world" when there is none.
 * Control characters are left out. */
static void greeted_name(const char *query, char out[NAME_SIZE])
{
	const char *p = query;
	size_t len = 0;

	while (p && strncmp(p, "name=", 5) != 0) {
		p = strchr(p, '&');
		p = p ? p + 1 : NULL;
	}
	for (p = p ? p + 5 : ""; *p && *p != '&' && len < NAME_SIZE - 1; p++) {
		int c = (unsigned char)*p;

		if (c == '%' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
			c = hex_value(p[1]) << 4 | hex_value(p[2]);
			p += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (c >= ' ' && c != 0x7f)
			out[len++] = (char)c;
	}
	out[len] = '\0';
	if (len == 0)
		strcpy(out, "world");
}

int main(void)
{
	const char *query = getenv("QUERY_STRING");
	char name[NAME_SIZE];

	greeted_name(query ? query : "", name);
	printf("Content-Type: text/plain; charset=utf-8\n\nHello, %s!\n", name);
	return fflush(stdout) == 0 ? 0 : 1;
}
