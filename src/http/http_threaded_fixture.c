#include "http/http_threaded_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY_BYTES_MAX (64u << 20)

/* Which of the two served it: the index is whether it was a thread of ours. */
static const struct http_header kinds[] = {{"X-Kind", "other"}, {"X-Kind", "plain"}};

static void respond(struct http_request *request, unsigned status, const void *body, size_t len)
{
	http_respond(request, status, &kinds[request->thread != NULL], 1, body, len);
}

static bool is_path(const struct http_request *request, const char *path)
{
	return strcmp(http_request_path(request), path) == 0;
}

static void wait_for_go(struct fixture *f)
{
	atomic_fetch_add(&f->waiting, 1);
	while (sem_wait(&f->go) < 0)
		;
}

static void on_begin(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	unsigned at_once = (unsigned)(atomic_fetch_add(&f->begun, 1) + 1 - f->finished);
	if (at_once > f->at_once_max)
		f->at_once_max = at_once;
	if (is_path(request, "/wait_early"))
		wait_for_go(f);
	if (is_path(request, "/refuse"))
		respond(request, 403, "no", 2);
}

static void on_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
	struct fixture *f = ctx;
	/* How much of it came is all that is kept of a body. */
	size_t had = (size_t)http_request_data(request);
	if (http_request_is_answered(request) || had + len > BIG_BYTES ||
	    memcmp(f->big + had, data, len) != 0)
		f->is_body_wrong = true;
	http_request_set_data(request, (void *)(had + len));
	if (is_path(request, "/mid"))
		respond(request, 409, "mid", 3);
}

static void on_end(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	const char *tag = http_request_header(request, "x-tAg");
	char text[64];
	if (is_path(request, "/wait"))
		wait_for_go(f);
	if (is_path(request, "/big")) {
		respond(request, 200, f->big, BIG_BYTES);
	} else if (is_path(request, "/stream")) {
		respond_big_stream(request, 200, BIG_BYTES, &f->stream);
	} else if (is_path(request, "/bad")) {
		respond_broken_stream(request, &f->stream);
	} else if (is_path(request, "/nothing")) {
		respond(request, 204, "unsent", 6);
	} else if (is_path(request, "/unmodified")) {
		respond_big_stream(request, 304, 7, &f->stream);
	} else if (!is_path(request, "/never")) {
		int len = snprintf(text, sizeof(text), "<%s %s %u>", http_request_method(request),
				   tag != NULL ? tag : "-",
				   (unsigned)(size_t)http_request_data(request));
		respond(request, 200, text, (size_t)len);
	}
}

static void on_finish(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	atomic_fetch_add(&f->finished, 1);
}

static const struct http_handler handler = {on_begin, on_body, on_end, on_finish};

/* --- fixture --- */

static unsigned count_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

void start_server(struct fixture *f, int listen_fd)
{
	struct eos_why why = {""};
	struct http_server_config config = {
		.address = listen_fd < 0 ? "127.0.0.1" : NULL,
		.listen_fd = listen_fd,
		.connections_max = CONNECTIONS_MAX,
		.idle_timeout_s = 20,
		.body_bytes_max = BODY_BYTES_MAX,
		.handler = &handler,
		.ctx = f,
	};
	if (http_server_new(&config, &f->server, &why) < 0)
		fail_msg("%s", why.text);
}

static struct fixture *fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*state = f;
	f->big = big_new();
	f->stream = (struct big_stream){f->big, &f->freed};
	sem_init(&f->go, 0, 0);
	f->descriptors = count_descriptors();
	return f;
}

int setup(void **state)
{
	start_server(fixture_new(state), -1);
	return 0;
}

int setup_local(void **state)
{
	/* Blocking, as it may be. */
	struct fixture *f = fixture_new(state);
	start_server(f, listen_locally(0));
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	http_server_free(f->server);
	assert_int_equal(f->begun, f->finished);
	assert_false(f->is_body_wrong);
	assert_int_equal(count_descriptors(), f->descriptors);
	sem_destroy(&f->go);
	free(f->big);
	free(f);
	return 0;
}

void wait_until(_Atomic int *count, int wanted)
{
	for (int i = 0; i < 10000 && *count < wanted; i++)
		usleep(1000);
	assert_int_equal(*count, wanted);
}

unsigned count_of(const struct eos_buf *answer, const char *text)
{
	unsigned count = 0;
	for (const char *at = answer->data; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

int ask(struct fixture *f, struct eos_buf *answer, const char *text, const char *wanted)
{
	int fd = dial(f->server);
	eos_buf_clear(answer);
	say(fd, text);
	read_until(fd, answer, wanted);
	return fd;
}
