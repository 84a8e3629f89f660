/*
 * Threads, commands, and how cores sleep.
 *
 * Sleeping: who sleeps says so (is_asleep), then looks once more at all that others could have for
 * it; who has something writes it, then looks whether the other sleeps. All four are sequentially
 * consistent, so one of the two sees the other. Whoever takes is_asleep away writes the event
 * descriptor: one write a sleep, however many have something.
 *
 * A command is published by its pointer, and answered by its is_done. Core 0 reads nothing of it in
 * between, and its core nothing afterwards, as it lies on core 0's stack.
 */
#include "plane/plane_cores.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/log.h"
#include "plane/plane_ports.h"

#define RING_PLACES_MAX 2048u
#define RING_PLACES_MIN 64u
#define NAP_MS		250 /* at most, while a core only waits for commands, as each nap is a beat */

struct command {
	plane_core_fn fn;
	void *ctx;
	int result;
	_Atomic bool is_done;
};

struct core {
	/* Set before its thread starts. */
	struct plane *plane;
	struct plane_cores *cores;
	struct plane_ring *from; /* owned; by who puts; its own place is not used */
	pthread_t thread;
	bool has_thread;
	struct plane_watch wake_watch;
	int wake_fd;
	/* Its thread's, until OPENED is posted. */
	sem_t opened;
	int open_err;
	struct eos_why open_why;
	/* Its thread's. */
	uint32_t unpublished; /* whom it has handed something that is not published, as bits */
	unsigned next_from;   /* whose ring is looked at first */
	/* Written by core 0 (command) and by whoever wakes it; see above. */
	alignas(64) _Atomic(struct command *) command;
	_Atomic bool is_asleep;
};

struct plane_cores {
	unsigned count;
	struct plane_cores_ops ops;
	struct plane_steer steer;
	struct core cores[];
};

unsigned plane_cores_possible(unsigned wanted)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned most = online > 1 ? (unsigned)EOS_MIN(online, (long)PLANE_CORES_MAX) : 1;
	return EOS_MIN(wanted, most);
}

uint32_t plane_cores_share(uint32_t limit, unsigned cores, uint32_t min)
{
	return EOS_MAX(limit / cores, min);
}

static struct core *core_of(const struct plane *plane)
{
	return &plane->cores->cores[plane->core];
}

/* --- making --- */

static void wake_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		       uint64_t now_ns)
{
	uint64_t count;
	(void)watch;
	(void)events;
	(void)now_ns;
	(void)!read(core_of(plane)->wake_fd, &count, sizeof(count));
}

/* The rings to a core that stands still hold half of all frames: the others need some, too. */
static uint32_t ring_places(const struct plane *plane)
{
	uint32_t places = RING_PLACES_MAX, frames_max = plane->config.frames_max;
	while (places > RING_PLACES_MIN && places > frames_max / 2 / plane->cores_count)
		places /= 2;
	return places;
}

static int init_core(struct plane_cores *cores, unsigned index, uint32_t places)
{
	struct core *core = &cores->cores[index];
	core->cores = cores;
	core->wake_watch.ready = wake_ready;
	core->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (core->wake_fd < 0)
		return -errno;
	core->from = aligned_alloc(alignof(struct plane_ring), cores->count * sizeof(*core->from));
	if (core->from == NULL)
		return -ENOMEM;
	memset(core->from, 0, cores->count * sizeof(*core->from));
	int err = 0;
	for (unsigned i = 0; err == 0 && i < cores->count; i++)
		err = i == index ? 0 : plane_ring_init(&core->from[i], places);
	return err;
}

