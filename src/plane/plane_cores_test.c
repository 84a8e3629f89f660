/* Cores without ports and chains: how they start, or fail to, obey, hand frames over, and end. */
#include "plane/plane_cores.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "plane/plane_ports.h"

#define CORES  4u
#define FRAMES 20000u

/* What fails on FAILS_AT; 0: nothing does. */
enum step { STEP_NONE, STEP_ENTER, STEP_OPEN, STEP_WATCH };

static struct {
	enum step fails;
	unsigned fails_at;
	_Atomic unsigned enters, leaves, opens[CORES], closes[CORES], loops[CORES];
	_Atomic unsigned taken[CORES], freed;
	_Atomic bool is_still; /* core 1 takes nothing */
	pthread_t threads[CORES];
} seen;

/* As many processors as cores, whatever this machine has. */
long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name)
{
	return name == _SC_NPROCESSORS_ONLN ? (long)CORES : __real_sysconf(name);
}

static int step(const struct plane *plane, enum step step)
{
	return seen.fails == step && seen.fails_at == plane->core ? -EMFILE : 0;
}

/* --- in the place of plane_sockets.c and plane_ports.c --- */

int plane_watch(struct plane *plane, int fd, struct plane_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	int err = step(plane, STEP_WATCH);
	return err < 0 || epoll_ctl(plane->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? err : -errno;
}

int plane_ports_thread_enter(struct plane *plane)
{
	int err = step(plane, STEP_ENTER);
	seen.enters += err == 0;
	return err;
}

void plane_ports_thread_leave(struct plane *plane)
{
	(void)plane;
	seen.leaves++;
}

void plane_ports_free_frame(struct nic_frame *frame)
{
	free(frame->memory);
	seen.freed++;
}

/* --- what a core has, and its loop --- */

static int open_core(struct plane *plane, struct eos_why *why)
{
	seen.opens[plane->core]++;
	seen.threads[plane->core] = pthread_self();
	plane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert_true(plane->epoll_fd >= 0);
	int err = step(plane, STEP_OPEN);
	return err < 0 ? eos_why(why, err, "no room") : 0;
}

static void close_core(struct plane *plane)
{
	seen.closes[plane->core]++;
	eos_close(plane->epoll_fd);
}

static bool is_over(const struct plane *plane)
{
	return plane->must_stop || (plane->awaited != NULL && atomic_load(plane->awaited));
}

static void loop(struct plane *plane)
{
	while (!is_over(plane)) {
		struct plane_handed handed[PLANE_BURST];
		struct epoll_event event;
		unsigned count = 0;
		seen.loops[plane->core]++;
		plane_beat(plane->heartbeats, plane->core);
		plane_cores_obey(plane);
		if (plane->core != 1 || !seen.is_still)
			count = plane_cores_take(plane, handed, PLANE_BURST);
		for (unsigned i = 0; i < count; i++)
			free(handed[i].frame.memory);
		seen.taken[plane->core] += count;
		plane_cores_flush(plane);
		/* Who is not woken sleeps for longer than this test may take. */
		if (count == 0 && plane_cores_may_sleep(plane) &&
		    epoll_wait(plane->epoll_fd, &event, 1, seen.is_still ? 1 : 60000) == 1) {
			struct plane_watch *watch = event.data.ptr;
			watch->ready(plane, watch, event.events, 0);
		}
		plane_cores_awake(plane);
	}
}

static const struct plane_cores_ops ops = {.open = open_core, .close = close_core, .loop = loop};

/* --- tests --- */

static struct plane *make(int processor)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	assert_non_null(plane);
	memset(&seen, 0, sizeof(seen));
	plane->config.cores = CORES;
	plane->config.flows_max = 1024;
	plane->config.frames_max = 8192;
	plane->config.processor = processor;
	plane->heartbeats = plane_heartbeats_new();
	assert_non_null(plane->heartbeats);
	plane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(plane_cores_init(plane, NULL), 0);
	assert_int_equal(plane->cores_count, CORES);
	return plane;
}

static struct plane *make_running(void)
{
	struct plane *plane = make(-1);
	assert_int_equal(plane_cores_open(plane, &ops, NULL), 0);
	plane_cores_start(plane);
	return plane;
}

static void end(struct plane *plane)
{
	plane_cores_stop(plane);
	for (unsigned i = 1; i < CORES; i++) {
		assert_int_equal(seen.closes[i], seen.enters > 0 ? 1 : 0);
		assert_int_equal(atomic_load(&plane->heartbeats->loops[i].beats), 0);
	}
	assert_int_equal(seen.leaves, seen.enters);
	plane_cores_fini(plane);
	eos_close(plane->epoll_fd);
	plane_heartbeats_free(plane->heartbeats);
	free(plane);
}

/* Notes who runs it, and returns its number. */
static int note(struct plane *plane, void *ctx)
{
	bool *is_right = ctx;
	*is_right = plane->core == 0 || pthread_equal(pthread_self(), seen.threads[plane->core]);
	return (int)plane->core;
}

static void ask_all(struct plane *plane)
{
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < CORES; i++) {
			bool is_right = false;
			assert_int_equal(plane_cores_ask(plane, i, note, &is_right), i);
			assert_true(is_right);
		}
	}
}

static void commands(void **state)
{
	struct plane *plane = make(-1);
	(void)state;
	assert_int_equal(plane_cores_open(plane, &ops, NULL), 0);
	for (unsigned i = 1; i < CORES; i++)
		assert_int_equal(seen.opens[i], 1);
	/* Nobody's loop runs before the start, also while commands are obeyed. */
	ask_all(plane);
	for (unsigned i = 0; i < CORES; i++)
		assert_int_equal(seen.loops[i], 0);
	plane_cores_start(plane);
	ask_all(plane);
	for (unsigned i = 0; i < CORES; i++)
		assert_true(seen.loops[i] > 0);
	end(plane);
}

