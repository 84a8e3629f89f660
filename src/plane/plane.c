/*
 * The loop. In each turn: frames of all ports, then (now and then, as it costs a call of the
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
#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

#define EVENTS_MAX     64
#define SOCKETS_NS     (20 * EOS_NS_PER_US) /* how often sockets are looked at beside busy ports */
#define SLEEP_NS_MAX   EOS_NS_PER_S
#define WORK_NS	       (200 * EOS_NS_PER_US) /* between two looks at what is due */
#define MAINTAIN_STEPS 16u
#define POOL_LOW       64u
#define POOL_HIGH      512u

static int open_parts(struct plane *plane, struct eos_why *why)
{
	const struct plane_config *config = &plane->config;
	const struct fwp_engine_config engine = {
		.fwps_max = config->fwps_max,
		.pool_low = EOS_MIN(POOL_LOW, config->fwps_max),
		.pool_high = EOS_MIN(POOL_HIGH, config->fwps_max),
	};
	plane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (plane->epoll_fd < 0)
		return eos_why(why, -errno, "epoll: %s", strerror(errno));
	plane->datagrams = calloc(1, sizeof(*plane->datagrams));
	if (plane->datagrams == NULL || plane_streams_init(plane) < 0)
		return eos_why(why, -ENOMEM, "no memory");
	plane->control_watch.ready = plane_control_ready;
	int err = plane_watch(plane, plane->control_fd, &plane->control_watch, EPOLLIN);
	if (err < 0)
		return eos_why(why, err, "the control socket: %s", strerror(-err));
	err = plane_peers_init(&plane->peers, config->peers_max, why);
	if (err == 0)
		err = fwp_engine_new(&engine, &plane->engine, why);
	if (err < 0)
		return err;
	const struct chains_config chains = {
		.engine = plane->engine,
		.ops = &plane_chains_ops,
		.ctx = plane,
		.chains_max = config->chains_max,
		.flows_max = config->flows_max,
	};
	err = chains_new(&chains, &plane->chains, why);
	return err < 0 ? err : plane_ports_open(plane, why);
}

int plane_new(const struct plane_config *config, int control_fd,
	      const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], struct plane **ret_plane,
	      struct eos_why *why)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	if (plane == NULL) {
		eos_close(control_fd);
		return eos_why(why, -ENOMEM, "no memory");
	}
	plane->config = *config;
	plane->control_fd = control_fd;
	plane->epoll_fd = -1;
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
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		int err = plane_entry_remove(plane, entry->manifest->name);
		EOS_ASSERT(err == 0);
	}
	plane_streams_fini(plane);
	chains_free(plane->chains);
	plane_ports_close(plane);
	fwp_engine_free(plane->engine);
	plane_peers_fini(&plane->peers);
	free(plane->datagrams);
	eos_close(plane->epoll_fd);
	eos_close(plane->control_fd);
	free(plane);
	return NULL;
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
		if (watch == &plane->control_watch)
			has_request = true;
		else
			watch->ready(plane, watch, events[i].events, now_ns);
	}
	(void)plane_streams_work(plane, now_ns);
	plane_datagrams_flush(plane);
	if (has_request)
		plane_control_ready(plane, &plane->control_watch, 0, now_ns);
	return count < 0 ? 0 : (unsigned)count;
}

static void sleep_until(struct plane *plane, uint64_t next_ns)
{
	uint64_t now_ns = eos_now_ns();
	if (next_ns <= now_ns)
		return;
	uint64_t sleep_ns = EOS_MIN(next_ns - now_ns, SLEEP_NS_MAX);
	if (plane->ports_count > 0)
		plane_ports_wait(plane, sleep_ns);
	else
		look_at_sockets(plane, sleep_ns, now_ns);
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

int plane_run(struct plane *plane)
{
	uint64_t busy_ns = eos_now_ns(), sockets_ns = 0, work_ns = 0;
	int err = plane_control_hello(plane);
	if (err < 0)
		/* Nobody is there any more. */
		return err == -EPIPE ? 0 : err;
	while (!plane->must_stop) {
		uint64_t now_ns = eos_now_ns();
		unsigned count = plane_ports_poll(plane, now_ns);
		if (count == 0 || now_ns - sockets_ns >= SOCKETS_NS) {
			count += look_at_sockets(plane, 0, now_ns);
			sockets_ns = now_ns;
		}
		if (now_ns >= work_ns)
			(void)work(plane, now_ns, &work_ns);
		plane_datagrams_flush(plane);
		plane_ports_flush(plane);
		if (count > 0) {
			busy_ns = now_ns;
		} else if (now_ns - busy_ns >= plane->config.spin_ns && !maintain(plane)) {
			uint64_t next_ns = work(plane, now_ns, &work_ns);
			plane_datagrams_flush(plane);
			plane_ports_flush(plane);
			sleep_until(plane, next_ns);
		}
	}
	return plane->stop_err;
}