int plane_cores_init(struct plane *plane, struct eos_why *why)
{
	unsigned count = plane_cores_possible(plane->config.cores);
	if (count < plane->config.cores)
		eos_log(EOS_LOG_WARN, "plane", "cores=%u: of %u, as there are no more processors",
			count, plane->config.cores);
	plane->cores_count = count;
	if (count == 1)
		return 0;
	size_t bytes = sizeof(struct plane_cores) + count * sizeof(struct core);
	struct plane_cores *cores =
		aligned_alloc(alignof(struct core), EOS_ALIGN_UP(bytes, alignof(struct core)));
	if (cores == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u cores", count);
	memset(cores, 0, bytes);
	cores->count = count;
	for (unsigned i = 0; i < count; i++)
		cores->cores[i].wake_fd = -1;
	plane->cores = cores;
	cores->cores[0].plane = plane;
	int err = plane_steer_init(&cores->steer, count, plane->config.flows_max);
	for (unsigned i = 0; err == 0 && i < count; i++)
		err = init_core(cores, i, ring_places(plane));
	if (err == 0)
		err = plane_watch(plane, cores->cores[0].wake_fd, &cores->cores[0].wake_watch,
				  EPOLLIN);
	return err < 0 ? eos_why(why, err, "%u cores: %s", count, strerror(-err)) : 0;
}

/* --- the threads --- */

static void pin(const struct plane *plane)
{
	cpu_set_t set;
	if (plane->config.processor < 0)
		return;
	unsigned processor = (unsigned)plane->config.processor + plane->core;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		eos_log(EOS_LOG_WARN, "plane", "core %u not on processor %u: %s", plane->core,
			processor, strerror(errno));
}

/* Sleeps until there may be a command, or an answer to one. */
static void nap(struct plane *plane)
{
	struct core *core = core_of(plane);
	struct pollfd woken = {.fd = core->wake_fd, .events = POLLIN};
	plane_beat(plane->heartbeats, plane->core);
	if (plane_cores_may_sleep(plane) && poll(&woken, 1, NAP_MS) > 0)
		wake_ready(plane, &core->wake_watch, 0, 0);
	plane_cores_awake(plane);
}

static int open_core(struct core *core)
{
	struct plane *plane = core->plane;
	pin(plane);
	int err = core->cores->ops.open(plane, &core->open_why);
	if (err < 0)
		return err;
	err = plane_watch(plane, core->wake_fd, &core->wake_watch, EPOLLIN);
	return err < 0 ? eos_why(&core->open_why, err, "what wakes it: %s", strerror(-err)) : 0;
}

static void *run_core(void *ctx)
{
	struct core *core = ctx;
	struct plane *plane = core->plane;
	int err = plane_ports_thread_enter(plane);
	bool has_entered = err == 0;
	core->open_err = has_entered ? open_core(core)
				     : eos_why(&core->open_why, err, "DPDK takes no more threads");
	bool is_open = core->open_err == 0;
	(void)sem_post(&core->opened);
	while (is_open && !plane->is_running && !plane->must_stop) {
		nap(plane);
		plane_cores_obey(plane);
	}
	if (is_open && !plane->must_stop)
		core->cores->ops.loop(plane);
	core->cores->ops.close(plane);
	if (has_entered)
		plane_ports_thread_leave(plane);
	plane_beat_end(plane->heartbeats, plane->core);
	return NULL;
}

static struct plane *make_plane(struct plane *first, unsigned index)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	if (plane == NULL)
		return NULL;
	plane->config = first->config;
	plane->heartbeats = first->heartbeats;
	plane->cores = first->cores;
	plane->cores_count = first->cores_count;
	plane->core = index;
	plane->first = first;
	plane->epoll_fd = plane->control_fd = -1;
	eos_list_init(&plane->entries);
	return plane;
}

static int start_thread(struct core *core)
{
	if (sem_init(&core->opened, 0, 0) < 0)
		return -errno;
	int err = -pthread_create(&core->thread, NULL, run_core, core);
	if (err < 0) {
		(void)sem_destroy(&core->opened);
		return err;
	}
	core->has_thread = true;
	while (sem_wait(&core->opened) < 0 && errno == EINTR)
		;
	return 0;
}

