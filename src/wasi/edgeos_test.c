/*
 * The `edgeos` host calls over a double of the FWP: arguments, results, waiting, and the main loop
 * with handlers that are C functions. Real guests are in tests/lib/edgeos_guests_test.c.
 */
#include "wasi/edgeos.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "mma/mma_host.h"
#include "wasi/edgeos_priv.h"
#include "wasi/fwp_double.h"
#include "wasi/wasi_priv.h"

#define AT_OUT_RING 0x1000u
#define AT_IN_RING  0x2000u
#define AT_TEXT	    0x3000u
#define AT_RESULT   0x3800u
#define AT_BUFFERS  0x4000u
#define SLOTS	    4u
#define END	    DOUBLE_MEMORY_SIZE

struct fixture {
	struct fwp *fwp;
	struct wasi *wasi;
	struct mma *mma;
	struct edgeos *edgeos;
	struct mma_host *host;
	uint32_t to_guest, to_host;
	/* What the ops saw, and what wait() does. */
	unsigned waits, wakes, faults;
	uint64_t until_ns;
	void (*on_wait)(struct fixture *f);
	char log[64];
	enum edgeos_log_level level;
};

static void on_wait(void *ctx, struct fwp *fwp, uint64_t until_ns)
{
	struct fixture *f = ctx;
	f->waits++;
	f->until_ns = until_ns;
	assert_true(f->waits < 1000);
	if (f->on_wait != NULL)
		f->on_wait(f);
}

static void on_wake(void *ctx)
{
	((struct fixture *)ctx)->wakes++;
}

static void on_fault(void *ctx, const struct mma_fault *fault)
{
	((struct fixture *)ctx)->faults += fault->count + fault->is_dead;
}

static void on_log(void *ctx, enum edgeos_log_level level, const char *text, size_t len)
{
	struct fixture *f = ctx;
	f->level = level;
	assert_true(len <= EDGEOS_LOG_BYTES_MAX);
	len = EOS_MIN(len, sizeof(f->log) - 1);
	memcpy(f->log, text, len);
	f->log[len] = '\0';
}

static const char *on_config(void *ctx, const char *name)
{
	return strcmp(name, "colour") == 0 ? "green" : NULL;
}

static const struct edgeos_host_ops ops = {
	.wait = on_wait,
	.wake = on_wake,
	.fault = on_fault,
	.log = on_log,
	.config = on_config,
};

/* Handlers write down what they get; the instance is the fixture. */
static unsigned inits, messages, timers;
static uint32_t last_conn, last_buf, last_len, last_timer;

static void do_init(void *instance)
{
	inits++;
}

static void do_message(void *instance, uint32_t conn, uint32_t buf, uint32_t len)
{
	messages++;
	last_conn = conn;
	last_buf = buf;
	last_len = len;
}

static void do_timer(void *instance, uint32_t id)
{
	timers++;
	last_timer = id;
}

static const struct fwp_double_export all_exports[] = {
	{"edgeos_init", ":", (void (*)(void))do_init},
	{"edgeos_message", "iii:", (void (*)(void))do_message},
	{"edgeos_timer", "i:", (void (*)(void))do_timer},
	{0},
};
static const struct fwp_double_export timer_only[] = {
	{"edgeos_timer", "i:", (void (*)(void))do_timer},
	{0},
};
static const struct fwp_double_export no_exports[] = {{0}};

static int setup_with(void **state, const struct fwp_double_export *exports)
{
	static struct fwp_image image;
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	inits = messages = timers = 0;
	image.exports = exports;
	assert_int_equal(wasi_new(NULL, 0, NULL, 0, &f->wasi), 0);
	f->fwp = fwp_double_new(f->wasi);
	assert_int_equal(mma_new(&f->mma), 0);
	const struct edgeos_config config = {.mma = f->mma, .ops = &ops, .ctx = f};
	assert_int_equal(edgeos_new(&config, &f->edgeos), 0);
	assert_int_equal(edgeos_bind(f->edgeos, f->fwp, &image, NULL), 0);
	wasi_set_edgeos(f->wasi, f->edgeos);
	const struct mma_host_config host = {.out_count = 4, .in_count = 2, .buffer_bytes = 64};
	assert_int_equal(mma_host_new(f->mma, &host, &f->host, NULL), 0);
	assert_int_equal(mma_connect_pair(mma_host_port(f->host), edgeos_port(f->edgeos), NULL,
					  &f->to_guest, &f->to_host),
			 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, all_exports);
}

