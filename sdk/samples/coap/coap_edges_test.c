/* Messages byte by byte, where RFC 7252, 7641, 7959 and 6690 say what comes of the odd ones; and
 * observers that do not answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coap.h"
#include "host_double.h"

#define SAY(peer, bytes) say((peer), (bytes), sizeof(bytes) - 1)
/* Their numbers are put in. */
#define GET    "\x40\1\0\0"
#define POST   "\x40\2\0\0"
#define PUT    "\x40\3\0\0"
#define DELETE "\x40\4\0\0"

void edgeos_timer(uint32_t id);

static uint16_t last_id;
static struct coap_message answer;

/* The code of the answer; 0: there is none. */
static unsigned say(uint32_t peer, const char *bytes, uint32_t len)
{
	uint8_t message[1300];
	memcpy(message, bytes, len);
	message[2] = (uint8_t)(++last_id >> 8);
	message[3] = (uint8_t)last_id;
	if (host_datagram(peer, message, len) != EDGEOS_ANSWER)
		return 0;
	assert_int_equal(coap_parse(host_result.data, host_result.len, &answer), 0);
	return answer.code;
}

static bool has_bytes(const char *bytes)
{
	return memmem(host_result.data, host_result.len, bytes, strlen(bytes)) != NULL;
}

static void assert_list(const char *text)
{
	assert_int_equal(answer.payload_len, strlen(text));
	if (answer.payload_len > 0)
		assert_memory_equal(answer.payload, text, strlen(text));
}

static int setup(void **state)
{
	const uint8_t *list;
	const struct coap_message everything = {0};
	static const char *const paths[] = {"a", "b", "c", "p/1", "p/2", "p/3", "k%C3%BC%20%2F/x"};
	host_tail_is_usable = true;
	assert_true(host_start());
	last_id++;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		uint32_t len = (uint32_t)strlen(paths[i]);
		struct resource *resource = resource_find(paths[i], len);
		if (resource == NULL)
			continue;
		observers_notify(resource, true, host_now_ns);
		resource_remove(resource);
	}
	assert_int_equal(resources_list(&everything, &list), 0);
	assert_int_equal(observers_count(), 0);
	host_forget_sent();
	host_send_error = 0;
	return 0;
}

/* One too often, or of a wrong length, is one that nobody knows. */
static void test_options(void **state)
{
	assert_int_equal(SAY(1, PUT "\xb1"
				    "a\x11\x32\x01\x28\xffx"),
			 COAP_CREATED);
	assert_int_equal(SAY(1, GET "\xb1"
				    "a"),
			 COAP_CONTENT);
	assert_int_equal(answer.format, 50);
	assert_int_equal(SAY(1, GET "\xb1"
				    "a\x61\x32"),
			 COAP_CONTENT);
	assert_int_equal(SAY(1, GET "\xb1"
				    "a\x61\x32\x01\x32"),
			 COAP_BAD_OPTION);
	assert_int_equal(SAY(1, GET "\x61\1\0\x51"
				    "a"),
			 COAP_CONTENT);
	assert_int_equal(observers_count(), 0);
	assert_int_equal(SAY(1, GET "\x30\x81"
				    "a"),
			 COAP_BAD_OPTION);
	assert_int_equal(SAY(1, GET "\x73\1\2\3\x41"
				    "a"),
			 COAP_BAD_OPTION);
	/* The tag that stands for any within is none from outside; nor are nine of them. */
	assert_int_equal(SAY(1, PUT "\x14\xff\xff\xff\xff\xa1"
				    "a\xffy"),
			 COAP_PRECONDITION);
	assert_int_equal(SAY(1, PUT "\x10\xa1"
				    "a\xffy"),
			 COAP_CHANGED);
	/* Of several ETags each counts. */
	assert_int_equal(SAY(1, GET "\xb1"
				    "a"),
			 COAP_CONTENT);
	char etags[] = GET "\x44....\x04\0\0\0\1\x71"
			   "a";
	memcpy(etags + 5, host_result.data + 5, 4);
	assert_int_equal(say(1, etags, sizeof(etags) - 1), COAP_VALID);
}

