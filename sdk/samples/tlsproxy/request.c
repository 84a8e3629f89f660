/*
 * From the client to a way out. Heads are read whole, checked, and written anew: nothing that was
 * not understood goes on. Bodies are passed on as they come, in frames of our own.
 */
#include <string.h>

#include "proxy.h"

/* As servers read NAME, many of which take "_" for "-" (so do CGI's variables). */
static bool begins_with(struct piece name, const char *text)
{
	for (uint32_t i = 0; text[i] != '\0'; i++) {
		char c = i < name.len ? name.text[i] : '\0';
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (text[i] != (c == '_' ? '-' : c))
			return false;
	}
	return true;
}

/* Fields that say something about the client, which only we know; and those that some servers take
 * for more than a client's word: another target than the routes have seen, or, as CGI's HTTP_PROXY,
 * the proxy for requests of their own. */
static bool is_ours(struct piece name)
{
	static const char *const names[] = {
		"forwarded",	     "x-forwarded",    "x-real-ip",	      "x-client-ip",
		"client-ip",	     "true-client-ip", "x-cluster-client-ip", "client-cert",
		"client-cert-chain", "x-original-url", "x-rewrite-url",	      "proxy"};
	if (begins_with(name, "x-forwarded-"))
		return true;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == name.len && begins_with(name, names[i]))
			return true;
	return false;
}

/* Appends to what is kept of the head. False: it is full. */
static bool keep(struct talk *talk, const void *data, uint32_t len)
{
	if (len > sizeof(talk->sent) - talk->sent_len)
		return false;
	if (len > 0)
		memcpy(talk->sent + talk->sent_len, data, len);
	talk->sent_len += len;
	return true;
}

static bool keep_text(struct talk *talk, const char *text)
{
	return keep(talk, text, (uint32_t)strlen(text));
}

static bool keep_field(struct talk *talk, struct piece name, struct piece value)
{
	return keep(talk, name.text, name.len) && keep(talk, ": ", 2) &&
	       keep(talk, value.text, value.len) && keep(talk, "\r\n", 2);
}

