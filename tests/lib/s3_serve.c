/*
 * An S3 server over a store and nothing else, for tests:
 *
 *   s3_serve DIR [REGION [DOMAIN]]
 *
 * takes the keys from EDGEOS_ACCESS_KEY and EDGEOS_SECRET_KEY, listens on a free port of
 * 127.0.0.1, prints the port and serves until SIGTERM, SIGINT or the end of standard input.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/str.h"
#include "s3/s3.h"

static int find_credentials(void *ctx, const char *access_key, struct s3_credentials *ret)
{
	const struct s3_credentials *known = ctx;
	if (strcmp(access_key, known->access_key) != 0)
		return -ENOENT;
	*ret = *known;
	return 0;
}

static int read_credentials(struct s3_credentials *credentials)
{
	const char *access_key = getenv("EDGEOS_ACCESS_KEY");
	const char *secret_key = getenv("EDGEOS_SECRET_KEY");
	if (access_key == NULL || secret_key == NULL)
		return -EINVAL;
	int err =
		eos_str_copy(credentials->access_key, sizeof(credentials->access_key), access_key);
	return err < 0 ? err
		       : eos_str_copy(credentials->secret_key, sizeof(credentials->secret_key),
				      secret_key);
}

static void wait_for_end(int signal_fd)
{
	struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
			       {.fd = STDIN_FILENO, .events = POLLIN}};
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
}

static int serve(const char *dir, const struct s3_config *config, int signal_fd,
		 struct eos_why *why)
{
	struct store *store;
	struct s3_server *server;
	int err = store_open(dir, &store, why);
	if (err < 0)
		return err;
	err = s3_server_new(config, store, &server, why);
	if (err == 0) {
		printf("%u\n", s3_server_port(server));
		fflush(stdout);
		wait_for_end(signal_fd);
		s3_server_free(server);
	}
	store_close(store);
	return err;
}

int main(int argc, char **argv)
{
	struct s3_credentials credentials;
	struct eos_why why = {""};
	sigset_t signals;

	if (argc < 2 || argc > 4 || read_credentials(&credentials) < 0) {
		fprintf(stderr, "usage: s3_serve DIR [REGION [DOMAIN]], with "
				"EDGEOS_ACCESS_KEY and EDGEOS_SECRET_KEY set\n");
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	const struct s3_config config = {
		.address = "127.0.0.1",
		.region = argc > 2 ? argv[2] : "us-east-1",
		.domain = argc > 3 ? argv[3] : "localhost",
		.connections_max = 256,
		.find_credentials = find_credentials,
		.ctx = &credentials,
	};
	int err = eos_fault_init(&why);
	if (err == 0)
		err = serve(argv[1], &config, signal_fd, &why);
	if (err < 0)
		fprintf(stderr, "s3_serve: %s\n", why.text);
	return err < 0 ? 1 : 0;
}
