/*
 * The cell's loop.
 *
 * A turn takes what has arrived, ends what is over time, gives each call that is ready one turn of
 * its own, and sends what found no room earlier. When nothing is ready it looks at the ring for
 * CELL_SPIN_NS more (where another processor may be about to write to it), then sleeps on the
 * doorbell until the next deadline.
 *
 * Why there is no deadlock with full rings: the cell stops receiving only while a LOADED waits for
 * room, and edged takes everything off its ring before it waits for room in ours.
 */
#include "cell/cell.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cell/cell_priv.h"
#include "sandbox/sandbox.h"

#define CELL_SPIN_NS	 (20 * EOS_NS_PER_US)
#define MESSAGES_AT_ONCE 64u

static int parse_number(const char *text, int *ret_value)
{
	uint64_t value;
	int err = eos_parse_u64(text, &value);
	if (err < 0 || value > INT32_MAX)
		return -EINVAL;
	*ret_value = (int)value;
	return 0;
}

int cell_parse_args(int argc, char **argv, struct cell_config *ret_config)
{
	struct cell_config config;
	int *numbers[] = {&config.fds.memory, &config.fds.doorbell_to_cell,
			  &config.fds.doorbell_to_node, &config.fds.socket};
	if (argc != 7)
		return -EINVAL;
	for (int i = 0; i < 4; i++)
		if (parse_number(argv[i], numbers[i]) < 0)
			return -EINVAL;
	if (strlen(argv[4]) != 2 * sizeof(config.public_key) ||
	    eos_hex_decode(argv[4], config.public_key, sizeof(config.public_key)) < 0)
		return -EINVAL;
	if (parse_number(argv[5], &config.parent_pid) < 0 ||
	    link_config_parse(argv[6], &config.settings) < 0)
		return -EINVAL;
	*ret_config = config;
	return 0;
}

/* Ends the calls in LIST whose time is over and wakes the sleepers; lowers *NEXT_NS. */
static void expire_list(struct eos_list *list, uint64_t now_ns, uint64_t *next_ns)
{
	EOS_LIST_FOR_EACH (link, list) {
		struct cell_call *call = EOS_CONTAINER_OF(link, struct cell_call, link);
		if (call->deadline_ns <= now_ns) {
			cell_call_kill(call, LINK_TIMED_OUT);
			continue;
		}
		*next_ns = EOS_MIN(*next_ns, call->deadline_ns);
		if (call->state != CELL_CALL_SLEEPS)
			continue;
		if (call->wake_ns <= now_ns)
			cell_call_move(call, CELL_CALL_READY);
		else
			*next_ns = EOS_MIN(*next_ns, call->wake_ns);
	}
}

static void expire(struct cell *cell)
{
	uint64_t now_ns = eos_now_ns(), next_ns = UINT64_MAX;
	if (now_ns < cell->next_wake_ns)
		return;
	expire_list(&cell->ready, now_ns, &next_ns);
	expire_list(&cell->replies, now_ns, &next_ns);
	expire_list(&cell->room, now_ns, &next_ns);
	expire_list(&cell->sleeping, now_ns, &next_ns);
	cell->next_wake_ns = next_ns;
}

static bool wants_room(const struct cell *cell)
{
	return cell->has_loaded || !eos_list_is_empty(&cell->ended) ||
	       !eos_list_is_empty(&cell->room);
}

/* Tries again what found no room. What finds none again rings for it anew. */
static void retry_room(struct cell *cell)
{
	if (cell->has_loaded)
		cell_flush_loaded(cell);
	EOS_LIST_FOR_EACH (link, &cell->ended) {
		cell_call_flush(EOS_CONTAINER_OF(link, struct cell_call, link));
	}
	EOS_LIST_FOR_EACH (waiting, &cell->room) {
		cell_call_move(EOS_CONTAINER_OF(waiting, struct cell_call, link), CELL_CALL_READY);
	}
}

/* One turn for each call that is ready now; those that become ready meanwhile wait for the next,
 * so that messages and deadlines get their turn too. */
static void run_ready(struct cell *cell)
{
	struct eos_list *last = cell->ready.prev;
	while (cell->err == 0 && !eos_list_is_empty(&cell->ready)) {
		struct eos_list *link = cell->ready.next;
		cell_call_run(EOS_CONTAINER_OF(link, struct cell_call, link));
		if (link == last || eos_now_ns() >= cell->next_wake_ns)
			break;
	}
}

static int count_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* True when a message came within the time that a sleep and a wake-up would cost. */
static bool spin(struct cell *cell)
{
	uint64_t end_ns = eos_now_ns() + CELL_SPIN_NS;
	do {
		for (int i = 0; i < 64; i++) {
			if (link_has_message(cell->link))
				return true;
			relax();
		}
	} while (eos_now_ns() < end_ns);
	return false;
}

