/*
 * The client against a data plane that is not what it should be. This program is that data plane,
 * too: started by the client with four arguments, it does what its configuration says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/node.h"
#include "plane/plane_client.h"
#include "plane/plane_protocol.h"

#define SEND_MS	     1000
#define WAIT_NS	     (30 * EOS_NS_PER_S)
#define STATE	     "{\"chains\": []}"
#define STATE_CLAIMS 4096 /* of a document that is shorter */

/* --- the data plane --- */

struct fake {
	int control_fd;
	char mode[32];
	uint64_t id; /* of the request */
};

static void say(const struct fake *fake, const char *text, const int *fds, unsigned count)
{
	if (plane_message_send(fake->control_fd, text, strlen(text), fds, count, SEND_MS) < 0)
		_exit(0);
}

static void reply(const struct fake *fake, uint64_t id, uint64_t len, const int *fds,
		  unsigned count)
{
	char text[128];
	snprintf(text, sizeof(text), "{\"id\": %llu, \"error\": null, \"len\": %llu}",
		 (unsigned long long)id, (unsigned long long)len);
	say(fake, text, fds, count);
}

static void reply_state(const struct fake *fake, uint64_t len)
{
	int fd = plane_document_new(STATE, strlen(STATE));
	reply(fake, fake->id, len, &fd, 1);
	eos_close(fd);
}

static void reply_pipe(const struct fake *fake)
{
	int pair[2];
	if (pipe(pair) == 0)
		reply(fake, fake->id, 8, pair, 1);
	eos_close(pair[0]);
	eos_close(pair[1]);
}

/* One that could yet be cut. */
static void reply_unsealed(const struct fake *fake)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC);
	if (fd >= 0 && eos_write_full(fd, STATE, strlen(STATE)) == 0)
		reply(fake, fake->id, strlen(STATE), &fd, 1);
	eos_close(fd);
}

static void reply_with_many(const struct fake *fake)
{
	int fds[PLANE_FDS_MAX];
	for (unsigned i = 0; i < PLANE_FDS_MAX; i++)
		fds[i] = plane_document_new(STATE, strlen(STATE));
	reply(fake, fake->id, strlen(STATE), fds, PLANE_FDS_MAX);
	plane_fds_close(fds, PLANE_FDS_MAX);
}

/* What is said instead of an answer, by mode. */
static const struct {
	const char *mode, *text;
} sayings[] = {
	{"garbage", "\xff\xfe{"},
	{"list", "[1, 2, 3]"},
	{"id of text", "{\"id\": \"one\"}"},
	{"too long a state", "{\"id\": 1, \"error\": null, \"len\": 99999999999}"},
	{"ready", "{\"ready\": 1}"},
	{"refuses", "{\"id\": 1, \"error\": \"no \\u001b such\", \"len\": 0}"},
	{"failed of text", "{\"failed\": {}}"},
};

static void answer(const struct fake *fake)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sayings); i++) {
		if (strcmp(fake->mode, sayings[i].mode) == 0) {
			say(fake, sayings[i].text, NULL, 0);
			return;
		}
	}
	if (strcmp(fake->mode, "dies") == 0)
		_exit(1);
	if (strcmp(fake->mode, "mute") == 0)
		return;
	if (strcmp(fake->mode, "short") == 0) {
		reply_state(fake, STATE_CLAIMS);
	} else if (strcmp(fake->mode, "pipe") == 0) {
		reply_pipe(fake);
	} else if (strcmp(fake->mode, "unsealed") == 0) {
		reply_unsealed(fake);
	} else if (strcmp(fake->mode, "many") == 0) {
		reply_with_many(fake);
	} else if (strcmp(fake->mode, "no state") == 0) {
		reply(fake, fake->id, 0, NULL, 0);
	} else if (strcmp(fake->mode, "others") == 0) {
		/* Answers that nobody waits for, with descriptors, and then the right one. */
		int fd = plane_document_new(STATE, strlen(STATE));
		for (unsigned i = 0; i < 200; i++)
			reply(fake, fake->id + 1 + i, 1, &fd, 1);
		eos_close(fd);
		reply_state(fake, strlen(STATE));
	} else {
		reply_state(fake, strlen(STATE));
	}
}