static void test_block_sizes(void **state)
{
	SAY(1, PUT "\xb1"
		   "a\xffx");
	assert_int_equal(SAY(1, GET "\xb1"
				    "a\xc1\7"),
			 COAP_BAD_REQUEST);
	assert_int_equal(SAY(1, "\x50\1\0\0\xb1"
				"a\xc1\7"),
			 COAP_BAD_REQUEST);
	assert_int_equal(SAY(1, PUT "\xb1"
				    "a\xd1\3\7\xffx"),
			 COAP_BAD_REQUEST);
	/* The only block is longer than it says. */
	assert_int_equal(SAY(1, PUT "\xb1"
				    "a\xd1\3\0\xff"
				    "0123456789abcdefg"),
			 COAP_BAD_REQUEST);
	/* How much there is, and how much there can be. */
	assert_int_equal(SAY(1, GET "\xb1"
				    "a\xd0\4"),
			 COAP_CONTENT);
	assert_true(answer.has_size2 && has_bytes("\xd1\x0b\1\xff"
						  "x"));
	assert_int_equal(SAY(1, PUT "\xb1"
				    "a\xd1\3\x08\xd2\x14\x10\1\xff"
				    "0123456789abcdef"),
			 COAP_TOO_LARGE);
	assert_int_equal(answer.size1, COAP_BODY_MAX);
}

static void test_messages(void **state)
{
	/* A reset with more than a number is none. */
	SAY(1, PUT "\xb1"
		   "a\xffx");
	SAY(2, "\x41\1\0\0t\x60\x51"
	       "a");
	SAY(1, PUT "\xb1"
		   "a\xffy");
	uint8_t reset[5] = {0x70, 0, host_sent[0].data[2], host_sent[0].data[3], 0};
	host_datagram(2, reset, 5);
	reset[1] = COAP_CONTENT;
	host_datagram(2, reset, 4);
	assert_int_equal(observers_count(), 1);
	reset[1] = 0;
	host_datagram(2, reset, 4);
	assert_int_equal(observers_count(), 0);
	/* Only what is below it is. */
	assert_int_equal(SAY(1, PUT "\xbc.well-knownx\xff.."), COAP_CREATED);
	assert_int_equal(SAY(1, DELETE "\xbc.well-knownx"), COAP_DELETED);
	assert_int_equal(SAY(1, PUT "\xbb.well-known\xff.."), COAP_NOT_ALLOWED);
	/* Numbers that one sees do not tell those of another. */
	exchanges_seed(12345);
	SAY(7, "\x50\1\0\0");
	uint16_t first = answer.id;
	SAY(8, "\x50\1\0\0");
	assert_true(answer.id != first && answer.id != (uint16_t)(first + 1));
	SAY(7, "\x50\1\0\0");
	assert_int_equal(answer.id, (uint16_t)(first + 2));
	/* Tags never are what stands for none, or for any. */
	resources_seed(UINT32_MAX);
	for (unsigned i = 0; i < 4; i++) {
		SAY(1, PUT "\xb1"
			   "a\xffx");
		uint32_t version = resource_find("a", 1)->version;
		assert_true(version != 0 && version != COAP_ANY);
	}
}

static void test_paths(void **state)
{
	assert_int_equal(SAY(1, PUT "\xb5k\xc3\xbc /\x01x\xffhot"), COAP_CREATED);
	assert_int_equal(SAY(1, GET "\xb5k\xc3\xbc /\x01x"), COAP_CONTENT);
	assert_int_equal(SAY(1, GET "\xb4k\xc3\xbc \x02/x"), COAP_NOT_FOUND);
	assert_int_equal(SAY(1, GET "\xbb.well-known\x04"
				    "core"),
			 COAP_CONTENT);
	assert_list("</k%C3%BC%20%2F/x>;obs");
	assert_int_equal(SAY(1, POST "\xb5k\xc3\xbc /\x01x\xffhotter"), COAP_CREATED);
	assert_true(has_bytes("\x85k\xc3\xbc /\x01x\x01"));
	char name = (char)host_result.data[host_result.len - 1];
	char gone[] = DELETE "\xb5k\xc3\xbc /\x01x\x01.";
	gone[sizeof(gone) - 2] = name;
	assert_int_equal(say(1, gone, sizeof(gone) - 1), COAP_DELETED);
	/* In the list this would be another server's. */
	assert_int_equal(SAY(1, PUT "\xb0\4evil\xffx"), COAP_NOT_FOUND);
	assert_int_equal(SAY(1, PUT "\xb2..\xffx"), COAP_NOT_FOUND);
	assert_int_equal(SAY(1, PUT "\xb1.\xffx"), COAP_NOT_FOUND);
	assert_int_equal(SAY(1, GET "\xb0"), COAP_NOT_FOUND);
	/* A name that is taken is passed over. */
	char put[] = PUT "\xb1p\x01.\xffx", created[] = POST "\xb1p\xffx";
	put[sizeof(put) - 4] = (char)(name + 1);
	assert_int_equal(say(1, put, sizeof(put) - 1), COAP_CREATED);
	assert_int_equal(say(1, created, sizeof(created) - 1), COAP_CREATED);
	resource_remove(resource_find((char[]){'p', '/', (char)(name + 1)}, 3));
	resource_remove(resource_find((char[]){'p', '/', (char)(name + 2)}, 3));
}