static int setup_with_timer(void **state)
{
	return setup_with(state, timer_only);
}

static int setup_without_handlers(void **state)
{
	return setup_with(state, no_exports);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	edgeos_free(f->edgeos);
	assert_null(edgeos_free(NULL));
	mma_host_free(f->host);
	mma_free(f->mma);
	fwp_double_free(f->fwp);
	wasi_free(f->wasi);
	free(f);
	return 0;
}

/* As a guest calls it: by its name, and with the frame of a host function. */
static void (*find(const char *name, const char *signature))(void)
{
	size_t count;
	const struct fwp_import *imports = edgeos_imports(&count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(imports[i].module, "edgeos");
		if (strcmp(imports[i].name, name) == 0) {
			assert_string_equal(imports[i].signature, signature);
			return imports[i].call;
		}
	}
	fail_msg("no %s", name);
	return NULL;
}

#define CALL(f, name, signature, types, ...)                                                       \
	({                                                                                         \
		int32_t(*call) types = (int32_t(*) types)find(name, signature);                    \
		unsigned entered = (f)->fwp->entered;                                              \
		int32_t result = call(__VA_ARGS__);                                                \
		assert_int_equal((f)->fwp->entered, entered + 1);                                  \
		assert_int_equal((f)->fwp->left, (f)->fwp->entered);                               \
		result;                                                                            \
	})

static int32_t rings(struct fixture *f, uint32_t out, uint32_t in)
{
	return CALL(f, "edgeos_rings", "ii:i", (struct fwp *, uint32_t, uint32_t), f->fwp, out, in);
}

static int32_t send_to(struct fixture *f, uint32_t conn, uint32_t buf, uint32_t len, uint32_t flags)
{
	return CALL(f, "edgeos_send", "iiii:i",
		    (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t), f->fwp, conn, buf, len,
		    flags);
}

static int32_t wait_for(struct fixture *f, uint32_t received, uint32_t sent, uint64_t timeout_ns)
{
	return CALL(f, "edgeos_wait", "iiI:i", (struct fwp *, uint32_t, uint32_t, uint64_t), f->fwp,
		    received, sent, timeout_ns);
}

static int32_t timer_set(struct fixture *f, uint32_t id, uint64_t delay_ns)
{
	return CALL(f, "edgeos_timer_set", "iI:i", (struct fwp *, uint32_t, uint64_t), f->fwp, id,
		    delay_ns);
}

static struct mma_abi_ring *ring_at(struct fixture *f, uint32_t address)
{
	return fwp_double_at(f->fwp, address, sizeof(struct mma_abi_ring));
}

static struct mma_abi_descriptor *slot_at(struct fixture *f, uint32_t ring, uint32_t position)
{
	return (struct mma_abi_descriptor *)(void *)(ring_at(f, ring) + 1) + position % SLOTS;
}

/* Rings with COUNT buffers of 64 bytes posted. */
static void open_rings(struct fixture *f, uint32_t buffers)
{
	ring_at(f, AT_OUT_RING)->version = ring_at(f, AT_IN_RING)->version = MMA_ABI_VERSION;
	ring_at(f, AT_OUT_RING)->count = ring_at(f, AT_IN_RING)->count = SLOTS;
	for (uint32_t i = 0; i < buffers; i++)
		*slot_at(f, AT_IN_RING, i) = (struct mma_abi_descriptor){
			.address = AT_BUFFERS + i * 64, .capacity = 64, .cookie = i};
	ring_at(f, AT_IN_RING)->head = buffers;
	assert_int_equal(rings(f, AT_OUT_RING, AT_IN_RING), 0);
}