static bool keep_number(struct talk *talk, uint64_t number)
{
	char text[24];
	uint32_t at = sizeof(text);
	do {
		text[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return keep(talk, text + at, (uint32_t)sizeof(text) - at);
}

static bool keep_framing(struct talk *talk, const struct http_head *head)
{
	if (head->framing == HTTP_CHUNKED)
		return keep_text(talk, "Transfer-Encoding: chunked\r\n");
	if (head->framing != HTTP_LENGTH)
		return true;
	return keep_text(talk, "Content-Length: ") && keep_number(talk, head->length) &&
	       keep(talk, "\r\n", 2);
}

/* OPTIONS and TRACE may say how many are to pass them on (RFC 9110, 7.6.2). */
static bool is_limit(const struct http_head *head, const struct http_field *field)
{
	return http_is(field->name, "max-forwards") &&
	       (piece_is(head->method, "OPTIONS") || piece_is(head->method, "TRACE"));
}

/* 0, or the status of a request that we are not to pass on. */
static uint32_t look_at_limit(const struct http_head *head)
{
	for (unsigned i = 0; i < head->count; i++) {
		uint64_t left;
		if (!is_limit(head, &head->fields[i]))
			continue;
		if (!piece_u64(head->fields[i].value, 0, UINT32_MAX, &left))
			return 400;
		if (left == 0)
			return piece_is(head->method, "OPTIONS") ? 200 : 501;
	}
	return 0;
}

static bool keep_limit(struct talk *talk, const struct http_field *field)
{
	uint64_t left = 0;
	(void)piece_u64(field->value, 1, UINT32_MAX, &left);
	return keep_text(talk, "Max-Forwards: ") && keep_number(talk, left - 1) &&
	       keep(talk, "\r\n", 2);
}

static bool write_head(struct talk *talk, const struct http_head *head)
{
	talk->sent_len = 0;
	bool fits = keep(talk, head->method.text, head->method.len) && keep(talk, " ", 1) &&
		    keep(talk, head->target.text, head->target.len) &&
		    keep_text(talk, " HTTP/1.1\r\n");
	for (unsigned i = 0; fits && i < head->count; i++) {
		const struct http_field *field = &head->fields[i];
		/* Old clients do not know that there is something to wait for. */
		if (head->minor == 0 && http_is(field->name, "expect"))
			continue;
		if (is_limit(head, field))
			fits = keep_limit(talk, field);
		else if (!http_is_hop_by_hop(head, field) && !is_ours(field->name))
			fits = keep_field(talk, field->name, field->value);
	}
	/* Old clients may have said no name; all servers want one. */
	if (fits && head->host.len == 0)
		fits = keep_text(talk, "Host: ") && keep(talk, talk->name, talk->name_len) &&
		       keep(talk, "\r\n", 2);
	return fits && keep_framing(talk, head) && keep_text(talk, "X-Forwarded-For: ") &&
	       keep_text(talk, talk->client) && keep_text(talk, "\r\nX-Forwarded-Proto: ") &&
	       keep_text(talk, talk->is_secure ? "https\r\n\r\n" : "http\r\n\r\n");
}

/* Whom the request is for: the status that says what is wrong with that, or 0. */
static uint32_t choose_way(struct talk *talk, const struct http_head *head)
{
	struct piece host = routes_name_of(head->host), name = {talk->name, talk->name_len};
	/* Of TLS's name nothing was checked, and it is written into a head. */
	if (host.len == 0 && name.len > 0 && !http_is_host(name))
		return 421;
	if (host.len == 0)
		host = name;
	/* Who asked for one server's certificate is not led to another. */
	if (talk->name_len > 0 && !http_is(host, talk->name))
		return 421;
	if (routes_is_crooked(head->target))
		return 400;
	return routes_find(host, head->target, &talk->way) ? 0 : 404;
}

static bool is_repeatable(const struct http_head *head)
{
	return head->framing == HTTP_NO_BODY &&
	       (piece_is(head->method, "GET") || piece_is(head->method, "HEAD") ||
		piece_is(head->method, "OPTIONS"));
}

static void begin(struct talk *talk, const struct http_head *head)
{
	talk->minor = head->minor;
	talk->is_repeatable = is_repeatable(head);
	talk->is_closing |= head->wants_close;
	uint32_t wrong = choose_way(talk, head);
	if (wrong == 0)
		wrong = look_at_limit(head);
	if (wrong == 0 && !write_head(talk, head))
		wrong = 431;
	if (wrong != 0) {
		talk_fail(talk, wrong);
		return;
	}
	proxy_counters[REQUESTS].value++;
	http_body_init(&talk->request_body, head->framing, head->length);
	talk->request = talk->request_body.is_done ? REQUEST_HEAD : REQUEST_BODY;
	talk->response = RESPONSE_HEAD;
	talk->has_begun = talk->way_ends = false;
	talk->back_len = talk->back_scanned = 0;
	talk->is_reused = talk->has_open[talk->way];
	talk->has_open[talk->way] = true;
	talk_touch(talk);
	send_to(talk->way, talk->peer);
	send_put(talk->sent, talk->sent_len);
	if (!send_flush())
		talk_fail(talk, 502);
}

/* What is too much in a head of LEN bytes: its first line alone, or the fields. */
static uint32_t too_much(const char *text, uint32_t len)
{
	uint32_t line = len >= 2 && text[0] == '\r' ? 2 : 0;
	len = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	return memchr(text + line, '\n', len - line) == NULL ? 414 : 431;
}

/* Takes a head off the front of talk->in. False: it is not whole, or wrong. */
static bool run_head(struct talk *talk, uint32_t *at)
{
	static struct http_head head;
	const char *text = talk->in + *at;
	uint32_t len = talk->in_len - *at;
	int32_t end = http_find_end(text, len, &talk->in_scanned);
	uint32_t wrong = 0;
	talk->is_head = false;
	if (end < 0)
		wrong = 400;
	else if (end == 0 && len <= HTTP_HEAD_MAX)
		return false;
	else if (end == 0 || (uint32_t)end > HTTP_HEAD_MAX)
		wrong = too_much(text, len);
	if (wrong == 0) {
		wrong = http_parse_request(text, (uint32_t)end, &head);
		talk->is_head = piece_is(head.method, "HEAD");
	}
	*at += end > 0 ? (uint32_t)end : 0;
	if (wrong != 0)
		talk_fail(talk, wrong);
	else
		begin(talk, &head);
	return talk->peer != 0;
}

static bool run_body(struct talk *talk, uint32_t *at)
{
	struct http_body *body = &talk->request_body;
	bool is_chunked = body->framing == HTTP_CHUNKED;
	send_to(talk->way, talk->peer);
	while (*at < talk->in_len && !body->is_done) {
		struct piece data;
		int32_t n = http_body_take(body, talk->in + *at, talk->in_len - *at, &data);
		if (n < 0) {
			/* What is left goes out before that: behind it, it would open a connection
			 * of its own, and be taken for a request. The server is not told of an end
			 * that was none. */
			(void)send_flush();
			(void)edgeos_stream_shut(talk->way, talk->peer, EDGEOS_SHUT_BREAK);
			talk->has_open[talk->way] = false;
			talk_fail(talk, 400);
			return false;
		}
		*at += (uint32_t)n;
		if (is_chunked && data.len > 0) {
			send_number(data.len, 16);
			send_text("\r\n");
		}
		send_put(data.text, data.len);
		if (is_chunked && data.len > 0)
			send_text("\r\n");
	}
	if (body->is_done && is_chunked)
		send_text("0\r\n\r\n");
	if (!send_flush()) {
		if (send_was_too_much()) {
			/* What follows would hide that something is missing. */
			(void)edgeos_stream_shut(talk->way, talk->peer, EDGEOS_SHUT_BREAK);
			talk->has_open[talk->way] = false;
			proxy_counters[FAILED].value++;
			talk_fail(talk, 502);
			return false;
		}
		/* The way's connection broke: its end, which says so, is on the way. */
		talk->is_closing = true;
	}
	if (body->is_done) {
		talk->request = REQUEST_HEAD;
		talk_touch(talk);
	}
	return body->is_done;
}

void request_run(struct talk *talk)
{
	uint32_t at = 0;
	bool goes_on = true;
	while (goes_on && talk->peer != 0 && at < talk->in_len) {
		if (talk->request == REQUEST_BODY)
			goes_on = run_body(talk, &at);
		else if (talk->response == NO_RESPONSE && !talk->is_closing)
			goes_on = run_head(talk, &at);
		else
			goes_on = false;
	}
	if (talk->peer == 0)
		return;
	talk->in_len -= at;
	memmove(talk->in, talk->in + at, talk->in_len);
	/* Who asks for much before he was answered is not answered beyond what is under way. */
	if (talk->in_len > HTTP_HEAD_MAX) {
		talk->is_closing = true;
		talk->in_len = 0;
	}
}
