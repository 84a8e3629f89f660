/*
 * From a way out to the client. Servers are not trusted either: what is not clear is 502. A body
 * whose end would be told by the connection's end is sent in chunks, so that the client's stays.
 */
#include <string.h>

#include "proxy.h"

static void drop_way(struct talk *talk, uint32_t how)
{
	(void)edgeos_stream_shut(talk->way, talk->peer, how);
	talk->has_open[talk->way] = false;
}

/* The server fails, or what it says is not to be believed. */
static void fail(struct talk *talk)
{
	drop_way(talk, EDGEOS_SHUT_BREAK);
	proxy_counters[FAILED].value++;
	if (talk->has_begun)
		talk_break(talk);
	else
		talk_fail(talk, 502);
}

static void finish(struct talk *talk)
{
	send_to(EDGEOS_PORT_CLIENT, talk->peer);
	if (talk->is_chunked)
		send_text("0\r\n\r\n");
	if (!send_flush()) {
		talk_break(talk);
		return;
	}
	/* What a server says behind its answer belongs to nobody; nor is one used again that has
	 * not got all of a request. */
	bool is_whole = talk->request == REQUEST_HEAD;
	if (talk->back_len > 0 || !is_whole)
		drop_way(talk, EDGEOS_SHUT_BREAK);
	else if (talk->way_ends)
		drop_way(talk, EDGEOS_SHUT_ALL);
	talk->response = NO_RESPONSE;
	talk->is_chunked = false;
	if (!is_whole || talk->is_close_told || talk->is_closing ||
	    (talk->is_last && talk->in_len == 0)) {
		talk_close(talk);
		return;
	}
	talk_touch(talk);
	request_run(talk);
	/* What is left of one that has ended is no request. */
	if (talk->peer != 0 && talk->is_last && talk->response == NO_RESPONSE)
		talk_close(talk);
}

static void write_status(const struct http_head *head)
{
	send_text("HTTP/1.1 ");
	send_number(head->status, 10);
	send_text(" ");
	send_put(head->reason.text, head->reason.len);
	send_text("\r\n");
}

static void write_fields(const struct http_head *head)
{
	for (unsigned i = 0; i < head->count; i++) {
		const struct http_field *field = &head->fields[i];
		if (http_is_hop_by_hop(head, field))
			continue;
		send_put(field->name.text, field->name.len);
		send_text(": ");
		send_put(field->value.text, field->value.len);
		send_text("\r\n");
	}
}

static bool has_length(const struct http_head *head)
{
	for (unsigned i = 0; i < head->count; i++)
		if (http_is(head->fields[i].name, "content-length"))
			return true;
	return false;
}

/* "100 Continue" and the like come before the response. */
static void pass_on_word(struct talk *talk, const struct http_head *head)
{
	if (talk->minor == 0)
		return;
	send_to(EDGEOS_PORT_CLIENT, talk->peer);
	write_status(head);
	write_fields(head);
	send_text("\r\n");
	if (!send_flush())
		talk_break(talk);
}

static void begin(struct talk *talk, const struct http_head *head)
{
	http_body_init(&talk->response_body, head->framing, head->length);
	bool has_frame = head->framing == HTTP_CHUNKED || head->framing == HTTP_UNTIL_END;
	talk->is_chunked = has_frame && talk->minor == 1;
	talk->way_ends = head->wants_close || head->framing == HTTP_UNTIL_END;
	/* A client of old sees the end of a body by the end of the connection. What is left of a
	 * request that was answered before its end is waited for no longer than the answer takes.
	 */
	talk->is_closing |= (has_frame && talk->minor == 0) || talk->request == REQUEST_BODY;
	talk->is_close_told = talk->is_closing || (talk->is_last && talk->in_len == 0);
	talk->response = RESPONSE_BODY;
	talk->has_begun = true;
	send_to(EDGEOS_PORT_CLIENT, talk->peer);
	write_status(head);
	write_fields(head);
	if (talk->is_chunked) {
		send_text("Transfer-Encoding: chunked\r\n");
	} else if (has_length(head) && !has_frame && head->status != 204) {
		send_text("Content-Length: ");
		send_number(head->length, 10);
		send_text("\r\n");
	}
	if (talk->is_close_told)
		send_text("Connection: close\r\n");
	send_text("\r\n");
	if (!send_flush())
		talk_break(talk);
}