static void without_edgeos(void **state)
{
	struct fixture *f = *state;
	wasi_set_edgeos(f->wasi, NULL);
	assert_int_equal(rings(f, 0, 0), -WASI_ERRNO_NOSYS);
	assert_int_equal(send_to(f, 0, 0, 0, 0), -WASI_ERRNO_NOSYS);
	assert_int_equal(wait_for(f, 0, 0, 0), -WASI_ERRNO_NOSYS);
	assert_int_equal(timer_set(f, 0, 0), -WASI_ERRNO_NOSYS);
	assert_int_equal(CALL(f, "edgeos_kick", ":i", (struct fwp *), f->fwp), -WASI_ERRNO_NOSYS);
	uint64_t (*now_ns)(struct fwp *) = (uint64_t(*)(struct fwp *))find("edgeos_now_ns", ":I");
	uint64_t before = eos_now_ns(), now = now_ns(f->fwp);
	assert_true(before <= now && now <= eos_now_ns());
	edgeos_entry(f->fwp, NULL);
	assert_int_equal(inits, 0);
}

static void ring_errors(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send_to(f, f->to_host, AT_BUFFERS, 1, 0), -WASI_ERRNO_NOTCONN);
	assert_int_equal(rings(f, AT_OUT_RING, 0), -WASI_ERRNO_INVAL);
	assert_int_equal(rings(f, END, 0), -WASI_ERRNO_FAULT);
	assert_int_equal(rings(f, 0, UINT32_MAX), -WASI_ERRNO_FAULT);
	open_rings(f, 1);
	assert_int_equal(rings(f, AT_OUT_RING, 0), -WASI_ERRNO_EXIST);
}

static void sends(void **state)
{
	struct fixture *f = *state;
	struct mma_host_message message;
	open_rings(f, 1);
	(void)fwp_double_put(f->fwp, AT_TEXT, "hello");
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), 0);
	assert_int_equal(mma_host_peek(f->host, &message), 1);
	assert_int_equal(message.len, 5);
	assert_int_equal(message.conn, f->to_guest);
	assert_memory_equal(message.data, "hello", 5);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 0, 0), 0);
	/* All its buffers are full. */
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, MMA_ABI_FLAG_NO_WAIT),
			 -WASI_ERRNO_AGAIN);
	mma_host_release(f->host);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 65, 0), -WASI_ERRNO_NOBUFS);
	assert_int_equal(f->faults, 0);
	/* What a guest may do wrong. */
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 2), -WASI_ERRNO_INVAL);
	assert_int_equal(f->faults, 0);
	assert_int_equal(send_to(f, 0, AT_TEXT, 5, 0), -WASI_ERRNO_BADF);
	assert_int_equal(send_to(f, f->to_host + 1, AT_TEXT, 5, 0), -WASI_ERRNO_BADF);
	assert_int_equal(send_to(f, f->to_host, END - 4, 5, 0), -WASI_ERRNO_FAULT);
	assert_int_equal(send_to(f, f->to_host, 0, UINT32_MAX, 0), -WASI_ERRNO_MSGSIZE);
	assert_int_equal(f->faults, 4);
	assert_int_equal(f->waits, 0);
	f->host = mma_host_free(f->host);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), -WASI_ERRNO_PIPE);
	assert_int_equal(f->faults, 4);
}

static void make_room(struct fixture *f)
{
	struct mma_host_message message;
	if (f->waits < 3)
		return;
	assert_int_equal(mma_host_peek(f->host, &message), 1);
	mma_host_release(f->host);
	mma_move(f->mma, UINT64_MAX);
}

static void send_waits(void **state)
{
	struct fixture *f = *state;
	open_rings(f, 1);
	f->on_wait = make_room;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), 0);
	assert_int_equal(f->waits, 0);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), 0);
	assert_int_equal(f->waits, 3);
	assert_int_equal(f->wakes, 1);
	/* Its time ends it. */
	f->on_wait = NULL;
	f->fwp->deadline_ns = 1;
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), -WASI_ERRNO_INTR);
	assert_int_equal(f->until_ns, 1);
	/* One's own head makes no sense. */
	ring_at(f, AT_OUT_RING)->head += 100;
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), -WASI_ERRNO_PIPE);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), -WASI_ERRNO_PIPE);
	assert_int_equal(CALL(f, "edgeos_kick", ":i", (struct fwp *), f->fwp), -WASI_ERRNO_PIPE);
	assert_int_equal(wait_for(f, 0, 0, 0), -WASI_ERRNO_PIPE);
}

