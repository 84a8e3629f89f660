/*
 * A core's loop. In each turn: frames of all ports, then (now and then, as it costs a call of the
 * kernel) sockets, then what is due of chains, then everything that is to leave leaves.
 */
#include "plane/plane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/file.h"
#include "plane/plane_cores.h"
#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

#define EVENTS_MAX     64
#define SOCKETS_NS     (20 * EOS_NS_PER_US)  /* how often sockets are looked at beside busy ports */
#define WORK_NS	       (200 * EOS_NS_PER_US) /* between two looks at what is due */
#define MAINTAIN_STEPS 16u
#define POOL_LOW       64u
#define POOL_HIGH      512u

/* What each core has for itself. */
static int open_core(struct plane *plane, struct eos_why *why)
{
	const struct plane_config *config = &plane->config;
	unsigned cores = plane->cores_count;
	uint32_t fwps_max = plane_cores_share(config->fwps_max, cores, 1);
	const struct fwp_engine_config engine = {
		.fwps_max = fwps_max,
		.pool_low = EOS_MIN(POOL_LOW, fwps_max),
		.pool_high = EOS_MIN(POOL_HIGH, fwps_max),
		.shares_page = true,
	};
	if (plane->epoll_fd < 0)
		plane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (plane->epoll_fd < 0)
		return eos_why(why, -errno, "epoll: %s", strerror(errno));
	plane->datagrams = calloc(1, sizeof(*plane->datagrams));
	if (plane->datagrams == NULL || plane_streams_init(plane) < 0)
		return eos_why(why, -ENOMEM, "no memory");
	int err = plane_peers_init(&plane->peers, plane_cores_share(config->peers_max, cores, 16),
				   why);
	if (err == 0)
		err = fwp_engine_new(&engine, &plane->engine, why);
	if (err < 0)
		return err;
	const struct chains_config chains = {
		.engine = plane->engine,
		.ops = &plane_chains_ops,
		.ctx = plane,
		.chains_max = plane_cores_share(config->chains_max, cores, 1),
		.flows_max = plane_cores_share(config->flows_max, cores, 16),
	};
	err = chains_new(&chains, &plane->chains, why);
	return err < 0 || plane->core == 0 ? err : plane_ports_join(plane, plane->first, why);
}

static void close_core(struct plane *plane)
{
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		int err = plane_entry_remove(plane, entry->manifest->name);
		EOS_ASSERT(err == 0);
	}
	plane_streams_fini(plane);
	chains_free(plane->chains);
	plane_ports_leave(plane);
	fwp_engine_free(plane->engine);
	plane_peers_fini(&plane->peers);
	free(plane->datagrams);
	eos_close(plane->epoll_fd);
}

static void loop(struct plane *plane);

static int open_parts(struct plane *plane, struct eos_why *why)
{
	static const struct plane_cores_ops ops = {
		.open = open_core, .close = close_core, .loop = loop};
	plane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (plane->epoll_fd < 0)
		return eos_why(why, -errno, "epoll: %s", strerror(errno));
	plane->control_watch.ready = plane_control_ready;
	int err = plane_watch(plane, plane->control_fd, &plane->control_watch, EPOLLIN);
	if (err < 0)
		return eos_why(why, err, "the control socket: %s", strerror(-err));
	err = plane_cores_init(plane, why);
	if (err == 0)
		err = open_core(plane, why);
	if (err == 0)
		err = plane_ports_open(plane, why);
	return err < 0 ? err : plane_cores_open(plane, &ops, why);
}

int plane_new(const struct plane_config *config, int control_fd,
	      const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE],
	      struct plane_heartbeats *heartbeats, struct plane **ret_plane, struct eos_why *why)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	if (plane == NULL) {
		eos_close(control_fd);
		return eos_why(why, -ENOMEM, "no memory");
	}
	plane->config = *config;
	plane->heartbeats = heartbeats;
	plane->control_fd = control_fd;
	plane->epoll_fd = -1;
	plane->cores_count = 1;
	eos_list_init(&plane->entries);
	memcpy(plane->public_key, public_key, sizeof(plane->public_key));
	int err = open_parts(plane, why);
	if (err < 0) {
		plane_free(plane);
		return err;
	}
	*ret_plane = plane;
	return 0;
}

struct plane *plane_free(struct plane *plane)
{
	if (plane == NULL)
		return NULL;
	/* The others' entries borrow from core 0's. */
	plane_cores_stop(plane);
	close_core(plane);
	plane_ports_close(plane);
	plane_cores_fini(plane);
	eos_close(plane->control_fd);
	free(plane);
	return NULL;
}

struct confinement {
	plane_confine_fn confine;
	struct eos_why *why;
};

static int confine_core(struct plane *plane, void *ctx)
{
	const struct confinement *confinement = ctx;
	(void)plane;
	return confinement->confine(confinement->why);
}