int plane_cores_open(struct plane *plane, const struct plane_cores_ops *ops, struct eos_why *why)
{
	if (plane->cores == NULL)
		return 0;
	plane->cores->ops = *ops;
	for (unsigned i = 1; i < plane->cores_count; i++) {
		struct core *core = &plane->cores->cores[i];
		core->plane = make_plane(plane, i);
		if (core->plane == NULL)
			return eos_why(why, -ENOMEM, "no memory for core %u", i);
		plane_beat(plane->heartbeats, 0);
		int err = start_thread(core);
		if (err < 0)
			return eos_why(why, err, "a thread for core %u: %s", i, strerror(-err));
		if (core->open_err < 0) {
			*why = core->open_why;
			eos_why_prefix(why, "core %u", i);
			return core->open_err;
		}
	}
	return 0;
}

static int start_core(struct plane *plane, void *ctx)
{
	(void)ctx;
	plane->is_running = true;
	return 0;
}

void plane_cores_start(struct plane *plane)
{
	for (unsigned i = plane->cores_count; i-- > 0;)
		(void)plane_cores_ask(plane, i, start_core, NULL);
}

static int stop_core(struct plane *plane, void *ctx)
{
	(void)ctx;
	plane->must_stop = true;
	return 0;
}

static void stop_thread(struct plane *plane, unsigned index)
{
	struct core *core = &plane->cores->cores[index];
	if (core->has_thread && core->open_err == 0)
		(void)plane_cores_ask(plane, index, stop_core, NULL);
	if (core->has_thread) {
		(void)pthread_join(core->thread, NULL);
		(void)sem_destroy(&core->opened);
	}
	core->has_thread = false;
	free(core->plane);
	core->plane = NULL;
}

static void empty(struct core *core)
{
	for (unsigned i = 0; core->from != NULL && i < core->cores->count; i++) {
		struct plane_handed handed;
		if (core->from[i].places == NULL)
			continue;
		plane_ring_publish(&core->from[i]);
		while (plane_ring_take(&core->from[i], &handed, 1) > 0)
			plane_ports_free_frame(&handed.frame);
	}
}

void plane_cores_stop(struct plane *plane)
{
	if (plane->cores == NULL)
		return;
	/* From now on it only waits for them. */
	plane->is_running = false;
	for (unsigned i = 1; i < plane->cores_count; i++)
		stop_thread(plane, i);
	for (unsigned i = 0; i < plane->cores_count; i++)
		empty(&plane->cores->cores[i]);
}

void plane_cores_fini(struct plane *plane)
{
	struct plane_cores *cores = plane->cores;
	if (cores == NULL)
		return;
	for (unsigned i = 0; i < cores->count; i++) {
		struct core *core = &cores->cores[i];
		for (unsigned k = 0; core->from != NULL && k < cores->count; k++)
			plane_ring_fini(&core->from[k]);
		free(core->from);
		eos_close(core->wake_fd);
	}
	plane_steer_fini(&cores->steer);
	free(cores);
	plane->cores = NULL;
}

struct plane_steer *plane_cores_steer(struct plane *plane)
{
	return &plane->cores->steer;
}

/* --- sleep --- */

static void wake(struct core *core)
{
	const uint64_t one = 1;
	if (!atomic_load_explicit(&core->is_asleep, memory_order_seq_cst) ||
	    !atomic_exchange_explicit(&core->is_asleep, false, memory_order_seq_cst))
		return;
	/* Full only if it is readable anyway. */
	(void)!write(core->wake_fd, &one, sizeof(one));
}

static bool has_work(const struct core *core)
{
	const struct plane *plane = core->plane;
	/* The loop obeys, and looks after its sleep whether it is to end. */
	if (plane->is_running && plane->must_stop)
		return true;
	if (atomic_load_explicit(&core->command, memory_order_seq_cst) != NULL)
		return true;
	if (plane->awaited != NULL && atomic_load_explicit(plane->awaited, memory_order_seq_cst))
		return true;
	/* Frames wait for the loop. */
	for (unsigned i = 0; plane->is_running && i < core->cores->count; i++) {
		if (i != plane->core && !plane_ring_is_empty(&core->from[i]))
			return true;
	}
	return false;
}