static void deliver(struct fixture *f)
{
	assert_int_equal(mma_host_send(f->host, f->to_guest, "ping", 4), 0);
	mma_move(f->mma, UINT64_MAX);
}

static void waits(void **state)
{
	struct fixture *f = *state;
	open_rings(f, 2);
	assert_int_equal(wait_for(f, 0, 0, 0), 0);
	assert_int_equal(f->waits, 0);
	assert_int_equal(wait_for(f, 0, 0, 1), 0);
	f->on_wait = deliver;
	assert_int_equal(wait_for(f, 0, 0, UINT64_MAX), MMA_EVENT_RECEIVED);
	assert_int_equal(f->until_ns, UINT64_MAX);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUFFERS, 4), "ping", 4);
	unsigned before = f->waits;
	assert_int_equal(wait_for(f, 0, 0, UINT64_MAX), MMA_EVENT_RECEIVED);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), 0);
	assert_int_equal(wait_for(f, 1, 0, UINT64_MAX), MMA_EVENT_SENT);
	assert_int_equal(wait_for(f, 0, 0, UINT64_MAX), MMA_EVENT_SENT | MMA_EVENT_RECEIVED);
	assert_int_equal(f->waits, before);
}

static void texts(void **state)
{
	struct fixture *f = *state;
#define LOG(level, text, len)                                                                      \
	CALL(f, "edgeos_log", "iii:i", (struct fwp *, uint32_t, uint32_t, uint32_t), f->fwp,       \
	     level, text, len)
#define CONFIG(key, key_len, out, size)                                                            \
	CALL(f, "edgeos_config", "iiii:i", (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t), \
	     f->fwp, key, key_len, out, size)
#define CONNECTION(name, len, out)                                                                 \
	CALL(f, "edgeos_connection", "iii:i", (struct fwp *, uint32_t, uint32_t, uint32_t),        \
	     f->fwp, name, len, out)
	uint32_t len = fwp_double_put(f->fwp, AT_TEXT, "colour");
	assert_int_equal(LOG(EDGEOS_LOG_WARNING, AT_TEXT, len), 0);
	assert_string_equal(f->log, "colour");
	assert_int_equal(f->level, EDGEOS_LOG_WARNING);
	assert_int_equal(LOG(EDGEOS_LOG_LEVELS, AT_TEXT, len), -WASI_ERRNO_INVAL);
	assert_int_equal(LOG(EDGEOS_LOG_INFO, END - 1, 2), -WASI_ERRNO_FAULT);
	assert_int_equal(LOG(EDGEOS_LOG_INFO, 0, END), 0);

	assert_int_equal(CONFIG(AT_TEXT, len, AT_RESULT, 64), 5);
	assert_memory_equal(fwp_double_at(f->fwp, AT_RESULT, 6), "green\0", 6);
	memset(fwp_double_at(f->fwp, AT_RESULT, 8), '.', 8);
	assert_int_equal(CONFIG(AT_TEXT, len, AT_RESULT, 3), 5);
	assert_memory_equal(fwp_double_at(f->fwp, AT_RESULT, 4), "gre.", 4);
	assert_int_equal(CONFIG(AT_TEXT, len - 1, AT_RESULT, 64), -WASI_ERRNO_NOENT);
	assert_int_equal(CONFIG(AT_TEXT, len + 1, AT_RESULT, 64), -WASI_ERRNO_INVAL);
	assert_int_equal(CONFIG(AT_TEXT, 256, AT_RESULT, 64), -WASI_ERRNO_NAMETOOLONG);
	assert_int_equal(CONFIG(END - 2, 6, AT_RESULT, 64), -WASI_ERRNO_FAULT);
	assert_int_equal(CONFIG(AT_TEXT, len, END - 2, 3), -WASI_ERRNO_FAULT);

	char long_name[EDGEOS_NAME_MAX + 2];
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(edgeos_name_connection(f->edgeos, long_name, 1), -ENAMETOOLONG);
	assert_int_equal(edgeos_name_connection(f->edgeos, "colour", f->to_host), 0);
	assert_int_equal(edgeos_name_connection(f->edgeos, "colour", f->to_host), -EEXIST);
	assert_int_equal(CONNECTION(AT_TEXT, len, AT_RESULT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_RESULT), f->to_host);
	assert_int_equal(CONNECTION(AT_TEXT, 3, AT_RESULT), -WASI_ERRNO_NOENT);
	assert_int_equal(CONNECTION(AT_TEXT, len, END - 3), -WASI_ERRNO_FAULT);
	for (unsigned i = 1; i < EDGEOS_CONNECTIONS_MAX; i++) {
		char name[8];
		(void)snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(edgeos_name_connection(f->edgeos, name, i), 0);
	}
	assert_int_equal(edgeos_name_connection(f->edgeos, "more", 1), -EMFILE);
}