/* Until the client is gone. */
static int be_data_plane(char **argv)
{
	struct fake fake = {.control_fd = atoi(argv[2])};
	struct eos_buf buf = {0};
	ssize_t n = pread(atoi(argv[1]), fake.mode, sizeof(fake.mode) - 1, 0);
	if (n < 0)
		return 1;
	if (strcmp(fake.mode, "fails") == 0)
		say(&fake, "{\"failed\": \"no \\u001bdevice\\n\"}", NULL, 0);
	else
		say(&fake, "{\"ready\": 1}", NULL, 0);
	for (;;) {
		int fds[PLANE_FDS_MAX];
		unsigned count = 0;
		struct eos_doc *doc;
		struct eos_why why;
		struct pollfd ready = {.fd = fake.control_fd, .events = POLLIN};
		(void)poll(&ready, 1, -1);
		if (plane_message_receive(fake.control_fd, &buf, fds, &count) < 0)
			return 0;
		plane_fds_close(fds, count);
		if (eos_doc_parse_json("request", buf.data, buf.len, &doc, &why) < 0 ||
		    eos_node_get_u64(eos_doc_root(doc), "id", 1, UINT64_MAX, &fake.id, &why) < 0)
			return 1;
		eos_doc_free(doc);
		answer(&fake);
	}
}

/* --- the client --- */

static const uint8_t key[CRYPTO_SIGN_PUBLIC_SIZE];

struct fixture {
	struct plane_client *client;
	_Atomic unsigned started;
	bool asks; /* when a worker has started, as its owner does */
	uint64_t answer_ns;
	int asked_err;
};

static void on_started(void *ctx)
{
	struct fixture *f = ctx;
	struct eos_why why = {""};
	atomic_fetch_add(&f->started, 1);
	if (f->asks)
		f->asked_err =
			plane_client_apply(f->client, "a.yaml", "chain: a", 8, NULL, 0, &why);
}

static void start(struct fixture *f, const char *mode)
{
	struct eos_why why = {""};
	char program[4096] = "";
	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	const struct plane_client_config config = {
		.program = program,
		.config = mode,
		.config_len = strlen(mode),
		.public_key = key,
		.started = on_started,
		.ctx = f,
		.answer_ns = f->answer_ns,
	};
	assert_int_equal(plane_client_new(&config, &f->client, &why), 0);
	assert_int_equal(plane_client_start(f->client), 0);
}

static void wait_for_start(struct fixture *f, unsigned count)
{
	uint64_t end_ns = eos_now_ns() + WAIT_NS;
	while (atomic_load(&f->started) < count) {
		assert_true(eos_now_ns() < end_ns);
		(void)poll(NULL, 0, 5);
	}
}

static unsigned count_fds(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Asks for the state of a data plane in MODE: WANTED, and WORDS among why. */
static void check_state(const char *mode, int wanted, const char *words)
{
	struct fixture f = {.client = NULL};
	struct eos_buf buf = {0};
	struct eos_why why = {""};
	unsigned before = count_fds();
	start(&f, mode);
	wait_for_start(&f, 1);
	unsigned running = count_fds();
	int err = plane_client_state(f.client, NULL, &buf, &why);
	if (err != wanted || strstr(why.text, words) == NULL)
		fail_msg("%s: %d \"%s\", expected %d \"%s\"", mode, err, why.text, wanted, words);
	if (err == 0)
		assert_string_equal(buf.data, STATE);
	else
		assert_int_equal(buf.len, 0);
	/* What came with the answer is closed; a connection that was lost may be, too. */
	assert_true(count_fds() <= running);
	f.client = plane_client_free(f.client);
	assert_int_equal(count_fds(), before);
	eos_buf_fini(&buf);
}

static void test_answers(void **state)
{
	(void)state;
	check_state("answers", 0, "");
	check_state("others", 0, "");
	check_state("many", 0, "");
	check_state("refuses", -EINVAL, "no ");
	check_state("no state", -EPROTO, "sent no state");
	check_state("short", -EPROTO, "sent no state");
	check_state("pipe", -EPROTO, "sent no state");
	check_state("unsealed", -EPROTO, "sent no state");
	check_state("garbage", -EAGAIN, "ended meanwhile");
	check_state("id of text", -EAGAIN, "ended meanwhile");
	check_state("too long a state", -EAGAIN, "ended meanwhile");
	check_state("failed of text", -EAGAIN, "ended meanwhile");
	check_state("dies", -EAGAIN, "ended meanwhile");
	check_state("ready", -EAGAIN, "started anew");
}

/* One that breaks the protocol, or dies, is ended and another one started. */
static void test_started_again(void **state)
{
	static const char *const modes[] = {"dies", "garbage", "too long a state"};
	(void)state;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(modes); i++) {
		struct fixture f = {.client = NULL};
		struct eos_buf buf = {0};
		struct eos_why why = {""};
		start(&f, modes[i]);
		for (unsigned turn = 1; turn <= 2; turn++) {
			wait_for_start(&f, turn);
			assert_int_equal(plane_client_state(f.client, NULL, &buf, &why), -EAGAIN);
		}
		wait_for_start(&f, 3);
		plane_client_free(f.client);
		eos_buf_fini(&buf);
	}
}