#define CORE                                                                                       \
	GET "\xbb.well-known\x04"                                                                  \
	    "core"

static void test_list(void **state)
{
	SAY(1, PUT "\xb1"
		   "a\x11\x32\xffx");
	SAY(1, PUT "\xb1"
		   "b\xffx");
	SAY(1, PUT "\xb1p\x01"
		   "1\x11\x32\xffx");
	assert_int_equal(SAY(1, CORE), COAP_CONTENT);
	assert_list("</a>;ct=50;obs,</b>;obs,</p/1>;ct=50;obs");
	assert_int_equal(SAY(1, CORE "\x47href=/b"), COAP_CONTENT);
	assert_list("</b>;obs");
	SAY(1, CORE "\x48href=/p*");
	assert_list("</p/1>;ct=50;obs");
	SAY(1, CORE "\x45"
		    "ct=50\x07href=/a");
	assert_list("</a>;ct=50;obs");
	assert_int_equal(SAY(1, CORE "\x45rt=50"), COAP_CONTENT);
	assert_list("");
	SAY(1, CORE "\x46href=*");
	assert_int_equal(answer.payload_len, 40);
	/* It is of one format, and has a tag that changes with it. */
	assert_int_equal(SAY(1, CORE "\x61\x28"), COAP_CONTENT);
	assert_int_equal(SAY(1, CORE "\x60"), COAP_NOT_ACCEPTABLE);
	SAY(1, CORE);
	char with_etag[] = GET "\x44....\x7b.well-known\x04"
			       "core";
	memcpy(with_etag + 5, host_result.data + 5, 4);
	assert_int_equal(say(1, with_etag, sizeof(with_etag) - 1), COAP_VALID);
	SAY(1, PUT "\xb1"
		   "b\xffy");
	assert_int_equal(say(1, with_etag, sizeof(with_etag) - 1), COAP_VALID);
	SAY(1, DELETE "\xb1"
		      "b");
	assert_int_equal(say(1, with_etag, sizeof(with_etag) - 1), COAP_CONTENT);
}

static void test_uploads(void **state)
{
	char first[] = PUT "\xb1"
			   "a\xd1\3\x08\xff"
			   "0123456789abcdef";
	/* Bodies that nobody ends do not keep others out. */
	for (uint32_t peer = 20; peer < 20 + 2 * COAP_UPLOADS; peer++) {
		assert_int_equal(say(peer, first, sizeof(first) - 1), COAP_CONTINUE);
		host_now_ns += HOST_SECOND;
	}
	assert_int_equal(SAY(20, PUT "\xb1"
				     "a\xd1\3\x10\xffx"),
			 COAP_INCOMPLETE);
	assert_int_equal(SAY(20 + COAP_UPLOADS, PUT "\xb1"
						    "a\xd1\3\x10\xffx"),
			 COAP_CREATED);
	assert_int_equal(resource_find("a", 1)->len, 17);
	/* A body is of one format. */
	assert_int_equal(SAY(30, PUT "\xb1"
				     "a\x11\x32\xd1\2\x10\xffx"),
			 COAP_INCOMPLETE);
}

/* --- observers --- */

static struct coap_message notice;

/* The last that was sent. */
static uint8_t notice_type(void)
{
	assert_true(host_sent_count > 0);
	const struct host_sent *sent = &host_sent[host_sent_count - 1];
	assert_int_equal(coap_parse(sent->data, sent->len, &notice), 0);
	return notice.type;
}

static void hear(uint32_t peer, uint8_t type, uint16_t id)
{
	const uint8_t message[4] = {(uint8_t)(0x40 | type << 4), 0, (uint8_t)(id >> 8),
				    (uint8_t)id};
	assert_int_equal(host_datagram(peer, message, 4), EDGEOS_DROP);
}

static void observe(uint32_t peer, char token)
{
	char get[] = "\x41\1\0\0t\x60\x51"
		     "a";
	get[4] = token;
	assert_int_equal(say(peer, get, sizeof(get) - 1), COAP_CONTENT);
	assert_true(answer.has_observe);
}

static void change(void)
{
	SAY(1, PUT "\xb1"
		   "a\xffx");
}

static bool wait_s(unsigned seconds)
{
	host_now_ns += seconds * HOST_SECOND;
	if (!host_timer_due(OBSERVE_TIMER))
		return false;
	edgeos_timer(OBSERVE_TIMER);
	return true;
}

