#include "click/click_fixture_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void append(char *text, size_t size, const char *line)
{
	size_t len = strlen(text);
	(void)snprintf(text + len, size - len, "%s\n", line);
}

static void tell(void *ctx, const char *line)
{
	struct test_router *test = ctx;
	append(test->errors, sizeof(test->errors), line);
}

static void log_line(void *ctx, const char *line)
{
	struct test_router *test = ctx;
	append(test->log, sizeof(test->log), line);
}

static void send_packet(void *ctx, unsigned device, const struct click_packet *packet)
{
	struct test_router *test = ctx;
	if (test->sent_count < TEST_SENT_MAX)
		test->sent[test->sent_count++] = (struct test_sent){
			device, packet->len, packet->len > 0 ? packet->data[0] : 0};
}

bool test_load(struct test_router *test, const char *text, const struct click_class *const *classes)
{
	struct click_errors errors = {.ctx = test, .tell = tell};
	memset(test, 0, sizeof(*test));
	test->host = (struct click_host){.ctx = test, .send = send_packet, .log = log_line};
	test->router = click_router_new(&test->host, classes);
	assert_non_null(test->router);
	/* Of its exact size, so that a sanitizer sees a read behind it. */
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	int err = click_router_load(test->router, copy, len, "f", &errors);
	free(copy);
	assert_int_equal(err == 0, test->errors[0] == '\0');
	return err == 0;
}

void test_unload(struct test_router *test)
{
	test->router = click_router_free(test->router);
}

void test_must_load(struct test_router *test, const char *text)
{
	if (!test_load(test, text, NULL))
		fail_msg("%s\n%s", text, test->errors);
}

void test_must_fail(const char *text, const char *errors)
{
	struct test_router test;
	if (test_load(&test, text, NULL))
		fail_msg("it could be loaded: %s", text);
	assert_string_equal(test.errors, errors);
	test_unload(&test);
}

void test_must_fail_with(const char *text, const char *beginning)
{
	struct test_router test;
	if (test_load(&test, text, NULL))
		fail_msg("it could be loaded: %s", text);
	if (strncmp(test.errors, beginning, strlen(beginning)) != 0)
		fail_msg("expected: %s\nerrors:   %s", beginning, test.errors);
	test_unload(&test);
}

void test_receive(struct test_router *test, unsigned device, uint8_t first, uint32_t len)
{
	struct click_packet *packet = click_packet_new(test->router, len);
	assert_non_null(packet);
	memset(packet->data, 0, len);
	if (len > 0)
		packet->data[0] = first;
	click_router_receive(test->router, device, packet);
}

const char *test_sent(struct test_router *test)
{
	static char text[1024];
	text[0] = '\0';
	for (unsigned i = 0; i < test->sent_count; i++) {
		size_t len = strlen(text);
		(void)snprintf(text + len, sizeof(text) - len, "%s%u:%u", i > 0 ? " " : "",
			       test->sent[i].device, test->sent[i].first);
	}
	test->sent_count = 0;
	return text;
}

uint64_t test_count(struct test_router *test, const char *handler)
{
	char text[64];
	assert_true(click_router_read(test->router, handler, text, sizeof(text)) > 0);
	return strtoull(text, NULL, 10);
}