/* True: there may be more to do. */
static bool run_head(struct talk *talk, uint32_t *at)
{
	static struct http_head head;
	const char *text = talk->back + *at;
	uint32_t len = talk->back_len - *at;
	int32_t end = http_find_end(text, len, &talk->back_scanned);
	if (end == 0 && len <= HTTP_HEAD_MAX)
		return false;
	if (end <= 0 || (uint32_t)end > HTTP_HEAD_MAX ||
	    http_parse_response(text, (uint32_t)end, talk->is_head, &head) != 0 ||
	    head.status == 101) {
		fail(talk);
		return false;
	}
	*at += (uint32_t)end;
	if (head.status < 200)
		pass_on_word(talk, &head);
	else
		begin(talk, &head);
	return talk->peer != 0;
}

static bool run_body(struct talk *talk, uint32_t *at)
{
	struct http_body *body = &talk->response_body;
	send_to(EDGEOS_PORT_CLIENT, talk->peer);
	while (*at < talk->back_len && !body->is_done) {
		struct piece data;
		int32_t n = http_body_take(body, talk->back + *at, talk->back_len - *at, &data);
		if (n < 0) {
			(void)send_flush();
			fail(talk);
			return false;
		}
		*at += (uint32_t)n;
		if (talk->is_chunked && data.len > 0) {
			send_number(data.len, 16);
			send_text("\r\n");
		}
		send_put(data.text, data.len);
		if (talk->is_chunked && data.len > 0)
			send_text("\r\n");
	}
	if (!send_flush()) {
		talk_break(talk);
		return false;
	}
	return body->is_done;
}

static void consume(struct talk *talk, uint32_t len)
{
	talk->back_len -= len;
	memmove(talk->back, talk->back + len, talk->back_len);
}

static void run(struct talk *talk)
{
	uint32_t at = 0;
	while (talk->peer != 0 && talk->response == RESPONSE_HEAD && run_head(talk, &at))
		;
	if (talk->peer == 0)
		return;
	bool is_done = talk->response == RESPONSE_BODY && run_body(talk, &at);
	if (talk->peer == 0)
		return;
	consume(talk, at);
	if (is_done || (talk->response == RESPONSE_BODY && talk->response_body.is_done))
		finish(talk);
	else
		talk_touch(talk);
}

void response_take(struct talk *talk, uint32_t way, const void *data, uint32_t len)
{
	if (talk->response == NO_RESPONSE || way != talk->way) {
		/* Nobody has asked. */
		(void)edgeos_stream_shut(way, talk->peer, EDGEOS_SHUT_BREAK);
		talk->has_open[way] = false;
		return;
	}
	/* No more than a head waits here before. */
	memcpy(talk->back + talk->back_len, data, len);
	talk->back_len += len;
	run(talk);
}

/* The connection was an old one, which the server ended while the request was on its way. */
static bool try_again(struct talk *talk)
{
	if (!talk->is_reused || !talk->is_repeatable || talk->response != RESPONSE_HEAD ||
	    talk->back_len > 0)
		return false;
	talk->is_reused = false;
	talk->has_open[talk->way] = true;
	proxy_counters[RETRIES].value++;
	send_to(talk->way, talk->peer);
	send_put(talk->sent, talk->sent_len);
	return send_flush();
}

void response_end(struct talk *talk, uint32_t way, bool is_broken)
{
	/* The next request gets another connection. */
	(void)edgeos_stream_shut(way, talk->peer, EDGEOS_SHUT_ALL);
	talk->has_open[way] = false;
	if (talk->response == NO_RESPONSE || way != talk->way)
		return;
	if (talk->response == RESPONSE_BODY && !is_broken &&
	    talk->response_body.framing == HTTP_UNTIL_END) {
		finish(talk);
		return;
	}
	if (!try_again(talk))
		fail(talk);
}
