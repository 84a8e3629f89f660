#include "coap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"

struct request {
	uint8_t type, code;
	const char *path, *payload;
	uint32_t payload_len; /* 0: PAYLOAD is a string */
	int observe;	      /* -1: not there */
	struct coap_block block1, block2;
	uint32_t etag, if_match, other_match;
	uint16_t format; /* 0: not said */
	bool has_if_none_match;
	uint16_t option; /* another one, empty */
	uint8_t token;
};

static uint16_t last_id;
static uint8_t message[COAP_MESSAGE_MAX];
static struct coap_message answer;

static uint32_t make(const struct request *request, uint16_t id)
{
	struct coap_writer writer;
	const char *at = request->path;
	uint8_t etag[4];
	coap_begin(&writer, message, request->type, request->code, id, &request->token, 1);
	if (request->other_match != 0)
		coap_put_bytes(&writer, COAP_IF_MATCH, &request->other_match, 4);
	if (request->if_match != 0) {
		for (unsigned i = 0; i < 4; i++)
			etag[i] = (uint8_t)(request->if_match >> (24 - 8 * i));
		coap_put_bytes(&writer, COAP_IF_MATCH, etag, 4);
	}
	if (request->etag != 0) {
		for (unsigned i = 0; i < 4; i++)
			etag[i] = (uint8_t)(request->etag >> (24 - 8 * i));
		coap_put_bytes(&writer, COAP_ETAG, etag, 4);
	}
	if (request->has_if_none_match)
		coap_put_bytes(&writer, COAP_IF_NONE_MATCH, NULL, 0);
	if (request->observe >= 0)
		coap_put_uint(&writer, COAP_OBSERVE, (uint32_t)request->observe);
	while (*at != '\0') {
		size_t len = strcspn(at, "/");
		coap_put_bytes(&writer, COAP_URI_PATH, at, (uint32_t)len);
		at += len + (at[len] == '/');
	}
	if (request->format != 0)
		coap_put_uint(&writer, COAP_CONTENT_FORMAT, request->format);
	if (request->block2.is_there)
		coap_put_block(&writer, COAP_BLOCK2, &request->block2);
	if (request->block1.is_there)
		coap_put_block(&writer, COAP_BLOCK1, &request->block1);
	if (request->option != 0)
		coap_put_bytes(&writer, request->option, NULL, 0);
	if (request->payload != NULL)
		coap_put_payload(&writer, request->payload,
				 request->payload_len > 0 ? request->payload_len
							  : (uint32_t)strlen(request->payload));
	assert_false(writer.is_broken);
	return writer.len;
}

/* The code of the answer; 0: there is none, or an empty one. */
static unsigned ask_from(uint32_t peer, struct request request)
{
	uint32_t len = make(&request, ++last_id);
	if (host_datagram(peer, message, len) != EDGEOS_ANSWER)
		return 0;
	assert_int_equal(coap_parse(host_result.data, host_result.len, &answer), 0);
	if (request.type == COAP_CON)
		assert_int_equal(answer.id, last_id);
	if (answer.code != COAP_EMPTY)
		assert_int_equal(answer.token[0], request.token);
	return answer.code;
}

static unsigned ask(uint8_t code, const char *path, const char *payload)
{
	return ask_from(1, (struct request){.type = COAP_CON,
					    .code = code,
					    .path = path,
					    .payload = payload,
					    .observe = -1,
					    .token = 7});
}

static void assert_payload(const char *text)
{
	assert_int_equal(answer.payload_len, strlen(text));
	assert_memory_equal(answer.payload, text, strlen(text));
}

static int setup(void **state)
{
	static const char *const paths[] = {"a", "a/b", "t", "big", "x"};
	host_tail_is_usable = true;
	assert_true(host_start());
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(ask(COAP_DELETE, paths[i], NULL), COAP_DELETED);
	host_forget_sent();
	return 0;
}

