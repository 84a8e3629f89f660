/*
 * One lock guards the socket: who holds it may send and receive. Requests hold it until their
 * answer came; the client's own thread takes it when the socket is readable and nobody asks, which
 * is when a worker says that it has started, or why it could not.
 *
 * A worker's "ready" may come while somebody waits for the answer of the one before it: the request
 * fails then (-EAGAIN), and the thread is told.
 *
 * The program starts its workers again by itself. If it ends as a whole, or says what it may not,
 * or does not answer in time, the connection is lost: the thread ends what is left of it and starts
 * it anew, after a pause that grows as long as it keeps ending. What it does not answer it may yet
 * do, so that nobody knew otherwise which chains it has.
 */
#include "plane/plane_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/node.h"
#include "base/str.h"
#include "base/subprocess.h"
#include "plane/plane_protocol.h"

/* Initialisations run while we wait: of at most 16 stages, 5 s each. */
#define ANSWER_NS    (100 * EOS_NS_PER_S)
#define LOOK_NS	     (200 * EOS_NS_PER_MS) /* how often somebody who waits looks whether to go on */
#define SEND_MS	     5000
#define STOP_MS	     3000
#define PAUSE_MS_MIN 200
#define PAUSE_MS_MAX 10000
#define LIFE_NS	     (30 * EOS_NS_PER_S) /* who lived so long was in good health */
#define MESSAGES_MAX 64u /* taken at once, so that a talker is not listened to for ever */
#define CHILD_FDS    2u

struct plane_client {
	char *program, *text;
	size_t text_len;
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE];
	int wake_fd;
	pid_t pid;
	pthread_t thread;
	bool has_thread;
	void (*started)(void *ctx);
	void *ctx;
	uint64_t answer_ns;
	_Atomic bool is_stopping;
	pthread_mutex_t lock;
	/* Guarded by lock. */
	int socket; /* -1: the program could not be started */
	bool is_lost;
	uint64_t next_id;
	bool is_ready;	  /* a worker runs */
	bool has_started; /* since started() was called last */
	char failure[EOS_WHY_SIZE];
};

/* --- the process --- */

/* The configuration's file and the program's end of the socket. */
static int make_fds(const struct plane_client *client, int *ret_ours, int fds[CHILD_FDS])
{
	int pair[2];
	int document = plane_document_new(client->text, client->text_len);
	if (document < 0)
		return document;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		int err = -errno;
		eos_close(document);
		return err;
	}
	*ret_ours = pair[0];
	fds[0] = document;
	fds[1] = pair[1];
	return 0;
}

