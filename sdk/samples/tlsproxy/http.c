#include "http.h"

#include <string.h>

#define METHOD_MAX	  32u
#define FRAME_BYTES_MAX	  8192u /* of a chunk's extensions, or of all trailers */
#define CHUNK_DIGITS_MAX  8u
#define LENGTH_DIGITS_MAX 18u

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct piece piece)
{
	for (uint32_t i = 0; i < piece.len; i++)
		if (!is_token_char(piece.text[i]))
			return false;
	return piece.len > 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool http_is(struct piece piece, const char *text)
{
	for (uint32_t i = 0; i < piece.len; i++)
		if (text[i] == '\0' || lower(piece.text[i]) != lower(text[i]))
			return false;
	return text[piece.len] == '\0';
}

int32_t http_find_end(const char *text, uint32_t len, uint32_t *scanned)
{
	for (; *scanned < len; (*scanned)++) {
		uint32_t i = *scanned;
		if (text[i] != '\n')
			continue;
		if (i == 0 || text[i - 1] != '\r')
			return -1;
		if (i >= 3 && text[i - 2] == '\n') {
			*scanned = 0;
			return (int32_t)i + 1;
		}
	}
	return 0;
}

/* The next line without its CR LF, which is there. */
static struct piece take_line(struct piece *rest)
{
	const char *end = memchr(rest->text, '\n', rest->len);
	uint32_t len = (uint32_t)(end - rest->text) + 1;
	struct piece line = {rest->text, len - 2};
	rest->text += len;
	rest->len -= len;
	return line;
}

/* Takes what is before the next blank. */
static struct piece take_word(struct piece *line)
{
	const char *blank = memchr(line->text, ' ', line->len);
	uint32_t len = blank == NULL ? line->len : (uint32_t)(blank - line->text);
	struct piece word = {line->text, len};
	uint32_t taken = blank == NULL ? len : len + 1;
	line->text += taken;
	line->len -= taken;
	return word;
}

static struct piece trim(struct piece piece)
{
	while (piece.len > 0 && (piece.text[0] == ' ' || piece.text[0] == '\t')) {
		piece.text++;
		piece.len--;
	}
	while (piece.len > 0 &&
	       (piece.text[piece.len - 1] == ' ' || piece.text[piece.len - 1] == '\t'))
		piece.len--;
	return piece;
}

/* Takes an element off a list with commas. */
static bool take_element(struct piece *list, struct piece *ret)
{
	if (list->len == 0)
		return false;
	const char *comma = memchr(list->text, ',', list->len);
	uint32_t len = comma == NULL ? list->len : (uint32_t)(comma - list->text);
	*ret = trim((struct piece){list->text, len});
	uint32_t taken = comma == NULL ? len : len + 1;
	list->text += taken;
	list->len -= taken;
	return true;
}

/* --- fields --- */

static bool take_version(struct piece word, unsigned *ret_minor)
{
	if (word.len != 8 || memcmp(word.text, "HTTP/1.", 7) != 0 || word.text[7] < '0' ||
	    word.text[7] > '9')
		return false;
	/* Later ones are as this one for who knows no more (RFC 9110, 2.5). */
	*ret_minor = word.text[7] > '0';
	return true;
}

static bool parse_field(struct piece line, struct http_field *field)
{
	const char *colon = memchr(line.text, ':', line.len);
	/* Also a line that goes on with the one before it: it begins with a blank. */
	if (colon == NULL)
		return false;
	field->name = (struct piece){line.text, (uint32_t)(colon - line.text)};
	field->value = trim((struct piece){colon + 1, line.len - field->name.len - 1});
	for (uint32_t i = 0; i < field->value.len; i++) {
		unsigned char c = (unsigned char)field->value.text[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return is_token(field->name);
}

static uint32_t take_length(struct http_head *head, struct piece value, bool *had_length)
{
	uint64_t length = 0;
	if (*had_length || value.len == 0 || value.len > LENGTH_DIGITS_MAX)
		return 400;
	for (uint32_t i = 0; i < value.len; i++) {
		if (value.text[i] < '0' || value.text[i] > '9')
			return 400;
		length = length * 10 + (uint64_t)(value.text[i] - '0');
	}
	*had_length = true;
	head->length = length;
	return 0;
}

static void take_connection(struct http_head *head, struct piece list)
{
	struct piece element;
	head->has_connection = true;
	while (take_element(&list, &element))
		head->wants_close |= http_is(element, "close");
}

/* What the fields say about the body and the connection. */
static uint32_t take_framing(struct http_head *head)
{
	bool had_length = false, is_chunked = false;
	uint32_t wrong = 0;
	head->wants_close = head->minor == 0;
	for (unsigned i = 0; wrong == 0 && i < head->count; i++) {
		struct piece name = head->fields[i].name, value = head->fields[i].value;
		if (http_is(name, "content-length")) {
			wrong = take_length(head, value, &had_length);
		} else if (http_is(name, "transfer-encoding")) {
			/* Others are nobody's here, and who sends it twice means mischief. */
			if (is_chunked || head->minor == 0)
				wrong = 400;
			else if (!http_is(value, "chunked"))
				wrong = 501;
			is_chunked = true;
		} else if (http_is(name, "connection")) {
			take_connection(head, value);
		}
	}
	if (wrong == 0 && is_chunked && had_length)
		wrong = 400;
	head->framing = is_chunked ? HTTP_CHUNKED : had_length ? HTTP_LENGTH : HTTP_NO_BODY;
	return wrong;
}

static uint32_t parse_fields(struct piece rest, struct http_head *head)
{
	head->count = 0;
	while (rest.len > 0) {
		struct piece line = take_line(&rest);
		if (line.len == 0)
			break;
		if (head->count == HTTP_FIELDS_MAX)
			return 431;
		if (!parse_field(line, &head->fields[head->count++]))
			return 400;
	}
	return take_framing(head);
}

/* --- heads --- */

bool http_is_host(struct piece host)
{
	bool is_v6 = host.len > 0 && host.text[0] == '[';
	uint32_t at = is_v6, begin = at;
	for (; at < host.len; at++) {
		char c = lower(host.text[at]);
		bool is_fine = (c >= '0' && c <= '9') || c == '.' || (c >= 'a' && c <= 'f') ||
			       (is_v6 ? c == ':' : (c >= 'g' && c <= 'z') || c == '-' || c == '_');
		if (!is_fine)
			break;
	}
	if (at == begin)
		return false;
	if (is_v6 && (at == host.len || host.text[at++] != ']'))
		return false;
	if (at < host.len && host.text[at++] != ':')
		return false;
	for (; at < host.len; at++)
		if (host.text[at] < '0' || host.text[at] > '9')
			return false;
	return true;
}

/* Is it "Content_Length" or the like? Many servers read "_" as "-", as CGI's variables have it. */
static bool is_disguised(struct piece name)
{
	char text[sizeof("transfer-encoding")];
	if (name.len >= sizeof(text) || memchr(name.text, '_', name.len) == NULL)
		return false;
	for (uint32_t i = 0; i < name.len; i++)
		text[i] = name.text[i] == '_' ? '-' : name.text[i];
	struct piece plain = {text, name.len};
	return http_is(plain, "content-length") || http_is(plain, "transfer-encoding");
}

static uint32_t take_host(struct http_head *head)
{
	unsigned hosts = 0;
	for (unsigned i = 0; i < head->count; i++) {
		if (is_disguised(head->fields[i].name))
			return 400;
		if (!http_is(head->fields[i].name, "host"))
			continue;
		hosts++;
		head->host = head->fields[i].value;
	}
	/* One without a name would go on beside ours. */
	if (hosts == 0)
		return head->minor == 1 ? 400 : 0;
	return hosts > 1 || !http_is_host(head->host) ? 400 : 0;
}

static bool is_target(const struct http_head *head)
{
	struct piece target = head->target;
	for (uint32_t i = 0; i < target.len; i++)
		if (target.text[i] <= ' ' || target.text[i] >= 0x7f || target.text[i] == '#')
			return false;
	/* The server itself has only options. */
	return (target.len > 0 && target.text[0] == '/') ||
	       (piece_is(target, "*") && piece_is(head->method, "OPTIONS"));
}

uint32_t http_parse_request(const char *text, uint32_t len, struct http_head *head)
{
	struct piece rest = {text, len}, line;
	memset(head, 0, sizeof(*head));
	/* A line too many after the message before is forgiven, as everybody does. */
	do
		line = take_line(&rest);
	while (line.len == 0 && rest.len > 2);
	head->method = take_word(&line);
	head->target = take_word(&line);
	if (!is_token(head->method))
		return 400;
	if (!take_version(line, &head->minor))
		return line.len == 8 && memcmp(line.text, "HTTP/", 5) == 0 ? 505 : 400;
	/* No tunnels, and no other forms of a target: who it is for is Host's to say. */
	if (http_is(head->method, "connect") || head->method.len > METHOD_MAX)
		return 501;
	if (!is_target(head))
		return 400;
	uint32_t wrong = parse_fields(rest, head);
	return wrong != 0 ? wrong : take_host(head);
}

uint32_t http_parse_response(const char *text, uint32_t len, bool request_is_head,
			     struct http_head *head)
{
	struct piece rest = {text, len};
	struct piece line = take_line(&rest);
	memset(head, 0, sizeof(*head));
	if (!take_version(take_word(&line), &head->minor))
		return 502;
	struct piece status = take_word(&line);
	if (status.len != 3)
		return 502;
	for (uint32_t i = 0; i < 3; i++) {
		if (status.text[i] < '0' || status.text[i] > '9')
			return 502;
		head->status = head->status * 10 + (uint32_t)(status.text[i] - '0');
	}
	head->reason = line;
	for (uint32_t i = 0; i < line.len; i++)
		if ((unsigned char)line.text[i] < ' ' || line.text[i] == 0x7f)
			return 502;
	if (head->status < 100 || head->status > 599 || parse_fields(rest, head) != 0)
		return 502;
	/* Without a word about it the body is all that comes. */
	if (head->framing == HTTP_NO_BODY)
		head->framing = HTTP_UNTIL_END;
	if (request_is_head || head->status < 200 || head->status == 204 || head->status == 304)
		head->framing = HTTP_NO_BODY;
	return 0;
}

bool http_is_hop_by_hop(const struct http_head *head, const struct http_field *field)
{
	static const char *const names[] = {"connection",
					    "keep-alive",
					    "proxy-connection",
					    "proxy-authenticate",
					    "proxy-authorization",
					    "te",
					    "trailer",
					    "transfer-encoding",
					    "upgrade",
					    "content-length"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_is(field->name, names[i]))
			return true;
	/* Host is not the client's to take away. */
	for (unsigned i = 0; head->has_connection && i < head->count; i++) {
		struct piece list = head->fields[i].value, element;
		if (!http_is(head->fields[i].name, "connection") || http_is(field->name, "host"))
			continue;
		while (take_element(&list, &element)) {
			if (element.len != field->name.len)
				continue;
			uint32_t k = 0;
			while (k < element.len &&
			       lower(element.text[k]) == lower(field->name.text[k]))
				k++;
			if (k == element.len)
				return true;
		}
	}
	return false;
}

/* --- bodies --- */

enum frame_state {
	SIZE,	   /* digits */
	BLANKS,	   /* behind them */
	EXTENSION, /* what is behind that, up to CR */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,      /* at the start of a line */
	TRAILER_TEXT, /* in one */
	TRAILER_LF,
	LAST_LF,
};

void http_body_init(struct http_body *body, enum http_framing framing, uint64_t length)
{
	*body = (struct http_body){.framing = framing, .left = framing == HTTP_LENGTH ? length : 0};
	body->is_done = framing == HTTP_NO_BODY || (framing == HTTP_LENGTH && length == 0);
}

static int hex(char c)
{
	c = lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Blanks only: of "5 5" one reader might take the one, another both. */
static bool take_behind_size(struct http_body *body, char c)
{
	body->state = c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : BLANKS;
	return (c == '\r' || c == ';' || c == ' ' || c == '\t') &&
	       ++body->frame_bytes <= FRAME_BYTES_MAX;
}

static bool take_size(struct http_body *body, char c)
{
	int digit = hex(c);
	if (digit >= 0) {
		body->left = body->left * 16 + (uint64_t)digit;
		return ++body->digits <= CHUNK_DIGITS_MAX;
	}
	return body->digits > 0 && take_behind_size(body, c);
}

/* The end of a chunk's first line. */
static void begin_chunk(struct http_body *body)
{
	body->state = body->left > 0 ? DATA : TRAILER;
	body->digits = 0;
	body->frame_bytes = 0;
}

/* A byte of the frame. False: it has no place there. */
static bool take_frame(struct http_body *body, char c)
{
	bool is_bad = false;
	switch ((enum frame_state)body->state) {
	case SIZE:
		return take_size(body, c);
	case BLANKS:
		return take_behind_size(body, c);
	case EXTENSION:
	case TRAILER_TEXT:
		is_bad = c == '\n' || c == '\0' || ++body->frame_bytes > FRAME_BYTES_MAX;
		if (c == '\r')
			body->state = body->state == EXTENSION ? SIZE_LF : TRAILER_LF;
		break;
	case SIZE_LF:
		is_bad = c != '\n';
		begin_chunk(body);
		break;
	case DATA_CR:
		is_bad = c != '\r';
		body->state = DATA_LF;
		break;
	case DATA_LF:
		is_bad = c != '\n';
		body->state = SIZE;
		break;
	case TRAILER:
		is_bad = c == '\n' || c == '\0' || ++body->frame_bytes > FRAME_BYTES_MAX;
		body->state = c == '\r' ? LAST_LF : TRAILER_TEXT;
		break;
	case TRAILER_LF:
		is_bad = c != '\n';
		body->state = TRAILER;
		break;
	case LAST_LF:
		is_bad = c != '\n';
		body->is_done = true;
		break;
	case DATA:
		break;
	}
	return !is_bad;
}

int32_t http_body_take(struct http_body *body, const char *data, uint32_t len,
		       struct piece *ret_data)
{
	uint32_t at = 0;
	*ret_data = (struct piece){data, 0};
	if (body->framing == HTTP_UNTIL_END) {
		ret_data->len = len;
		return (int32_t)len;
	}
	if (body->framing == HTTP_CHUNKED) {
		while (at < len && body->state != DATA && !body->is_done)
			if (!take_frame(body, data[at++]))
				return -1;
		if (body->is_done || at == len)
			return (int32_t)at;
	}
	uint32_t n = body->left < len - at ? (uint32_t)body->left : len - at;
	*ret_data = (struct piece){data + at, n};
	body->left -= n;
	if (body->left == 0 && body->framing == HTTP_CHUNKED)
		body->state = DATA_CR;
	else if (body->left == 0)
		body->is_done = true;
	return (int32_t)(at + n);
}