static void test_methods(void **state)
{
	assert_int_equal(ask(COAP_GET, "a", NULL), COAP_NOT_FOUND);
	assert_int_equal(ask(COAP_PUT, "a", "one"), COAP_CREATED);
	assert_int_equal(ask(COAP_GET, "a", NULL), COAP_CONTENT);
	assert_int_equal(answer.type, COAP_ACK);
	assert_payload("one");
	assert_int_equal(ask(COAP_PUT, "a", "two"), COAP_CHANGED);
	assert_int_equal(ask(COAP_PUT, "a/b", "three"), COAP_CREATED);
	assert_int_equal(ask(COAP_GET, ".well-known/core", NULL), COAP_CONTENT);
	assert_int_equal(answer.format, COAP_LINK_FORMAT);
	assert_payload("</a>;obs,</a/b>;obs");
	assert_int_equal(ask(COAP_PUT, ".well-known/core", "x"), COAP_NOT_ALLOWED);
	assert_int_equal(ask(COAP_DELETE, "a", NULL), COAP_DELETED);
	assert_int_equal(ask(COAP_GET, "a", NULL), COAP_NOT_FOUND);
	assert_int_equal(ask(COAP_DELETE, "a", NULL), COAP_DELETED);
	assert_int_equal(ask(5, "a", NULL), COAP_NOT_ALLOWED);
	/* POST names a resource below. */
	assert_int_equal(ask(COAP_POST, "a", "four"), COAP_CREATED);
	assert_int_equal(ask(COAP_POST, "a", "five"), COAP_CREATED);
	assert_int_equal(host_counter("resources"), 3);
	/* NON is answered with NON. */
	assert_int_equal(ask_from(1, (struct request){.type = COAP_NON,
						      .code = COAP_GET,
						      .path = "a/b",
						      .observe = -1}),
			 COAP_CONTENT);
	assert_int_equal(answer.type, COAP_NON);
}

static void test_options(void **state)
{
	struct request request = {.type = COAP_CON, .code = COAP_GET, .path = "a", .observe = -1};
	ask(COAP_PUT, "a", "one");
	ask(COAP_GET, "a", NULL);
	uint32_t etag = answer.etags.tags[0];
	request.etag = etag;
	assert_int_equal(ask_from(1, request), COAP_VALID);
	request.etag = etag + 1;
	assert_int_equal(ask_from(1, request), COAP_CONTENT);
	request.etag = 0;
	/* Critical or not. */
	request.option = 29;
	assert_int_equal(ask_from(1, request), COAP_BAD_OPTION);
	request.option = 65000;
	assert_int_equal(ask_from(1, request), COAP_CONTENT);
	/* Nobody waits for an answer: there is none. */
	request.option = 29;
	request.type = COAP_NON;
	assert_int_equal(ask_from(1, request), 0);
	request.option = 65000;
	assert_int_equal(ask_from(1, request), COAP_CONTENT);
	request.type = COAP_CON;
	request.option = COAP_PROXY_URI;
	assert_int_equal(ask_from(1, request), COAP_NO_PROXY);
	request.option = 0;
	request.code = COAP_PUT;
	request.payload = "x";
	request.if_match = etag + 5;
	assert_int_equal(ask_from(1, request), COAP_PRECONDITION);
	request.if_match = etag;
	assert_int_equal(ask_from(1, request), COAP_CHANGED);
	/* One of several is enough, wherever it is. */
	ask(COAP_GET, "a", NULL);
	request.if_match = etag;
	for (unsigned i = 0; i < 4; i++)
		((uint8_t *)&request.other_match)[i] =
			(uint8_t)(answer.etags.tags[0] >> (24 - 8 * i));
	assert_int_equal(ask_from(1, request), COAP_CHANGED);
	request.if_match = request.other_match = 0;
	request.has_if_none_match = true;
	assert_int_equal(ask_from(1, request), COAP_PRECONDITION);
	assert_int_equal(ask(COAP_GET,
			     "0123456789/0123456789/0123456789/0123456789/0123456789/0123456789",
			     NULL),
			 COAP_NOT_FOUND);
}

static void test_duplicates(void **state)
{
	struct request post = {
		.type = COAP_CON, .code = COAP_POST, .path = "a", .payload = "x", .observe = -1};
	uint8_t first[COAP_MESSAGE_MAX];
	uint64_t before = host_counter("resources");
	uint32_t len = make(&post, 60000);
	assert_int_equal(host_datagram(4, message, len), EDGEOS_ANSWER);
	uint32_t first_len = host_result.len;
	memcpy(first, host_result.data, first_len);
	assert_int_equal(host_datagram(4, message, len), EDGEOS_ANSWER);
	assert_int_equal(host_result.len, first_len);
	assert_memory_equal(host_result.data, first, first_len);
	assert_int_equal(host_counter("resources"), before + 1);
	/* Of another peer, or much later, it is another one. */
	host_datagram(5, message, len);
	host_now_ns += 248 * HOST_SECOND;
	host_datagram(4, message, len);
	assert_int_equal(host_counter("resources"), before + 3);
	/* Without confirmation the number may be another's sooner (NON_LIFETIME). */
	post.type = COAP_NON;
	len = make(&post, 60001);
	host_datagram(4, message, len);
	host_datagram(4, message, len);
	assert_int_equal(host_counter("resources"), before + 4);
	host_now_ns += 146 * HOST_SECOND;
	host_datagram(4, message, len);
	assert_int_equal(host_counter("resources"), before + 5);
}

