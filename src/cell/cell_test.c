/*
 * The cell in this process, on a thread and without its sandbox, with the test as its edged. So the
 * sanitizers see all of it, and edged can be as wrong as it likes.
 */
#include "cell/cell_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "cell/fixtures/cell_fixture.h"

/* One message there, one back. */
static void a_small_call_is_two_messages(void **state)
{
	struct fixture *f = start();
	load_guest(f, 0);
	for (uint64_t i = 1; i < 50; i++) {
		send_invoke(f, i * LINK_CALLS_MAX, 0, "hello", 0, 0);
		expect_done(f, i * LINK_CALLS_MAX, LINK_EXITED, "hello from a\n");
	}
	expect_silence(f);
	expect_end(f, -EPIPE);
}

static void asks_for_input(void **state)
{
	static char input[100000];
	struct eos_buf output = {0};
	struct fixture *f = start();
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (char)(i / 7);
	load_guest(f, 3);
	send_invoke(f, 9, 3, "echo", sizeof(input), 0);
	for (;;) {
		struct link_message m = receive(f);
		if (m.header.kind == LINK_OUTPUT) {
			eos_buf_append(&output, m.payload.data, m.payload.len);
		} else if (m.header.kind == LINK_FILE_REQUEST) {
			assert_int_equal(m.file_request.op, LINK_OP_READ_INPUT);
			assert_true(m.file_request.offset < sizeof(input));
			size_t n = EOS_MIN(sizeof(input) - (size_t)m.file_request.offset,
					   (size_t)m.file_request.size);
			n = EOS_MIN(n, (size_t)1000);
			send_reply(f, &m.file_request, (int64_t)n, input + m.file_request.offset,
				   n);
		} else {
			assert_int_equal(m.header.kind, LINK_DONE);
			eos_buf_append(&output, m.done_parts.output.data, m.done_parts.output.len);
			break;
		}
	}
	assert_int_equal(output.len, sizeof(input));
	assert_memory_equal(output.data, input, sizeof(input));
	eos_buf_fini(&output);
	expect_end(f, -EPIPE);
}

static void late_messages_are_ignored(void **state)
{
	struct fixture *f = start();
	struct link_file_request request = {.call_id = 5, .request_id = 1};
	load_guest(f, 0);
	send_cancel(f, 77);
	send_reply(f, &request, 0, NULL, 0);
	/* Cancelled in a sleep, and while it waits for a reply. */
	send_invoke(f, 5, 0, "sleep", 0, 0);
	send_cancel(f, 5);
	expect_done(f, 5, LINK_CANCELLED, "");
	send_invoke(f, 6, 0, "hold", 0, 0);
	struct link_message asked = receive(f);
	assert_int_equal(asked.header.kind, LINK_FILE_REQUEST);
	request = asked.file_request;
	send_cancel(f, 6);
	expect_done(f, 6, LINK_CANCELLED, "");
	send_reply(f, &request, 0, NULL, 0);
	send_invoke(f, 7, 0, "sleep", 0, 20000000);
	expect_done(f, 7, LINK_TIMED_OUT, "");
	expect_end(f, -EPIPE);
}

static void bad_images_are_refused(void **state)
{
	struct fixture *f = start();
	int fd = memfd_create("junk", MFD_CLOEXEC);
	assert_int_equal(eos_write_full(fd, "junk", 4), 0);
	send_load(f, fd, 1, 1);
	struct link_message loaded = receive(f);
	assert_int_equal(loaded.header.kind, LINK_LOADED);
	assert_true(loaded.loaded.err < 0);
	assert_true(loaded.payload.len > 0);
	load_guest(f, 1);
	struct link_unload unload = {.header.kind = LINK_UNLOAD, .image_id = 1};
	send_message(f, &unload, sizeof(unload), NULL, 0);
	load_guest(f, 1);
	eos_close(fd);
	expect_end(f, -EPIPE);
}

/* Calls that want to say more than the ring holds, while nobody listens. */
static void waits_for_room(void **state)
{
	enum { CALLS = 30 };
	struct fixture *f = start();
	unsigned done = 0;
	size_t errors[CALLS] = {0};
	load_guest(f, 0);
	for (uint64_t i = 0; i < CALLS; i++)
		send_invoke(f, i + 1, 0, "errors", 0, 0);
	usleep(50000);
	while (done < CALLS) {
		struct link_message m = receive(f);
		if (m.header.kind == LINK_OUTPUT) {
			assert_int_equal(m.output.stream, LINK_STREAM_ERRORS);
			errors[m.output.call_id - 1] += m.payload.len;
			continue;
		}
		assert_int_equal(m.header.kind, LINK_DONE);
		assert_int_equal(m.done.outcome, LINK_EXITED);
		errors[m.done.call_id - 1] += m.done_parts.errors.len;
		assert_int_equal(errors[m.done.call_id - 1], 1 << 20);
		done++;
	}
	expect_end(f, -EPIPE);
}

