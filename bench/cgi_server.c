/*
 * The classic way to isolate requests: a process each. Accepts connections in one epoll loop, keeps
 * them alive, and for each request forks and executes a CGI program, whose output becomes the
 * answer's header lines and body. A baseline to compare with, not a web server: it reads requests
 * without a body only, and trusts its clients.
 *
 *     cgi_server PORT PROGRAM
 *
 * A connection is reading its request, or waits for the end of its program's output. The program's
 * pipe and the socket are both in the epoll set; which one an event means is in the lowest bit of
 * its data. While a request is under way the next one stays in the socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUFFER_SIZE 4096
#define EVENTS_MAX  64
#define IS_PIPE	    1u

struct connection {
	int socket, pipe; /* pipe: -1 while no program runs */
	bool is_closed;
	struct connection *next_closed;
	size_t in_len, out_len;
	char in[BUFFER_SIZE], out[BUFFER_SIZE];
};

static int epoll_fd;
/* Closed ones are freed after the batch of events: another event of it may name them. */
static struct connection *closed;
static const char *program;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int fd, uintptr_t data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

/* Also takes FD out of the epoll set: closing alone would not, while a child that has forked and
 * not yet executed its program holds a copy. */
static void unwatch_and_close(int fd)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

static void connection_close(struct connection *connection)
{
	if (connection->pipe >= 0)
		unwatch_and_close(connection->pipe);
	unwatch_and_close(connection->socket);
	connection->is_closed = true;
	connection->next_closed = closed;
	closed = connection;
}

static void free_closed(void)
{
	while (closed != NULL) {
		struct connection *connection = closed;

		closed = connection->next_closed;
		free(connection);
	}
}

static void run_program(struct connection *connection)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		char *argv[] = {(char *)(uintptr_t)program, NULL};
		char *environment[] = {"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET",
				       "PATH_INFO=/", "QUERY_STRING=", NULL};

		dup2(fds[1], 1);
		execve(program, argv, environment);
		_exit(127);
	}
	close(fds[1]);
	connection->pipe = fds[0];
	connection->out_len = 0;
	watch(fds[0], (uintptr_t)connection | IS_PIPE);
}

/* Starts a program when a whole request is there. */
static void start_if_complete(struct connection *connection)
{
	char *end = memmem(connection->in, connection->in_len, "\r\n\r\n", 4);

	if (end == NULL || connection->pipe >= 0)
		return;
	size_t used = (size_t)(end + 4 - connection->in);

	connection->in_len -= used;
	memmove(connection->in, connection->in + used, connection->in_len);
	run_program(connection);
}

static void on_socket(struct connection *connection)
{
	ssize_t n = read(connection->socket, connection->in + connection->in_len,
			 sizeof(connection->in) - connection->in_len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* A client that left while its program runs: closed when the program ends. */
		if (connection->pipe < 0)
			connection_close(connection);
		else
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connection->socket, NULL);
		return;
	}
	connection->in_len += (size_t)n;
	start_if_complete(connection);
}

/* False: the client is gone. */
static bool answer(struct connection *connection)
{
	char text[BUFFER_SIZE + 256];
	char *body = memmem(connection->out, connection->out_len, "\n\n", 2);

	if (body == NULL)
		return false;
	*body = '\0';
	body += 2;
	size_t body_len = connection->out_len - (size_t)(body - connection->out);
	int head = snprintf(text, sizeof(text),
			    "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n%s\r\nContent-Length: %zu"
			    "\r\n\r\n",
			    connection->out, body_len);

	memcpy(text + head, body, body_len);
	return write(connection->socket, text, (size_t)head + body_len) ==
	       (ssize_t)((size_t)head + body_len);
}

static void on_pipe(struct connection *connection)
{
	ssize_t n = read(connection->pipe, connection->out + connection->out_len,
			 sizeof(connection->out) - connection->out_len);

	if (n > 0) {
		connection->out_len += (size_t)n;
		return;
	}
	unwatch_and_close(connection->pipe);
	connection->pipe = -1;
	if (!answer(connection))
		connection_close(connection);
	else
		start_if_complete(connection);
}

static void on_listener(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct connection *connection = calloc(1, sizeof(*connection));

	if (fd < 0 || connection == NULL)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	connection->socket = fd;
	connection->pipe = -1;
	watch(fd, (uintptr_t)connection);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
		die("listen");
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];

	if (argc != 3) {
		fprintf(stderr, "usage: cgi_server PORT PROGRAM\n");
		return 2;
	}
	program = argv[2];
	/* Children that ended need no waiting for. */
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int listener = listen_on((uint16_t)atoi(argv[1]));

	watch(listener, 0);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			uintptr_t data = (uintptr_t)events[i].data.u64;

			struct connection *connection =
				(struct connection *)(data & ~(uintptr_t)IS_PIPE);

			if (data == 0)
				on_listener(listener);
			else if (connection->is_closed)
				continue;
			else if (data & IS_PIPE)
				on_pipe(connection);
			else
				on_socket(connection);
		}
		free_closed();
	}
}