static void test_blocks(void **state)
{
	static char body[3000];
	struct request request = {.type = COAP_CON, .code = COAP_PUT, .path = "big", .observe = -1};
	for (unsigned i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i % 23);
	/* Up in blocks of 256 bytes. */
	for (uint32_t i = 0; i * 256 < sizeof(body); i++) {
		uint32_t left = sizeof(body) - i * 256;
		request.block1 = (struct coap_block){true, left > 256, i, 4};
		request.payload = body + i * 256;
		request.payload_len = left > 256 ? 256 : left;
		assert_int_equal(ask_from(1, request), left > 256 ? COAP_CONTINUE : COAP_CREATED);
		assert_true(answer.block1.is_there && answer.block1.number == i);
	}
	/* Down, in those of each size; the client does not ask at first. */
	for (uint8_t exponent = 0; exponent <= 6; exponent++) {
		uint32_t size = 16u << exponent, at = 0;
		struct request get = {
			.type = COAP_CON, .code = COAP_GET, .path = "big", .observe = -1};
		do {
			get.block2 = (struct coap_block){exponent != 6 || at > 0, false, at / size,
							 exponent};
			assert_int_equal(ask_from(1, get), COAP_CONTENT);
			assert_memory_equal(answer.payload, body + at, answer.payload_len);
			at += answer.payload_len;
			assert_int_equal(answer.block2.has_more, at < sizeof(body));
		} while (answer.block2.has_more);
		assert_int_equal(at, sizeof(body));
		get.block2 = (struct coap_block){true, false, 0xfffff, exponent};
		assert_int_equal(ask_from(1, get), COAP_BAD_REQUEST);
	}
	/* One that is missing, one of somebody else, too much, the wrong length. */
	request.payload_len = 256;
	request.payload = body;
	request.block1 = (struct coap_block){true, true, 0, 4};
	assert_int_equal(ask_from(1, request), COAP_CONTINUE);
	request.block1.number = 2;
	assert_int_equal(ask_from(1, request), COAP_INCOMPLETE);
	request.block1.number = 1;
	assert_int_equal(ask_from(2, request), COAP_INCOMPLETE);
	for (; request.block1.number < 16; request.block1.number++)
		assert_int_equal(ask_from(1, request), COAP_CONTINUE);
	assert_int_equal(ask_from(1, request), COAP_TOO_LARGE);
	assert_int_equal(ask_from(1, request), COAP_INCOMPLETE);
	request.block1.number = 0;
	request.payload_len = 255;
	assert_int_equal(ask_from(1, request), COAP_BAD_REQUEST);
	/* It is still what it was. */
	assert_int_equal(ask(COAP_GET, "big", NULL), COAP_CONTENT);
	assert_memory_equal(answer.payload, body, 1024);
}

static void test_observing(void **state)
{
	struct request observe = {
		.type = COAP_CON, .code = COAP_GET, .path = "t", .observe = 0, .token = 9};
	struct coap_message notice;
	ask(COAP_PUT, "t", "20");
	assert_int_equal(ask_from(2, observe), COAP_CONTENT);
	assert_true(answer.has_observe);
	assert_int_equal(ask_from(3, observe), COAP_CONTENT);
	uint32_t sequence = answer.observe;
	ask(COAP_PUT, "t", "21");
	assert_int_equal(host_sent_count, 2);
	assert_int_equal(host_sent[0].peer, 2);
	assert_int_equal(coap_parse(host_sent[0].data, host_sent[0].len, &notice), 0);
	assert_int_equal(notice.type, COAP_NON);
	assert_int_equal(notice.token[0], 9);
	assert_int_equal(notice.code, COAP_CONTENT);
	assert_memory_equal(notice.payload, "21", 2);
	assert_true(notice.has_observe && notice.observe > sequence);
	/* One says that he does not care, with a reset; another takes it back. */
	uint8_t reset[4] = {0x70, 0, (uint8_t)(notice.id >> 8), (uint8_t)notice.id};
	host_datagram(2, reset, 4);
	assert_int_equal(observers_count(), 1);
	observe.observe = 1;
	assert_int_equal(ask_from(3, observe), COAP_CONTENT);
	assert_false(answer.has_observe);
	assert_int_equal(observers_count(), 0);
	/* An option that is too long is none. */
	uint8_t long_observe[] = "\x40\1\xee\1\x64\0\0\0\0\x51t";
	host_datagram(2, long_observe, sizeof(long_observe) - 1);
	assert_int_equal(host_result.verdict, EDGEOS_ANSWER);
	assert_int_equal(observers_count(), 0);
	/* It goes: they are told, and are observers no more. */
	observe.observe = 0;
	ask_from(2, observe);
	host_forget_sent();
	ask(COAP_DELETE, "t", NULL);
	assert_int_equal(host_sent_count, 1);
	assert_int_equal(coap_parse(host_sent[0].data, host_sent[0].len, &notice), 0);
	assert_int_equal(notice.code, COAP_NOT_FOUND);
	assert_int_equal(observers_count(), 0);
}