static void ends_with_calls_under_way(void **state)
{
	struct fixture *f = start();
	load_guest(f, 0);
	for (uint64_t i = 1; i <= 20; i++)
		send_invoke(f, i, 0, i % 3 == 0 ? "hold" : i % 3 == 1 ? "sleep" : "errors", 0, 0);
	usleep(20000);
	expect_end(f, -EPIPE);
}

static void hostile_kind(struct fixture *f, unsigned kind)
{
	struct link_unload unload = {.header.kind = LINK_UNLOAD, .image_id = 9};
	struct link_file_request request = {.call_id = 1, .request_id = 999};
	static char large[1000];
	switch (kind) {
	case 0:
		assert_int_equal(link_send(f->link, "garbage", 7, NULL, 0), 0);
		break;
	case 1:
		send_invoke(f, 2, 5, "hello", 0, 0); /* no such image */
		break;
	case 2:
		send_invoke(f, 1 + LINK_CALLS_MAX, 0, "hello", 0, 0); /* in a slot that is taken */
		break;
	case 3:
		send_load(f, -1, 2, 0); /* without its descriptor */
		break;
	case 4:
		send_load(f, image_fd(guest), 2, 3); /* of another image */
		break;
	case 5:
		send_load(f, image_fd(guest), 0, 0); /* twice */
		break;
	case 6:
		send_load(f, image_fd(guest), LINK_IMAGES_MAX, LINK_IMAGES_MAX);
		break;
	case 7:
		send_message(f, &unload, sizeof(unload), NULL, 0);
		break;
	case 8:
		send_reply(f, &request, 0, NULL, 0); /* to what was not asked */
		break;
	default: {
		struct link_message asked = receive(f);
		assert_int_equal(asked.header.kind, LINK_FILE_REQUEST);
		send_reply(f, &asked.file_request, 1000, large, sizeof(large)); /* too much */
		break;
	}
	}
}

static void nonsense_ends_the_cell(void **state)
{
	for (unsigned kind = 0; kind < 10; kind++) {
		struct fixture *f = start();
		load_guest(f, 0);
		send_invoke(f, 1, 0, kind == 9 ? "hold" : "sleep", 0, 0);
		hostile_kind(f, kind);
		expect_end(f, -EBADMSG);
	}
}

/* PARENT and KEY_END replace parts of good arguments. */
static int parse_place(int argc, const char *parent, const char *key_end, const char *processor,
		       struct cell_config *config)
{
	char hex[2 * CRYPTO_SIGN_PUBLIC_SIZE + 1], text[32], place[32];
	char fds[4][2] = {"3", "4", "5", "6"}, settings[LINK_CONFIG_TEXT_SIZE];
	char *argv[] = {fds[0], fds[1], fds[2], fds[3], hex, text, settings, place, NULL};
	link_config_format(&link_config_default, settings);
	memset(hex, 'a', sizeof(hex));
	strcpy(hex + sizeof(hex) - 1 - strlen(key_end), key_end);
	strcpy(text, parent);
	strcpy(place, processor);
	return cell_parse_args(argc, argv, config);
}

static int parse(int argc, const char *parent, const char *key_end, struct cell_config *config)
{
	return parse_place(argc, parent, key_end, "any", config);
}

static void arguments(void **state)
{
	struct cell_config config;
	assert_int_equal(parse(8, "123", "bb", &config), 0);
	assert_int_equal(config.processor, -1);
	assert_int_equal(config.fds.memory, 3);
	assert_int_equal(config.fds.socket, 6);
	assert_int_equal(config.parent_pid, 123);
	assert_int_equal(config.public_key[0], 0xaa);
	assert_int_equal(config.public_key[31], 0xbb);
	assert_int_equal(config.settings.fwps_max, link_config_default.fwps_max);
	assert_int_equal(parse(7, "123", "bb", &config), -EINVAL);
	assert_int_equal(parse(8, "12x", "bb", &config), -EINVAL);
	assert_int_equal(parse(8, "99999999999", "bb", &config), -EINVAL);
	assert_int_equal(parse(8, "123", "xb", &config), -EINVAL);
	assert_int_equal(parse_place(8, "123", "bb", "3", &config), 0);
	assert_int_equal(config.processor, 3);
	assert_int_equal(parse_place(8, "123", "bb", "-1", &config), -EINVAL);
	assert_int_equal(parse_place(8, "123", "bb", "1024", &config), -EINVAL);
	char any[] = "any";
	char numbers[] = "3", parent[] = "1", settings[] = "fwps_max=1";
	char hex[2 * CRYPTO_SIGN_PUBLIC_SIZE + 1] = {0};
	memset(hex, 'a', sizeof(hex) - 1);
	char *argv[] = {numbers, numbers, numbers, numbers, hex, parent, settings, any, NULL};
	assert_int_equal(cell_parse_args(8, argv, &config), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(a_small_call_is_two_messages),
		cmocka_unit_test(asks_for_input),
		cmocka_unit_test(late_messages_are_ignored),
		cmocka_unit_test(bad_images_are_refused),
		cmocka_unit_test(waits_for_room),
		cmocka_unit_test(ends_with_calls_under_way),
		cmocka_unit_test(nonsense_ends_the_cell),
	};
	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
