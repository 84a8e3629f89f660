/*
 * What a request must look like before a handler sees it.
 *
 * libmicrohttpd parses the lines; this file refuses what two parsers might understand differently
 * (RFC 9112, sections 5.1, 6.1 and 6.3), because such a request can smuggle a second one past a
 * proxy: more than one Content-Length, Content-Length with Transfer-Encoding, any transfer coding
 * but "chunked", names that are not tokens, values with control characters.
 *
 * Two things libmicrohttpd 0.9.75 does before us: a NUL ends a target or value, and a folded line
 * is appended to the header's name ("Transfer-Encoding:", " chunked" becomes the name
 * "Transfer-Encodingchunked"). So a name that only begins like one of the two that frame the body
 * is refused as well.
 */
#include "http/http_server_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/http_chars.h"
#include "http/http_target.h"

struct header_facts {
	struct http_request *request;
	size_t bytes;
	unsigned hosts, lengths, encodings;
	bool is_bad;
	bool has_length_error;
	bool is_unknown_coding;
};

bool http_is_token(const char *text)
{
	return text != NULL && text[0] != '\0' && *http_skip(text, HTTP_TOKEN) == '\0';
}

static bool begins_like(const char *name, const char *known, bool *ret_is_same)
{
	size_t len = strlen(known);
	*ret_is_same = strlen(name) == len;
	return strncasecmp(name, known, len) == 0;
}

static void check_known(struct header_facts *facts, const char *name, const char *value)
{
	struct http_request *request = facts->request;
	bool is_same = false;

	if (strcasecmp(name, "host") == 0) {
		facts->hosts++;
	} else if (begins_like(name, "content-length", &is_same)) {
		facts->lengths++;
		if (!is_same || eos_parse_u64(value, &request->content_length) < 0)
			facts->has_length_error = true;
		request->has_content_length = true;
	} else if (begins_like(name, "transfer-encoding", &is_same)) {
		facts->encodings++;
		facts->is_bad = facts->is_bad || !is_same;
		if (strcasecmp(value, "chunked") != 0)
			facts->is_unknown_coding = true;
	}
}

static enum MHD_Result check_header(void *cls, enum MHD_ValueKind kind, const char *name,
				    size_t name_len, const char *value, size_t value_len)
{
	struct header_facts *facts = cls;

	(void)kind;
	facts->bytes += name_len + value_len + 4;
	if (!http_is_token(name) || strlen(name) != name_len || value == NULL ||
	    http_skip(value, HTTP_VALUE) != value + value_len || value[value_len] != '\0') {
		facts->is_bad = true;
		return MHD_NO;
	}
	/* Only few names matter; their first letters save the comparisons for the others. */
	char c = (char)(name[0] | 0x20);
	if (c == 'h' || c == 'c' || c == 't')
		check_known(facts, name, value);
	return MHD_YES;
}

unsigned http_request_check(struct http_request *request, const char *version)
{
	struct header_facts facts = {.request = request};

	bool is_1_1 = strcmp(version, "HTTP/1.1") == 0;
	if (!is_1_1 && strcmp(version, "HTTP/1.0") != 0)
		return 505;
	if (request->is_target_bad || !http_is_token(request->method))
		return 400;
	(void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, check_header, &facts);
	if (facts.is_bad || facts.has_length_error || facts.lengths > 1 || facts.encodings > 1 ||
	    (facts.lengths > 0 && facts.encodings > 0) || facts.hosts > 1 ||
	    (is_1_1 && facts.hosts == 0) || (!is_1_1 && facts.encodings > 0))
		return 400;
	if (facts.is_unknown_coding)
		return 501;
	if (facts.bytes + strlen(request->path) + strlen(request->query) > HTTP_HEADERS_BYTES_MAX)
		return 431;
	request->has_body = facts.encodings > 0 || request->content_length > 0;
	if (request->content_length > request->server->body_bytes_max)
		return 413;
	return 0;
}