/* The worker of which nothing is known takes the requests' owner to apply all again. */
static void test_new_worker_meanwhile(void **state)
{
	struct fixture f = {.client = NULL};
	struct eos_why why = {""};
	(void)state;
	start(&f, "ready");
	wait_for_start(&f, 1);
	assert_int_equal(plane_client_remove(f.client, "a", &why), -EAGAIN);
	wait_for_start(&f, 2);
	plane_client_free(f.client);
}

/* Who does not answer may yet do what it was asked for: one that has nothing takes its place. */
static void test_no_answer(void **state)
{
	struct fixture f = {.answer_ns = 50 * EOS_NS_PER_MS};
	struct eos_why why = {""};
	(void)state;
	start(&f, "mute");
	wait_for_start(&f, 1);
	assert_int_equal(plane_client_apply(f.client, "a.yaml", "chain: a", 8, NULL, 0, &why),
			 -ETIMEDOUT);
	assert_non_null(strstr(why.text, "did not answer"));
	wait_for_start(&f, 2);
	plane_client_free(f.client);
}

static void test_failure(void **state)
{
	struct fixture f = {.client = NULL};
	struct eos_why why = {""};
	char text[EOS_WHY_SIZE] = "";
	(void)state;
	start(&f, "fails");
	uint64_t end_ns = eos_now_ns() + WAIT_NS;
	do {
		assert_true(eos_now_ns() < end_ns);
		(void)poll(NULL, 0, 5);
		plane_client_failure(f.client, text, sizeof(text));
	} while (strstr(text, "device") == NULL);
	/* As it goes into logs and to terminals. */
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\n'));
	assert_int_equal(plane_client_remove(f.client, "a", &why), -EAGAIN);
	assert_non_null(strstr(why.text, "does not run: no "));
	assert_int_equal(f.started, 0);
	plane_client_free(f.client);
}

/* The end of the node does not wait for an answer that does not come. */
static void test_end_while_waiting(void **state)
{
	struct fixture f = {.asks = true};
	(void)state;
	uint64_t begin_ns = eos_now_ns();
	start(&f, "mute");
	wait_for_start(&f, 1);
	plane_client_free(f.client);
	assert_int_equal(f.asked_err, -ECANCELED);
	assert_true(eos_now_ns() - begin_ns < 20 * EOS_NS_PER_S);
}

static void test_no_program(void **state)
{
	struct eos_why why = {""};
	struct plane_client *client = NULL;
	const struct plane_client_config config = {
		.program = "/nowhere/edge-plane",
		.config = "",
		.public_key = key,
		.started = on_started,
	};
	(void)state;
	unsigned before = count_fds();
	assert_int_equal(plane_client_new(&config, &client, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nowhere/edge-plane"));
	assert_null(client);
	assert_int_equal(count_fds(), before);
}

int main(int argc, char **argv)
{
	if (argc == 5)
		return be_data_plane(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_started_again),
		cmocka_unit_test(test_new_worker_meanwhile),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_end_while_waiting),
		cmocka_unit_test(test_no_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