static int spawn(struct plane_client *client, const int fds[CHILD_FDS])
{
	char hex[2 * CRYPTO_SIGN_PUBLIC_SIZE + 1], parent[16], numbers[CHILD_FDS][16];
	char name[] = "edge-plane";
	eos_hex_encode(client->public_key, CRYPTO_SIGN_PUBLIC_SIZE, hex);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	for (unsigned i = 0; i < CHILD_FDS; i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%u", EOS_SPAWN_FD_FIRST + i);
	char *argv[] = {name, numbers[0], numbers[1], hex, parent, NULL};
	return eos_spawn(client->program, argv, fds, CHILD_FDS, &client->pid);
}

static int start_program(struct plane_client *client, struct eos_why *why)
{
	int fds[CHILD_FDS], socket = -1;
	int err = make_fds(client, &socket, fds);
	if (err < 0)
		return eos_why(why, err, "the data plane's socket: %s", strerror(-err));
	err = spawn(client, fds);
	plane_fds_close(fds, CHILD_FDS);
	if (err < 0) {
		eos_close(socket);
		client->pid = 0;
		return eos_why(why, err, "%s: %s", client->program, strerror(-err));
	}
	client->socket = socket;
	client->is_lost = false;
	strcpy(client->failure, "it is starting");
	return 0;
}

static int copy_config(struct plane_client *client, const struct plane_client_config *config)
{
	client->started = config->started;
	client->ctx = config->ctx;
	client->answer_ns = config->answer_ns == 0 ? ANSWER_NS : config->answer_ns;
	memcpy(client->public_key, config->public_key, sizeof(client->public_key));
	client->program = strdup(config->program);
	client->text = malloc(config->config_len + 1);
	if (client->program == NULL || client->text == NULL)
		return -ENOMEM;
	memcpy(client->text, config->config, config->config_len);
	client->text_len = config->config_len;
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return client->wake_fd < 0 ? -errno : 0;
}

int plane_client_new(const struct plane_client_config *config, struct plane_client **ret_client,
		     struct eos_why *why)
{
	struct plane_client *client = calloc(1, sizeof(*client));
	if (client == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	client->socket = client->wake_fd = -1;
	pthread_mutex_init(&client->lock, NULL);
	int err = copy_config(client, config);
	if (err < 0)
		err = eos_why(why, err, "the data plane: %s", strerror(-err));
	else
		err = start_program(client, why);
	if (err < 0) {
		plane_client_free(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

static bool has_ended(struct plane_client *client, int wait_ms)
{
	uint64_t end_ns = eos_now_ns() + (uint64_t)wait_ms * EOS_NS_PER_MS;
	for (;;) {
		pid_t pid = waitpid(client->pid, NULL, WNOHANG);
		if (pid == client->pid || (pid < 0 && errno == ECHILD))
			return true;
		if (eos_now_ns() >= end_ns)
			return false;
		(void)poll(NULL, 0, 5);
	}
}

/* Ends what is left of it: it has WAIT_MS to end by itself. */
static void end_program(struct plane_client *client, int wait_ms)
{
	if (client->pid > 0 && !has_ended(client, wait_ms)) {
		kill(client->pid, SIGKILL);
		(void)has_ended(client, STOP_MS);
	}
	client->pid = 0;
}

void plane_client_stop(struct plane_client *client)
{
	atomic_store(&client->is_stopping, true);
	(void)eventfd_write(client->wake_fd, 1);
}

struct plane_client *plane_client_free(struct plane_client *client)
{
	if (client == NULL)
		return NULL;
	plane_client_stop(client);
	if (client->has_thread) {
		pthread_join(client->thread, NULL);
	}
	/* The worker ends with it, and the keeper with the worker. */
	client->socket = eos_close(client->socket);
	end_program(client, STOP_MS);
	eos_close(client->wake_fd);
	pthread_mutex_destroy(&client->lock);
	free(client->program);
	free(client->text);
	free(client);
	return NULL;
}

/* --- messages --- */

struct answer {
	uint64_t id;
	char error[EOS_WHY_SIZE];
	bool has_error;
	uint64_t len;
	int fd;
};

/* What a message says; 1: it is the answer to ANSWER's id. -EPROTO: it is not one of ours. */
static int take_locked(struct plane_client *client, const struct eos_node *root,
		       struct answer *answer)
{
	struct eos_why why = {""};
	const char *text = NULL;
	uint64_t id = 0;
	if (eos_node_get(root, "ready") != NULL) {
		client->is_ready = client->has_started = true;
		client->failure[0] = '\0';
		return 0;
	}
	if (eos_node_get(root, "failed") != NULL) {
		if (eos_node_get_text(root, "failed", &text, &why) < 0 || text == NULL)
			return -EPROTO;
		client->is_ready = false;
		snprintf(client->failure, sizeof(client->failure), "%s", text);
		eos_make_printable(client->failure, strlen(client->failure));
		return 0;
	}
	if (eos_node_get_u64(root, "id", 0, UINT64_MAX, &id, &why) < 0 ||
	    eos_node_get_u64(root, "len", 0, PLANE_STATE_MAX, &answer->len, &why) < 0)
		return -EPROTO;
	const struct eos_node *error = eos_node_get(root, "error");
	answer->has_error = error != NULL && !eos_node_is_null(error);
	if (answer->has_error)
		snprintf(answer->error, sizeof(answer->error), "%s", eos_node_text(error));
	if (answer->has_error)
		eos_make_printable(answer->error, strlen(answer->error));
	/* Of a request that nobody waits for any more. */
	return answer->id != 0 && id == answer->id ? 1 : 0;
}

/* Nothing more is said to this program. */
static void lose_locked(struct plane_client *client, int err)
{
	client->is_ready = false;
	if (client->is_lost)
		return;
	client->is_lost = true;
	snprintf(client->failure, sizeof(client->failure), "%s",
		 err == -EPIPE	     ? "it has ended"
		 : err == -ETIMEDOUT ? "it did not answer"
				     : "it did not keep to the protocol");
	(void)eventfd_write(client->wake_fd, 1);
}

static int read_messages(struct plane_client *client, struct answer *answer)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0};
	for (unsigned i = 0; i < MESSAGES_MAX; i++) {
		int fds[PLANE_FDS_MAX];
		unsigned count = 0;
		struct eos_doc *doc;
		int err = plane_message_receive(client->socket, &buf, fds, &count);
		if (err == -EAGAIN)
			return 0;
		if (err < 0)
			return err;
		err = eos_doc_parse_json("answer", buf.data, buf.len, &doc, NULL);
		if (err == 0) {
			err = take_locked(client, eos_doc_root(doc), answer);
			eos_doc_free(doc);
		}
		if (err == 1 && count > 0) {
			answer->fd = fds[0];
			fds[0] = -1;
		}
		plane_fds_close(fds, count);
		if (err != 0)
			return err == -EINVAL ? -EPROTO : err;
	}
	return 0;
}

/* Reads what is there. 1: ANSWER is complete, with its descriptor; 0: nothing more for now. */
static int read_locked(struct plane_client *client, struct answer *answer)
{
	int err = client->is_lost || client->socket < 0 ? -EPIPE : read_messages(client, answer);
	if (err < 0)
		lose_locked(client, err);
	return err;
}

static int wait_locked(struct plane_client *client, struct answer *answer)
{
	uint64_t end_ns = eos_now_ns() + client->answer_ns;
	client->has_started = false;
	for (;;) {
		int err = read_locked(client, answer);
		if (err != 0)
			return err < 0 ? err : 0;
		/* The worker that was asked is gone. */
		if (client->has_started)
			return -EAGAIN;
		uint64_t now_ns = eos_now_ns();
		if (now_ns >= end_ns) {
			lose_locked(client, -ETIMEDOUT);
			return -ETIMEDOUT;
		}
		/* The node's end does not wait for an answer. */
		if (atomic_load(&client->is_stopping))
			return -ECANCELED;
		struct pollfd ready = {.fd = client->socket, .events = POLLIN};
		uint64_t wait_ns = EOS_MIN(end_ns - now_ns, LOOK_NS);
		(void)poll(&ready, 1, (int)(wait_ns / EOS_NS_PER_MS) + 1);
	}
}

static int ask_locked(struct plane_client *client, const struct eos_buf *request, const int *fds,
		      unsigned count, struct answer *answer, struct eos_why *why)
{
	/* What came since: also that there is a worker. */
	struct answer none = {.fd = -1};
	(void)read_locked(client, &none);
	bool has_started = client->has_started;
	if (!client->is_ready)
		return eos_why(why, -EAGAIN, "the data plane does not run: %s", client->failure);
	int err = plane_message_send(client->socket, request->data, request->len, fds, count,
				     SEND_MS);
	if (err == 0)
		err = wait_locked(client, answer);
	bool must_tell = has_started || client->has_started;
	client->has_started = must_tell;
	if (must_tell)
		(void)eventfd_write(client->wake_fd, 1);
	if (err == -EAGAIN)
		return eos_why(why, err, "the data plane was started anew meanwhile");
	if (err == -ETIMEDOUT)
		return eos_why(why, err, "the data plane did not answer");
	if (client->is_lost || err == -EPIPE)
		return eos_why(why, -EAGAIN, "the data plane ended meanwhile");
	if (err == -EMSGSIZE)
		return eos_why(why, err, "the manifest is too long for the data plane");
	if (err < 0)
		return eos_why(why, err, "the data plane: %s", strerror(-err));
	return answer->has_error ? eos_why(why, -EINVAL, "%s", answer->error) : 0;
}

/* Sends the request for OP and waits for its answer. NAME, MANIFEST: NULL, if OP has none. ANSWER's
 * descriptor is the caller's, on failure too. */
static int ask(struct plane_client *client, const char *op, const char *name, const char *manifest,
	       size_t manifest_len, const int *fds, unsigned count, struct answer *answer,
	       struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf request = {0};
	struct eos_json json = eos_json_begin(&request);
	pthread_mutex_lock(&client->lock);
	*answer = (struct answer){.id = ++client->next_id, .fd = -1};
	eos_json_open(&json, NULL, '{');
	eos_json_u64(&json, "id", answer->id);
	eos_json_text(&json, "op", op);
	if (name != NULL)
		eos_json_text(&json, "name", name);
	if (manifest != NULL)
		eos_json_text_n(&json, "manifest", manifest, manifest_len);
	eos_json_close(&json, '}');
	int err = eos_buf_failed(&request) ? eos_why(why, -ENOMEM, "no memory")
					   : ask_locked(client, &request, fds, count, answer, why);
	pthread_mutex_unlock(&client->lock);
	return err;
}

int plane_client_apply(struct plane_client *client, const char *name, const char *manifest,
		       size_t manifest_len, const int *image_fds, unsigned count,
		       struct eos_why *why)
{
	struct answer answer;
	int err =
		ask(client, "apply", name, manifest, manifest_len, image_fds, count, &answer, why);
	eos_close(answer.fd);
	return err;
}

int plane_client_remove(struct plane_client *client, const char *chain, struct eos_why *why)
{
	struct answer answer;
	int err = ask(client, "remove", chain, NULL, 0, NULL, 0, &answer, why);
	eos_close(answer.fd);
	return err;
}

int plane_client_state(struct plane_client *client, const char *chain, struct eos_buf *buf,
		       struct eos_why *why)
{
	struct answer answer;
	size_t len;
	int err = ask(client, "state", chain, NULL, 0, NULL, 0, &answer, why);
	if (err == 0 &&
	    (answer.fd < 0 || plane_document_check(answer.fd, &len) < 0 || len != answer.len))
		err = eos_why(why, -EPROTO, "the data plane sent no state");
	if (err == 0)
		err = eos_buf_reserve(buf, answer.len);
	if (err == 0)
		err = eos_pread_full(answer.fd, buf->data + buf->len, answer.len, 0);
	if (err == 0) {
		buf->len += answer.len;
		buf->data[buf->len] = '\0';
	}
	eos_close(answer.fd);
	return err;
}

void plane_client_failure(struct plane_client *client, char *out, size_t size)
{
	pthread_mutex_lock(&client->lock);
	snprintf(out, size, "%s", client->failure);
	pthread_mutex_unlock(&client->lock);
}

/* --- the thread --- */

/* True: a worker has started since the last look. */
static bool look(struct plane_client *client, bool *ret_is_lost)
{
	struct answer none = {.fd = -1};
	pthread_mutex_lock(&client->lock);
	(void)read_locked(client, &none);
	bool has_started = client->has_started;
	client->has_started = false;
	*ret_is_lost = client->is_lost;
	pthread_mutex_unlock(&client->lock);
	return has_started && !*ret_is_lost;
}

/* Waits for the socket, or to be woken, at most TIMEOUT_MS. */
static void wait_for_any(struct plane_client *client, int socket, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = socket, .events = POLLIN},
			       {.fd = client->wake_fd, .events = POLLIN}};
	eventfd_t wakes;
	if (poll(fds, EOS_ARRAY_SIZE(fds), timeout_ms) > 0 && fds[1].revents != 0)
		(void)eventfd_read(client->wake_fd, &wakes);
}

static void pause_for(struct plane_client *client, int pause_ms)
{
	uint64_t end_ns = eos_now_ns() + (uint64_t)pause_ms * EOS_NS_PER_MS;
	uint64_t now_ns;
	while (!atomic_load(&client->is_stopping) && (now_ns = eos_now_ns()) < end_ns)
		wait_for_any(client, -1, (int)((end_ns - now_ns) / EOS_NS_PER_MS) + 1);
}

static void start_again(struct plane_client *client)
{
	struct eos_why why = {""};
	pthread_mutex_lock(&client->lock);
	eos_log(EOS_LOG_ERROR, "plane", "connection lost why=\"%s\"", client->failure);
	client->socket = eos_close(client->socket);
	end_program(client, 0);
	if (start_program(client, &why) < 0) {
		eos_log(EOS_LOG_ERROR, "plane", "start failed why=\"%s\"", why.text);
		snprintf(client->failure, sizeof(client->failure), "%s", why.text);
	}
	pthread_mutex_unlock(&client->lock);
}

static void *thread_main(void *ctx)
{
	struct plane_client *client = ctx;
	int pause_ms = PAUSE_MS_MIN;
	uint64_t started_ns = eos_now_ns();
	bool is_lost = false;
	while (!atomic_load(&client->is_stopping)) {
		if (is_lost) {
			if (eos_now_ns() - started_ns >= LIFE_NS)
				pause_ms = PAUSE_MS_MIN;
			pause_for(client, pause_ms);
			pause_ms = EOS_MIN(2 * pause_ms, PAUSE_MS_MAX);
			if (atomic_load(&client->is_stopping))
				break;
			start_again(client);
			started_ns = eos_now_ns();
		}
		/* Only this thread changes the socket. */
		if (client->socket >= 0)
			wait_for_any(client, client->socket, -1);
		if (!atomic_load(&client->is_stopping) && look(client, &is_lost))
			client->started(client->ctx);
	}
	return NULL;
}

int plane_client_start(struct plane_client *client)
{
	int err = pthread_create(&client->thread, NULL, thread_main, client);
	client->has_thread = err == 0;
	return -err;
}