bool plane_cores_may_sleep(struct plane *plane)
{
	if (plane->cores_count == 1)
		return true;
	struct core *core = core_of(plane);
	atomic_store_explicit(&core->is_asleep, true, memory_order_seq_cst);
	return !has_work(core);
}

void plane_cores_awake(struct plane *plane)
{
	if (plane->cores_count > 1)
		atomic_store_explicit(&core_of(plane)->is_asleep, false, memory_order_relaxed);
}

/* --- commands --- */

void plane_cores_obey(struct plane *plane)
{
	if (plane->cores_count == 1)
		return;
	struct core *core = core_of(plane);
	struct command *command = atomic_load_explicit(&core->command, memory_order_acquire);
	if (EOS_LIKELY(command == NULL))
		return;
	command->result = command->fn(plane, command->ctx);
	atomic_store_explicit(&core->command, NULL, memory_order_relaxed);
	atomic_store_explicit(&command->is_done, true, memory_order_seq_cst);
	wake(&plane->cores->cores[0]);
}

int plane_cores_ask(struct plane *plane, unsigned index, plane_core_fn fn, void *ctx)
{
	EOS_ASSERT(plane->core == 0 && plane->awaited == NULL);
	if (index == 0)
		return fn(plane, ctx);
	struct core *core = &plane->cores->cores[index];
	struct command command = {.fn = fn, .ctx = ctx};
	plane->awaited = &command.is_done;
	atomic_store_explicit(&core->command, &command, memory_order_seq_cst);
	wake(core);
	while (!atomic_load_explicit(&command.is_done, memory_order_acquire)) {
		if (plane->is_running)
			plane->cores->ops.loop(plane);
		else
			nap(plane);
	}
	plane->awaited = NULL;
	return command.result;
}

/* --- frames --- */

unsigned plane_cores_take(struct plane *plane, struct plane_handed *handed, unsigned max)
{
	struct core *core = core_of(plane);
	unsigned count = 0, places = core->cores->count;
	/* Another one is first each time, so that who has much does not keep others out. */
	core->next_from = core->next_from + 1 < places ? core->next_from + 1 : 0;
	for (unsigned i = 0; i < places && count < max; i++) {
		unsigned from = (core->next_from + i) % places;
		if (from != plane->core)
			count += plane_ring_take(&core->from[from], handed + count, max - count);
	}
	return count;
}

void plane_cores_hand(struct plane *plane, unsigned index, const struct plane_handed *handed)
{
	EOS_DCHECK(index != plane->core && index < plane->cores_count);
	struct plane_ring *ring = &plane->cores->cores[index].from[plane->core];
	if (plane_ring_put(ring, handed)) {
		core_of(plane)->unpublished |= 1u << index;
		return;
	}
	struct nic_frame frame = handed->frame;
	plane_ports_free_frame(&frame);
}

void plane_cores_flush(struct plane *plane)
{
	if (plane->cores_count == 1)
		return;
	struct core *core = core_of(plane);
	for (uint32_t left = core->unpublished; left != 0; left &= left - 1) {
		struct core *to = &plane->cores->cores[__builtin_ctz(left)];
		plane_ring_publish(&to->from[plane->core]);
		wake(to);
	}
	core->unpublished = 0;
}

void plane_cores_hop_stats(const struct plane *plane, unsigned core, unsigned to,
			   struct plane_hop_stats *ret_stats)
{
	*ret_stats = (struct plane_hop_stats){0};
	if (plane->cores == NULL || core == to)
		return;
	const struct plane_ring *ring = &plane->cores->cores[to].from[core];
	ret_stats->handed = atomic_load_explicit(&ring->handed, memory_order_relaxed);
	ret_stats->dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