/* A core that has not begun to run ends, too. */
static void end_before_start(void **state)
{
	struct plane *plane = make(-1);
	(void)state;
	assert_int_equal(plane_cores_open(plane, &ops, NULL), 0);
	end(plane);
	for (unsigned i = 0; i < CORES; i++)
		assert_int_equal(seen.loops[i], 0);
	end(make(-1));
}

/* Each step, on each core: those before it end, those behind it were never there. */
static void failing_start(void **state)
{
	static const enum step steps[] = {STEP_ENTER, STEP_OPEN, STEP_WATCH};
	(void)state;
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(steps); i++) {
		for (unsigned at = 1; at < CORES; at++) {
			struct plane *plane = make(-1);
			struct eos_why why = {""};
			char prefix[16];
			seen.fails = steps[i];
			seen.fails_at = at;
			assert_int_equal(plane_cores_open(plane, &ops, &why), -EMFILE);
			(void)snprintf(prefix, sizeof(prefix), "core %u: ", at);
			assert_memory_equal(why.text, prefix, strlen(prefix));
			/* And the reason. */
			assert_true(strlen(why.text) > strlen(prefix));
			plane_cores_stop(plane);
			assert_int_equal(seen.leaves, seen.enters);
			assert_int_equal(seen.enters, steps[i] == STEP_ENTER ? at - 1 : at);
			for (unsigned k = 1; k < CORES; k++) {
				assert_int_equal(seen.closes[k], k <= at);
				assert_int_equal(seen.loops[k], 0);
			}
			plane_cores_stop(plane);
			plane_cores_fini(plane);
			eos_close(plane->epoll_fd);
			plane_heartbeats_free(plane->heartbeats);
			free(plane);
		}
	}
}

static struct plane_handed new_frame(void)
{
	struct plane_handed handed = {.frame = {.memory = malloc(1)}};
	assert_non_null(handed.frame.memory);
	return handed;
}

/* A core hands one to each of the others, again and again. */
static int hand_all(struct plane *plane, void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned to = i % CORES;
		if (to == plane->core)
			continue;
		struct plane_handed handed = new_frame();
		plane_cores_hand(plane, to, &handed);
		if (i % 7 == 0)
			plane_cores_flush(plane);
	}
	plane_cores_flush(plane);
	return 0;
}

static uint64_t sum_of(const struct plane *plane, bool is_handed)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < CORES; i++) {
		for (unsigned k = 0; k < CORES; k++) {
			struct plane_hop_stats stats;
			plane_cores_hop_stats(plane, i, k, &stats);
			sum += is_handed ? stats.handed : stats.dropped;
		}
	}
	return sum;
}

static unsigned taken(void)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < CORES; i++)
		sum += seen.taken[i];
	return sum;
}

/* Each frame has an owner at the end: who took it, or who had no room; and all were woken. */
static void frames(void **state)
{
	struct plane *plane = make_running();
	(void)state;
	for (unsigned i = 0; i < CORES; i++)
		assert_int_equal(plane_cores_ask(plane, i, hand_all, NULL), 0);
	assert_int_equal(sum_of(plane, true) + sum_of(plane, false),
			 CORES * FRAMES / CORES * (CORES - 1));
	while (taken() < sum_of(plane, true)) {
		bool is_right;
		assert_int_equal(plane_cores_ask(plane, 1, note, &is_right), 1);
	}
	assert_int_equal(taken(), sum_of(plane, true));
	assert_int_equal(seen.freed, sum_of(plane, false));
	end(plane);
	assert_int_equal(taken() + seen.freed, CORES * FRAMES / CORES * (CORES - 1));
}

/* What a core that stands still has not taken: a part of all frames, and freed in the end. */
static void still_core(void **state)
{
	struct plane *plane = make_running();
	struct plane_hop_stats stats;
	(void)state;
	seen.is_still = true;
	for (unsigned i = 0; i < CORES; i++) {
		if (i != 1)
			assert_int_equal(plane_cores_ask(plane, i, hand_all, NULL), 0);
	}
	uint64_t kept = 0;
	for (unsigned i = 0; i < CORES; i++) {
		plane_cores_hop_stats(plane, i, 1, &stats);
		kept += stats.handed;
	}
	assert_true(kept > 0 && kept <= plane->config.frames_max / 2);
	assert_int_equal(seen.taken[1], 0);
	end(plane);
	assert_int_equal(taken() + seen.freed, (CORES - 1) * FRAMES / CORES * (CORES - 1));
}

static int get_affinity(struct plane *plane, void *ctx)
{
	(void)plane;
	return sched_getaffinity(0, sizeof(cpu_set_t), ctx);
}

/* Who cannot have a processor of its own does not get stuck on another core's. */
static void no_such_processors(void **state)
{
	cpu_set_t before, set;
	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	/* Behind core 0's there are no more. */
	struct plane *plane = make((int)sysconf(_SC_NPROCESSORS_CONF) - 1);
	assert_int_equal(plane_cores_open(plane, &ops, NULL), 0);
	for (unsigned i = 0; i < CORES; i++) {
		assert_int_equal(plane_cores_ask(plane, i, get_affinity, &set), 0);
		assert_true(CPU_EQUAL(&set, &before));
	}
	end(plane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),	 cmocka_unit_test(end_before_start),
		cmocka_unit_test(failing_start), cmocka_unit_test(frames),
		cmocka_unit_test(still_core),	 cmocka_unit_test(no_such_processors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
