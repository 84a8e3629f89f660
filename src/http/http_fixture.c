#include "http/http_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static void set_patience(int fd)
{
	struct timeval patience = {.tv_sec = 10};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

int dial(const struct http_server *server)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(http_server_port(server)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	set_patience(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static struct sockaddr_un local_address(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "http_fixture_%d", getpid());
	return address;
}

int listen_locally(int flags)
{
	struct sockaddr_un address = local_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 10), 0);
	return fd;
}

int dial_locally(void)
{
	struct sockaddr_un address = local_address();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	set_patience(fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void say(int fd, const char *text)
{
	assert_int_equal(eos_write_full(fd, text, strlen(text)), 0);
}

void read_until(int fd, struct eos_buf *answer, const char *text)
{
	size_t had = answer->len;
	while (answer->data == NULL || strstr(answer->data + had, text) == NULL) {
		char piece[4096];
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		if (n <= 0)
			fail_msg("no <%s> in <%s>", text, answer->data);
		assert_int_equal(eos_buf_append(answer, piece, (size_t)n), 0);
	}
}

void expect_silence(int fd)
{
	char c;
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

void expect_end(int fd)
{
	char c;
	assert_true(recv(fd, &c, 1, 0) == 0 || errno == ECONNRESET);
}

char *big_new(void)
{
	char *big = malloc(BIG_BYTES);
	assert_non_null(big);
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (char)('a' + i % 23);
	return big;
}

static int64_t read_big(void *ctx, void *data, size_t len, uint64_t offset)
{
	const struct big_stream *stream = ctx;
	memcpy(data, stream->big + offset, len);
	return (int64_t)len;
}

static int64_t read_badly(void *ctx, void *data, size_t len, uint64_t offset)
{
	return offset < 100000 ? read_big(ctx, data, EOS_MIN(len, (size_t)1000), offset) : -EIO;
}

static void free_stream(void *ctx)
{
	const struct big_stream *stream = ctx;
	atomic_fetch_add(stream->freed, 1);
}

void respond_big_stream(struct http_request *request, unsigned status, uint64_t size,
			struct big_stream *stream)
{
	http_respond_stream(request, status, NULL, 0, size, read_big, free_stream, stream);
}

void respond_broken_stream(struct http_request *request, struct big_stream *stream)
{
	http_respond_stream(request, 200, NULL, 0, BIG_BYTES, read_badly, free_stream, stream);
}

void expect_big(int fd, struct eos_buf *answer, const char *big)
{
	eos_buf_clear(answer);
	read_until(fd, answer, "\r\n\r\n");
	size_t head = (size_t)(strstr(answer->data, "\r\n\r\n") + 4 - answer->data);
	assert_int_equal(eos_buf_reserve(answer, BIG_BYTES + 1000), 0);
	while (answer->len < head + BIG_BYTES) {
		ssize_t n = recv(fd, answer->data + answer->len, head + BIG_BYTES - answer->len, 0);
		assert_true(n > 0);
		answer->len += (size_t)n;
	}
	assert_memory_equal(answer->data + head, big, BIG_BYTES);
	eos_buf_clear(answer);
}
