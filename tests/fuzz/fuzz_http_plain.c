/* Plain requests: what is taken for one must be what http_check.c would have let through. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "http/http_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, const char *start, size_t size)
{
	EOS_ASSERT(text >= start && text < start + size);
	for (size_t len = strlen(text), i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		EOS_ASSERT((c >= 0x20 || c == '\t') && c != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_plain plain;
	unsigned hosts = 0, lengths = 0;
	/* Not a byte more: the sanitizers see one that is read behind it. */
	char *text = malloc(size > 0 ? size : 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	size_t used = http_plain_parse(text, size, &plain);
	EOS_ASSERT(used <= size);
	if (used > 0) {
		EOS_ASSERT(memcmp(data + used - 4, "\r\n\r\n", 4) == 0);
		EOS_ASSERT(plain.path[0] == '/' && plain.headers_count <= HTTP_PLAIN_HEADERS_MAX);
		check_text(plain.path, text, used);
		check_text(plain.query, text, used);
		for (size_t i = 0; i < plain.headers_count; i++) {
			const struct http_header *header = &plain.headers[i];
			check_text(header->name, text, used);
			check_text(header->value, text, used);
			EOS_ASSERT(header->name[0] != '\0' &&
				   strpbrk(header->name, " \t:") == NULL);
			bool is_length = strcasecmp(header->name, "content-length") == 0;
			EOS_ASSERT(is_length ||
				   strncasecmp(header->name, "content-length", 14) != 0);
			EOS_ASSERT(strncasecmp(header->name, "transfer-encoding", 17) != 0);
			EOS_ASSERT(!is_length ||
				   strspn(header->value, "0123456789") == strlen(header->value));
			lengths += is_length;
			hosts += strcasecmp(header->name, "host") == 0;
		}
		EOS_ASSERT(hosts == 1 && lengths == plain.has_content_length);
		EOS_ASSERT(plain.has_content_length || plain.content_length == 0);
	}
	free(text);
	return 0;
}