int plane_confine(struct plane *plane, plane_confine_fn confine, struct eos_why *why)
{
	struct confinement confinement = {.confine = confine, .why = why};
	int err = 0;
	for (unsigned i = plane->cores_count; err == 0 && i-- > 0;)
		err = plane_cores_ask(plane, i, confine_core, &confinement);
	return err;
}

/* What the sockets have, waited for until TIMEOUT_NS. The control socket comes last: its requests
 * free what others lead to. */
static unsigned look_at_sockets(struct plane *plane, uint64_t timeout_ns, uint64_t now_ns)
{
	const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / EOS_NS_PER_S),
					 .tv_nsec = (long)(timeout_ns % EOS_NS_PER_S)};
	struct epoll_event events[EVENTS_MAX];
	bool has_request = false;
	int count = epoll_pwait2(plane->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
	if (timeout_ns != 0)
		now_ns = eos_now_ns();
	for (int i = 0; i < count; i++) {
		struct plane_watch *watch = events[i].data.ptr;
		plane_beat(plane->heartbeats, plane->core);
		if (watch == &plane->control_watch)
			has_request = true;
		else
			watch->ready(plane, watch, events[i].events, now_ns);
	}
	(void)plane_streams_work(plane, now_ns);
	plane_datagrams_flush(plane);
	/* One after the other: while core 0 waits for others it has one already. */
	if (has_request && plane->awaited == NULL)
		plane_control_ready(plane, &plane->control_watch, 0, now_ns);
	return count < 0 ? 0 : (unsigned)count;
}

/* IDLE_NS: for how long nothing came. */
static void sleep_until(struct plane *plane, uint64_t next_ns, uint64_t idle_ns)
{
	uint64_t now_ns = eos_now_ns();
	if (next_ns <= now_ns)
		return;
	uint64_t sleep_ns =
		EOS_MIN(next_ns - now_ns, plane_watchdog_step_ns(plane->config.watchdog_ns));
	if (plane_cores_may_sleep(plane)) {
		if (plane->ports_count > 0)
			plane_ports_wait(plane, sleep_ns, idle_ns);
		else
			look_at_sockets(plane, sleep_ns, now_ns);
	}
	plane_cores_awake(plane);
}

/* Getting places ready for new chains, while there is nothing better to do. */
static bool maintain(struct plane *plane)
{
	for (unsigned i = 0; i < MAINTAIN_STEPS; i++) {
		if (!chains_maintain(plane->chains))
			return false;
	}
	return true;
}

/* What is due of chains: looked for now and then while there is traffic, and before each sleep. */
static uint64_t work(struct plane *plane, uint64_t now_ns, uint64_t *work_ns)
{
	uint64_t next_ns = chains_work(plane->chains, now_ns);
	/* Behind it: timers of stages send, too. */
	next_ns = EOS_MIN(next_ns, plane_streams_work(plane, now_ns));
	*work_ns = EOS_MIN(next_ns, now_ns + WORK_NS);
	return next_ns;
}

static void flush(struct plane *plane)
{
	plane_datagrams_flush(plane);
	plane_ports_flush(plane);
	plane_cores_flush(plane);
}

static bool is_over(const struct plane *plane)
{
	return plane->must_stop || (plane->awaited != NULL &&
				    atomic_load_explicit(plane->awaited, memory_order_acquire));
}

/* Until it must stop, or until what core 0 waits for is there. */
static void loop(struct plane *plane)
{
	uint64_t busy_ns = eos_now_ns(), sockets_ns = 0, work_ns = 0;
	while (!is_over(plane)) {
		uint64_t now_ns = eos_now_ns();
		plane->now_ns = now_ns;
		plane_beat(plane->heartbeats, plane->core);
		plane_cores_obey(plane);
		unsigned count = plane_ports_poll(plane, now_ns);
		if (count == 0 || now_ns - sockets_ns >= SOCKETS_NS) {
			count += look_at_sockets(plane, 0, now_ns);
			sockets_ns = now_ns;
		}
		if (now_ns >= work_ns)
			(void)work(plane, now_ns, &work_ns);
		flush(plane);
		if (count > 0) {
			busy_ns = now_ns;
		} else if (now_ns - busy_ns >= plane->config.spin_ns && !maintain(plane)) {
			uint64_t next_ns = work(plane, now_ns, &work_ns);
			flush(plane);
			sleep_until(plane, next_ns, now_ns - busy_ns);
		}
	}
}

int plane_run(struct plane *plane)
{
	int err = plane_control_hello(plane);
	if (err < 0)
		/* Nobody is there any more. */
		return err == -EPIPE ? 0 : err;
	plane_cores_start(plane);
	loop(plane);
	return plane->stop_err;
}