/* Another format is the end of it. */
static void test_observed_format(void **state)
{
	struct request observe = {.type = COAP_CON, .code = COAP_GET, .path = "t", .observe = 0};
	struct coap_message notice;
	ask(COAP_PUT, "t", "20");
	ask_from(2, observe);
	host_forget_sent();
	struct request put = {.type = COAP_CON,
			      .code = COAP_PUT,
			      .path = "t",
			      .payload = "{}",
			      .observe = -1,
			      .format = 50};
	assert_int_equal(ask_from(1, put), COAP_CHANGED);
	assert_int_equal(host_sent_count, 1);
	assert_int_equal(coap_parse(host_sent[0].data, host_sent[0].len, &notice), 0);
	assert_int_equal(notice.code, COAP_NOT_ACCEPTABLE);
	assert_int_equal(observers_count(), 0);
}

static void test_limits(void **state)
{
	struct request observe = {.type = COAP_CON, .code = COAP_GET, .path = "t", .observe = 0};
	ask(COAP_PUT, "t", "20");
	for (uint32_t peer = 10; peer < 10 + COAP_OBSERVERS + 5; peer++) {
		assert_int_equal(ask_from(peer, observe), COAP_CONTENT);
		assert_int_equal(answer.has_observe, peer < 10 + COAP_OBSERVERS);
	}
	ask(COAP_DELETE, "t", NULL);
	unsigned made = 0;
	while (ask(COAP_POST, "x", "y") == COAP_CREATED)
		made++;
	assert_in_range(made, 1, COAP_RESOURCES);
	assert_int_equal(answer.code, COAP_NO_ROOM);
	assert_int_equal(host_counter("resources"), COAP_RESOURCES);
	assert_int_equal(ask(COAP_GET, ".well-known/core", NULL), COAP_CONTENT);
}

static void test_hostile(void **state)
{
	const uint8_t ping[4] = {0x40, 0, 1, 2};
	assert_int_equal(host_datagram(1, ping, 4), EDGEOS_ANSWER);
	assert_memory_equal(host_result.data, "\x70\0\1\2", 4);
	struct request put = {.type = COAP_CON,
			      .code = COAP_PUT,
			      .path = "hostile/path",
			      .payload = "payload",
			      .observe = 0,
			      .etag = 5,
			      .block1 = {true, false, 0, 2},
			      .block2 = {true, true, 1, 2}};
	uint32_t len = make(&put, 1);
	const uint8_t *ignored;
	for (uint32_t n = 0; n <= len; n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy + 1, message, n);
		if (n > 0)
			coap_input(8, copy + 1, n, host_now_ns, &ignored);
		free(copy);
	}
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t *copy = malloc(len);
		memcpy(copy, message, len);
		for (unsigned k = 0; k < 1 + i % 5; k++)
			copy[host_random() % len] = (uint8_t)host_random();
		copy[3] = (uint8_t)i;
		copy[1] = (uint8_t)(i % 3 == 0 ? copy[1] : 1 + i % 4);
		assert_in_range(coap_input(host_random() % 4, copy, len, host_now_ns, &ignored), 0,
				COAP_MESSAGE_MAX);
		host_now_ns += HOST_SECOND;
		free(copy);
		host_forget_sent();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_methods, setup),
		cmocka_unit_test_setup(test_options, setup),
		cmocka_unit_test_setup(test_duplicates, setup),
		cmocka_unit_test_setup(test_blocks, setup),
		cmocka_unit_test_setup(test_observing, setup),
		cmocka_unit_test_setup(test_observed_format, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
