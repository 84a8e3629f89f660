/*
 * The cell's loop.
 *
 * A turn takes what has arrived, lets the scheduler run the calls until a message waits or nothing
 * is runnable, and sends what found no room earlier. When nothing is runnable it looks at the ring
 * for CELL_SPIN_NS more (where another processor may be about to write to it), then sleeps on the
 * doorbell until the next timer, replenishment of a budget or report of its counters; without one,
 * until the bell rings.
 *
 * A message waits for at most the slice that is running: nobody rings while the cell is busy, it
 * looks at the ring between slices. Its descriptors it looks at every LOOK_NS, for the end of the
 * link, and after each slice while something waits for room in the ring to edged.
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
#define LOOK_NS		 (10 * EOS_NS_PER_MS)
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
	struct cell_config config = {0};
	int *numbers[] = {&config.fds.memory, &config.fds.doorbell_to_cell,
			  &config.fds.doorbell_to_node, &config.fds.socket};
	if (argc != 8)
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
	config.processor = -1;
	if (strcmp(argv[7], "any") != 0 &&
	    (parse_number(argv[7], &config.processor) < 0 || config.processor >= CPU_SETSIZE))
		return -EINVAL;
	*ret_config = config;
	return 0;
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

static int count_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* A cell works as well where the set of processors that it may use forbids this. */
static void stay_on(int processor)
{
	cpu_set_t set;
	if (processor < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		eos_log(EOS_LOG_INFO, "cell", "not bound to a processor processor=%d error=%s",
			processor, strerror(errno));
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

/* What was put off, until somebody wants the processor. True when somebody does. */
static bool maintain(struct cell *cell, uint64_t wake_ns)
{
	while (fwp_engine_maintain(cell->engine))
		if (cell_has_message(cell) || eos_now_ns() >= wake_ns)
			return true;
	return false;
}

/* Nothing is runnable, and nothing of its own happens before WAKE_NS. */
static int idle(struct cell *cell, uint64_t wake_ns)
{
	if (maintain(cell, wake_ns) || (cell->may_spin && spin(cell)))
		return 0;
	wake_ns = EOS_MIN(wake_ns, cell_memory_check(cell));
	wake_ns = EOS_MIN(wake_ns, cell_counters_due(cell));
	/* While a LOADED waits nothing is received, so a message must not keep us awake. */
	if (!cell->has_loaded && link_prepare_wait(cell->link) == 0)
		return 0;
	return wait_bell(cell, wake_ns);
}

/* There is more to run. */
static int look(struct cell *cell)
{
	uint64_t now_ns = eos_now_ns();
	if (!wants_room(cell) && now_ns < cell->next_look_ns)
		return 0;
	cell->next_look_ns = now_ns + LOOK_NS;
	(void)cell_memory_check(cell); /* it is called again without being asked */
	return wait_bell(cell, 0);
}

/* -EPIPE: edged closed the link; anything else: it broke. */
static int loop(struct cell *cell)
{
	for (;;) {
		int n = cell_receive(cell, MESSAGES_AT_ONCE);
		if (n < 0)
			return n;
		uint64_t slice_ns = wants_room(cell) ? cell->quantum_ns : LOOK_NS;
		uint64_t now_ns = eos_now_ns();
		int err = cell_counters_report(cell, now_ns);
		if (err < 0)
			return err;
		uint64_t wake_ns = sched_core_run(cell->core, now_ns + slice_ns);
		if (cell->err < 0)
			return cell->err;
		err = wake_ns > 0 ? idle(cell, wake_ns) : look(cell);
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

static int init_engines(struct cell *cell, const struct link_config *settings, struct eos_why *why)
{
	struct fwp_engine_config engine = {
		/* Those that stay take nobody's place. */
		.fwps_max = settings->fwps_max + CELL_RESIDENTS_MAX,
		.pool_low = settings->pool_low,
		.pool_high = settings->pool_high,
	};
	struct sched_core_config core = {
		.policy = settings->is_edf ? &sched_policy_edf : &sched_policy_priority,
		.quantum_ns = settings->quantum_ns,
	};
	cell->quantum_ns = settings->quantum_ns;
	cell->init_timeout_ns = settings->init_timeout_ns;
	int err = sched_core_new(&core, &cell_sched_ops, cell, &cell->core, why);
	return err < 0 ? err : fwp_engine_new(&engine, &cell->engine, why);
}

static int cell_init(struct cell *cell, const struct cell_config *config, struct eos_why *why)
{
	eos_list_init(&cell->room);
	eos_list_init(&cell->ended);
	eos_list_init(&cell->free);
	cell_functions_init(cell);
	cell->resident_idle_ns =
		config->resident_idle_ns != 0 ? config->resident_idle_ns : CELL_RESIDENT_IDLE_NS;
	cell->may_spin = count_processors() > 1; /* edged's: before stay_on() */
	cell_memory_open(cell);
	memcpy(cell->public_key, config->public_key, sizeof(cell->public_key));
	int err = link_attach(&config->fds, &cell->link);
	if (err < 0)
		return eos_why(why, err, "the link: %s", strerror(-err));
	err = init_engines(cell, &config->settings, why);
	if (err == 0)
		cell_counters_init(cell);
	return err;
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
	cell_functions_free(cell);
	cell_images_free(cell);
	fwp_engine_free(cell->engine);
	sched_core_free(cell->core);
	cell_memory_close(cell);
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
		stay_on(config->processor);
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
