/*
 * Any bytes as a function's output: they are refused with a reason, or give an answer that no
 * client can misread: a final status, names that are tokens, values without control characters, a
 * body that is the end of the output.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trigger/wagi_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool claim)
{
	if (!claim)
		abort();
}

static void check_header(const struct http_header *header)
{
	static const char separators[] = "()<>@,;:\\\"/[]?={} \t";
	check(header->name[0] != '\0');
	for (const char *p = header->name; *p != '\0'; p++)
		check(*p > 0x20 && *p < 0x7f && strchr(separators, *p) == NULL);
	for (const char *p = header->value; *p != '\0'; p++)
		check((unsigned char)*p >= 0x20 ? *p != 0x7f : *p == '\t');
	check(strcasecmp(header->name, "content-length") != 0);
	check(strcasecmp(header->name, "transfer-encoding") != 0);
	check(strcasecmp(header->name, "connection") != 0);
	check(strcasecmp(header->name, "status") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wagi_response response;
	struct eos_why why = {""};
	char *output = malloc(size + 1);
	if (output == NULL)
		return 0;
	if (size > 0)
		memcpy(output, data, size);
	output[size] = '\0';
	int err = wagi_parse_response(output, size, &response, &why);
	if (err < 0) {
		check(why.text[0] != '\0');
	} else {
		check(response.status >= 200 && response.status <= 599);
		check(response.headers_count <= WAGI_HEADERS_MAX);
		for (size_t i = 0; i < response.headers_count; i++)
			check_header(&response.headers[i]);
		check(response.body_len == 0 || response.body + response.body_len == output + size);
	}
	free(output);
	return 0;
}