static void timer_errors(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(timer_set(f, EDGEOS_TIMERS_MAX, 1), -WASI_ERRNO_INVAL);
	assert_int_equal(timer_set(f, 0, 1), -WASI_ERRNO_NOTSUP);
	assert_false(edgeos_has_handlers(f->edgeos));
}

static void stop_at_third(struct fixture *f)
{
	/* First wait: a message. Second: the timer's time. Third: the end. */
	if (f->waits == 1)
		deliver(f);
	if (f->waits >= 2)
		edgeos_stop(f->edgeos);
}

static void main_loop(void **state)
{
	struct fixture *f = *state;
	assert_true(edgeos_has_handlers(f->edgeos));
	open_rings(f, 2);
	assert_int_equal(timer_set(f, 7, 1), 0);
	assert_int_equal(timer_set(f, 8, UINT64_MAX), 0);
	assert_int_equal(timer_set(f, 9, 1), 0);
	assert_int_equal(timer_set(f, 9, 0), 0);
	while (eos_now_ns() < f->edgeos->timers_due_ns[7])
		;
	f->on_wait = stop_at_third;
	edgeos_entry(f->fwp, f);
	assert_int_equal(inits, 1);
	assert_int_equal(timers, 1);
	assert_int_equal(last_timer, 7);
	assert_int_equal(messages, 1);
	assert_int_equal(last_conn, f->to_host);
	assert_int_equal(last_buf, AT_BUFFERS);
	assert_int_equal(last_len, 4);
	/* The buffer was posted again, whole. */
	assert_int_equal(ring_at(f, AT_IN_RING)->head, 3);
	const struct mma_abi_descriptor *slot = slot_at(f, AT_IN_RING, 2);
	assert_int_equal(slot->address, AT_BUFFERS);
	assert_int_equal(slot->capacity, 64);
	assert_int_equal(slot->status, MMA_ABI_PENDING);
	assert_int_equal(slot->cookie, 0);
	/* Each handler ran as guest code. */
	assert_true(f->fwp->left >= 3);
}

