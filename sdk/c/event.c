/*
 * The event is one JSON document whose only "object" member has the "key" and whose only "bucket"
 * member has the "name", so it is enough to find these words as members; text is never mistaken for
 * a member, because strings are skipped as wholes.
 */
#include "event.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EVENT_BYTES_MAX 65536

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The string whose first quote is at *P, without escapes but for \uXXXX over 0x7f, which S3's keys
 * have not (they are percent-encoded). Moves *P behind it. False: not a string, or too long. */
static bool take_string(const char **p, char *out, size_t size)
{
	const char *q = *p + 1;
	size_t len = 0;

	for (; *q && *q != '"'; q++) {
		char c = *q;

		if (c == '\\') {
			static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
			const char *escape = escapes;

			c = *++q;
			while (*escape && *escape != c)
				escape += 2;
			if (c == 'u' && !strncmp(q + 1, "00", 2) && hex_value(q[3]) >= 0 &&
			    hex_value(q[4]) >= 0) {
				c = (char)(hex_value(q[3]) << 4 | hex_value(q[4]));
				q += 4;
			} else if (c && *escape) {
				c = escape[1];
			} else {
				return false;
			}
		}
		if (len + 1 >= size)
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	*p = q + 1;
	return *q == '"';
}

/* The text of member NAME, the first one after FROM. */
static bool find_text(const char *from, const char *name, char *out, size_t size)
{
	char word[64];

	for (const char *p = from; *p;) {
		const char *start = p;

		if (*p != '"') {
			p++;
			continue;
		}
		if (!take_string(&p, word, sizeof(word))) {
			/* Too long for a member's name: go to its end. */
			for (p = start + 1; *p && *p != '"'; p++)
				if (*p == '\\' && p[1])
					p++;
			p += *p == '"';
			continue;
		}
		p += strspn(p, " \t\r\n");
		if (*p != ':' || strcmp(word, name) != 0)
			continue;
		p++;
		p += strspn(p, " \t\r\n");
		return *p == '"' && take_string(&p, out, size);
	}
	return false;
}

/* Where the value of member NAME begins: an object. */
static const char *find_object(const char *text, const char *name)
{
	char quoted[32];

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	for (const char *p = text; (p = strstr(p, quoted)) != NULL;) {
		p += strlen(quoted);
		p += strspn(p, " \t\r\n");
		if (*p == ':' && p[1 + strspn(p + 1, " \t\r\n")] == '{')
			return p;
	}
	return NULL;
}

/* Keys in events are encoded as forms are: "a+b%20c". */
static void decode_form(char *text)
{
	char *out = text;

	for (const char *p = text; *p; p++) {
		if (*p == '%' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
			*out++ = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
			p += 2;
		} else {
			*out++ = *p == '+' ? ' ' : *p;
		}
	}
	*out = '\0';
}

int event_read(FILE *in, struct event *ret_event)
{
	char *text = malloc(EVENT_BYTES_MAX);
	static char key[3 * EVENT_KEY_SIZE];
	const char *bucket, *object;
	struct event event;
	int result = -1;

	if (!text)
		return -1;
	text[fread(text, 1, EVENT_BYTES_MAX - 1, in)] = '\0';
	bucket = find_object(text, "bucket");
	object = find_object(text, "object");
	if (bucket && object && find_text(bucket, "name", event.bucket, sizeof(event.bucket)) &&
	    find_text(object, "key", key, sizeof(key))) {
		decode_form(key);
		if (strlen(key) < sizeof(event.key)) {
			strcpy(event.key, key);
			*ret_event = event;
			result = 0;
		}
	}
	free(text);
	return result;
}

int event_result_path(const struct event *event, const char *directory, const char *ending,
		      char *out, size_t size)
{
	const char *slash = strrchr(event->key, '/');
	const char *dot = strrchr(slash ? slash : event->key, '.');
	int stem = (int)(dot ? dot - event->key : (long)strlen(event->key));
	int len = snprintf(out, size, "%s/%.*s%s", directory, stem, event->key, ending);

	return len < 0 || (size_t)len >= size ? -1 : 0;
}

FILE *event_open_result(const char *path)
{
	FILE *out = fopen(path, "wb");
	char folder[EVENT_KEY_SIZE * 2];

	/* Buckets have no folders, so nothing is missing there; other directories do. */
	if (out || errno != ENOENT || strlen(path) >= sizeof(folder))
		return out;
	strcpy(folder, path);
	for (char *p = folder + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(folder, 0777);
		*p = '/';
	}
	return fopen(path, "wb");
}