/* Nothing changes for long: he is asked while the node still knows the way to him. */
static void test_silence(void **state)
{
	change();
	observe(2, 't');
	(void)wait_s(299);
	assert_int_equal(host_sent_count, 0);
	assert_true(wait_s(2));
	assert_int_equal(notice_type(), COAP_CON);
	assert_memory_equal(notice.payload, "x", 1);
	assert_true(notice.has_observe);
	hear(2, COAP_ACK, notice.id);
	assert_int_equal(host_sent_count, 1);
	assert_int_equal(observers_count(), 1);
	assert_true(wait_s(301));
	assert_int_equal(host_sent_count, 2);
	/* What is lost is sent again, the same message, and later each time. */
	notice_type();
	uint16_t id = notice.id;
	uint32_t sequence = notice.observe;
	assert_false(wait_s(1));
	assert_true(wait_s(3));
	assert_int_equal(notice_type(), COAP_CON);
	assert_int_equal(notice.id, id);
	assert_int_equal(notice.observe, sequence);
	/* With something new in it, once there is: another one. */
	change();
	assert_int_equal(host_sent_count, 3);
	assert_true(wait_s(7));
	notice_type();
	assert_true(notice.id != id && notice.observe > sequence);
	for (unsigned i = 0; i < 2; i++)
		assert_true(wait_s(30));
	assert_int_equal(host_sent_count, 6);
	assert_int_equal(observers_count(), 1);
	uint64_t lost = host_counter("observers_lost");
	assert_true(wait_s(60));
	assert_int_equal(observers_count(), 0);
	assert_int_equal(host_counter("observers_lost"), lost + 1);
	/* There is nothing to wait for any more. */
	(void)wait_s(600);
	assert_int_equal(host_sent_count, 6);
}

/* An address that never asked for it is sent a few messages. */
static void test_unheard(void **state)
{
	change();
	observe(2, 't');
	for (unsigned i = 0; i < 100; i++) {
		/* That he asks again can be forged as well. */
		if (i % 10 == 9)
			observe(2, 't');
		change();
	}
	assert_int_equal(host_sent_count, 17);
	assert_int_equal(notice_type(), COAP_CON);
	/* He is there: what has changed since follows at once. */
	hear(2, COAP_ACK, notice.id);
	assert_int_equal(host_sent_count, 18);
	assert_int_equal(notice_type(), COAP_NON);
	change();
	change();
	/* Whichever of them he refuses. */
	uint16_t id = notice.id;
	hear(3, COAP_RST, id);
	hear(2, COAP_RST, (uint16_t)(id - 1));
	assert_int_equal(observers_count(), 1);
	hear(2, COAP_RST, id);
	assert_int_equal(observers_count(), 0);
}

/* One that waits for its confirmation at a time, whatever he observes. */
static void test_one_at_a_time(void **state)
{
	change();
	observe(2, 't');
	observe(2, 'u');
	for (unsigned i = 0; i < 17; i++)
		change();
	assert_int_equal(host_sent_count, 2 * 16 + 1);
	assert_int_equal(notice_type(), COAP_CON);
	assert_false(notice.token[0] == 'u');
	hear(2, COAP_ACK, notice.id);
	assert_int_equal(host_sent_count, 2 * 16 + 2);
	assert_int_equal(notice_type(), COAP_NON);
	assert_int_equal(notice.token[0], 'u');
	assert_true(wait_s(301));
	assert_true(wait_s(1) || host_sent_count == 2 * 16 + 3);
	assert_int_equal(notice_type(), COAP_CON);
	/* A reset of one says that the other may have his. */
	change();
	hear(2, COAP_RST, notice.id);
	assert_int_equal(observers_count(), 1);
	assert_int_equal(host_sent_count, 2 * 16 + 4);
	assert_int_equal(notice_type(), COAP_NON);
}

static void test_no_way(void **state)
{
	change();
	observe(2, 't');
	observe(2, 'u');
	host_send_error = -EAGAIN;
	change();
	assert_int_equal(observers_count(), 2);
	host_send_error = -EBADF;
	change();
	assert_int_equal(observers_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_options, setup),
		cmocka_unit_test_setup(test_block_sizes, setup),
		cmocka_unit_test_setup(test_messages, setup),
		cmocka_unit_test_setup(test_paths, setup),
		cmocka_unit_test_setup(test_list, setup),
		cmocka_unit_test_setup(test_uploads, setup),
		cmocka_unit_test_setup(test_silence, setup),
		cmocka_unit_test_setup(test_unheard, setup),
		cmocka_unit_test_setup(test_one_at_a_time, setup),
		cmocka_unit_test_setup(test_no_way, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