/* Another FWP with a copy of the memory goes on where this one was. */
static void saved_and_restored(void **state)
{
	struct fixture *f = *state;
	struct edgeos_saved saved;
	struct edgeos *again;
	static struct fwp_image image = {all_exports};
	const struct edgeos_config config = {.mma = f->mma, .ops = &ops, .ctx = f};
	open_rings(f, 2);
	assert_int_equal(send_to(f, f->to_host, AT_TEXT, 5, 0), 0);
	assert_int_equal(timer_set(f, 3, 1), 0);
	assert_int_equal(timer_set(f, 4, 1), 0);
	assert_int_equal(timer_set(f, 4, 0), 0);
	edgeos_save(f->edgeos, &saved);
	f->edgeos = edgeos_free(f->edgeos);

	assert_int_equal(edgeos_new(&config, &again), 0);
	f->edgeos = again;
	wasi_set_edgeos(f->wasi, again);
	assert_int_equal(edgeos_bind(again, f->fwp, &image, NULL), 0);
	uint32_t handle, back;
	assert_int_equal(
		mma_connect_pair(edgeos_port(again), mma_host_port(f->host), NULL, &handle, &back),
		0);
	assert_int_equal(handle, f->to_host);
	f->to_guest = back;
	assert_int_equal(edgeos_restore(again, &saved), 0);
	assert_int_equal(rings(f, AT_OUT_RING, 0), -WASI_ERRNO_EXIST);
	f->on_wait = stop_at_third;
	edgeos_entry(f->fwp, f);
	assert_int_equal(inits, 0);
	assert_int_equal(timers, 1);
	assert_int_equal(last_timer, 3);
	assert_int_equal(messages, 1);
	assert_int_equal(last_buf, AT_BUFFERS);
	/* The message of before is not sent twice. */
	assert_int_equal(send_to(f, handle, AT_TEXT, 5, 0), 0);
	assert_int_equal(mma_port_sent(edgeos_port(again)), 2);
	struct mma_port_stats stats;
	mma_port_stats(mma_host_port(f->host), &stats);
	assert_int_equal(stats.received, 2);
	/* Rings that the initialisation wrote over. */
	f->edgeos = edgeos_free(f->edgeos);
	ring_at(f, AT_OUT_RING)->count = 3;
	assert_int_equal(edgeos_new(&config, &f->edgeos), 0);
	assert_int_equal(edgeos_bind(f->edgeos, f->fwp, &image, NULL), 0);
	assert_int_equal(edgeos_restore(f->edgeos, &saved), -EINVAL);
}

static void move_all(struct fixture *f)
{
	mma_move(f->mma, UINT64_MAX);
}

static void main_loop_ends_with_its_rings(void **state)
{
	struct fixture *f = *state;
	open_rings(f, 1);
	ring_at(f, AT_OUT_RING)->head = 100;
	mma_kick(edgeos_port(f->edgeos));
	f->on_wait = move_all;
	if (setjmp(f->fwp->on_exit) == 0)
		edgeos_entry(f->fwp, f);
	assert_true(f->fwp->has_exited);
	assert_int_equal(f->fwp->exit_code, EDGEOS_EXIT_RINGS);
}

/* Without a handler nobody takes the messages: it waits, and neither calls nor looks for ever. */
static void main_loop_leaves_messages_without_handler(void **state)
{
	struct fixture *f = *state;
	open_rings(f, 2);
	assert_true(edgeos_has_handlers(f->edgeos));
	deliver(f);
	assert_int_equal(timer_set(f, 5, 1), 0);
	f->on_wait = stop_at_third;
	alarm(10);
	edgeos_entry(f->fwp, f);
	alarm(0);
	assert_int_equal(f->waits, 2);
	assert_int_equal(timers, 1);
	assert_int_equal(messages, 0);
	assert_int_equal(mma_port_received(edgeos_port(f->edgeos)), 2);
	assert_int_equal(ring_at(f, AT_IN_RING)->head, 2);
}

/* A buffer that came back bad is not posted again, or it would come back for ever. */
static void main_loop_skips_bad_buffers(void **state)
{
	struct fixture *f = *state;
	open_rings(f, 2);
	slot_at(f, AT_IN_RING, 0)->address = END;
	f->on_wait = stop_at_third;
	edgeos_entry(f->fwp, f);
	assert_int_equal(messages, 1);
	assert_int_equal(last_buf, AT_BUFFERS + 64);
	assert_int_equal(ring_at(f, AT_IN_RING)->head, 3);
	assert_int_equal(f->faults, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_edgeos, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(sends, setup, teardown),
		cmocka_unit_test_setup_teardown(send_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(waits, setup, teardown),
		cmocka_unit_test_setup_teardown(texts, setup, teardown),
		cmocka_unit_test_setup_teardown(timer_errors, setup_without_handlers, teardown),
		cmocka_unit_test_setup_teardown(main_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(saved_and_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(main_loop_ends_with_its_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(main_loop_ends_with_its_rings, setup_with_timer,
						teardown),
		cmocka_unit_test_setup_teardown(main_loop_leaves_messages_without_handler,
						setup_with_timer, teardown),
		cmocka_unit_test_setup_teardown(main_loop_skips_bad_buffers, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