/* Waits for the doorbell, at most until WAKE_NS (0: only looks). -EPIPE: edged is gone. */
static int wait_bell(struct cell *cell, uint64_t wake_ns)
{
	struct pollfd fds[2] = {
		{.fd = link_doorbell_fd(cell->link), .events = POLLIN},
		{.fd = link_socket_fd(cell->link)}, /* for its end only */
	};
	struct timespec timeout = {0};
	uint64_t now_ns = eos_now_ns();
	if (wake_ns > now_ns) {
		timeout.tv_sec = (time_t)((wake_ns - now_ns) / EOS_NS_PER_S);
		timeout.tv_nsec = (long)((wake_ns - now_ns) % EOS_NS_PER_S);
	}
	int n = ppoll(fds, 2, wake_ns == UINT64_MAX ? NULL : &timeout, NULL);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents != 0)
		return -EPIPE;
	if (fds[0].revents != 0) {
		link_doorbell_clear(cell->link);
		retry_room(cell);
	}
	return 0;
}

static int idle(struct cell *cell, bool may_spin)
{
	if (may_spin && spin(cell))
		return 0;
	/* While a LOADED waits nothing is received, so a message must not keep us awake. */
	if (!cell->has_loaded && link_prepare_wait(cell->link) == 0)
		return 0;
	return wait_bell(cell, cell->next_wake_ns);
}

/* -EPIPE: edged closed the link; anything else: it broke. */
static int loop(struct cell *cell)
{
	bool may_spin = count_processors() > 1;
	for (;;) {
		int n = cell_receive(cell, MESSAGES_AT_ONCE);
		if (n < 0)
			return n;
		expire(cell);
		run_ready(cell);
		if (cell->err < 0)
			return cell->err;
		int err = 0;
		if (eos_list_is_empty(&cell->ready))
			err = idle(cell, may_spin);
		else if (wants_room(cell))
			err = wait_bell(cell, 0);
		if (err < 0)
			return err;
	}
}

static int say_ready(struct cell *cell)
{
	struct link_ready ready = {
		.header.kind = LINK_READY,
		.version = LINK_PROTO_VERSION,
	};
	return link_send(cell->link, &ready, sizeof(ready), NULL, 0);
}

static int cell_init(struct cell *cell, const struct cell_config *config, struct eos_why *why)
{
	struct eos_list *lists[] = {&cell->ready,    &cell->replies, &cell->room,
				    &cell->sleeping, &cell->ended,   &cell->free};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lists); i++)
		eos_list_init(lists[i]);
	cell->next_wake_ns = UINT64_MAX;
	memcpy(cell->public_key, config->public_key, sizeof(cell->public_key));
	int err = link_attach(&config->fds, &cell->link);
	if (err < 0)
		return eos_why(why, err, "the link: %s", strerror(-err));
	struct fwp_engine_config engine_config = {.fwps_max = config->settings.fwps_max};
	return fwp_engine_new(&engine_config, &cell->engine, why);
}

/* libcrypto reads its configuration at its first use; there are no files in the sandbox. */
static void warm_up(const struct cell *cell)
{
	static const uint8_t none[CRYPTO_SIGNATURE_SIZE];
	int err = crypto_verify(cell->public_key, none, sizeof(none), none);
	EOS_ASSERT(err < 0);
}

static int enter_sandbox(struct eos_why *why)
{
	struct sandbox_config config = {.profile = SANDBOX_PROFILE_CELL};
	struct sandbox_report report;
	int err = sandbox_enter(&config, &report, why);
	if (err < 0)
		return err;
	/* No network namespace can be had below edged, which gave up the right to make one; the
	 * filter refuses to make sockets. */
	if (!report.has_landlock || !report.has_seccomp)
		eos_log(EOS_LOG_WARN, "cell", "sandbox incomplete landlock=%d seccomp=%d",
			report.has_landlock, report.has_seccomp);
	return 0;
}

static void cell_free(struct cell *cell)
{
	for (size_t i = 0; i < LINK_CALLS_MAX; i++)
		if (cell->calls[i] != NULL)
			cell_call_abandon(cell->calls[i]);
	EOS_ASSERT(cell->calls_count == 0);
	cell_call_pool_free(cell);
	cell_images_free(cell);
	fwp_engine_free(cell->engine);
	link_free(cell->link);
	free(cell);
}

int cell_serve(const struct cell_config *config, int (*enter)(struct eos_why *why))
{
	struct eos_why why = {""};
	struct cell *cell = calloc(1, sizeof(*cell));
	if (cell == NULL)
		return -ENOMEM;
	int err = cell_init(cell, config, &why);
	if (err == 0 && enter != NULL) {
		warm_up(cell);
		err = enter(&why);
	}
	if (err == 0)
		err = say_ready(cell);
	if (err < 0)
		eos_log(EOS_LOG_ERROR, "cell", "start failed why=%s",
			why.text[0] != '\0' ? why.text : strerror(-err));
	else
		err = loop(cell);
	cell_free(cell);
	return err;
}

int cell_node(const struct cell_config *config)
{
	int err = sandbox_die_with_parent(config->parent_pid);
	if (err < 0)
		return 1; /* edged is gone already: nobody to tell */
	/* Ctrl-C in a terminal reaches us too; ending the cell is edged's decision. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	err = cell_serve(config, enter_sandbox);
	if (err == -EPIPE)
		return 0;
	eos_log(EOS_LOG_ERROR, "cell", "ended error=%s", strerror(-err));
	return 1;
}
