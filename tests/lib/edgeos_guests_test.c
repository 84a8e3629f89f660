/*
 * Real guests, compiled from WebAssembly, that send messages through the mover: a pair that counts,
 * with the mover inline and on its own thread; the sample `echo`; and hostile ones beside an
 * innocent pair. EDGEOS_MESSAGES=1000000 makes the pair count so far.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "fwp/fwp_template.h"
#include "mma/mma_host.h"
#include "wasi/edgeos.h"

#define MESSAGES_DEFAULT 20000u
#define HOSTILE_LIVES	 40u
#define BUDGET		 (1u << 20)

static struct image_key key = {.seed = "the key of the tests of guests"};
static struct fwp_engine *engine;
static struct fwp_image *exchange_image, *echo_image, *rings_image;

/* An FWP with all that it needs, as a cell would keep it. */
struct life {
	struct wasi *wasi;
	struct edgeos *edgeos;
	struct fwp *fwp;
	_Atomic bool is_woken;
	_Atomic unsigned faults;
	_Atomic bool is_killed;
	uint64_t until_ns; /* of its wait */
	unsigned lines;	   /* logged */
	char last_line[80];
	char seed[16];
};

static void life_wait(void *ctx, struct fwp *fwp, uint64_t until_ns)
{
	struct life *life = ctx;
	life->until_ns = until_ns;
	while (!atomic_exchange(&life->is_woken, false) && eos_now_ns() < until_ns)
		fwp_block(fwp);
}

static void life_wake(void *ctx)
{
	struct life *life = ctx;
	atomic_store(&life->is_woken, true);
}

static void life_fault(void *ctx, const struct mma_fault *fault)
{
	struct life *life = ctx;
	atomic_fetch_add(&life->faults, fault->count);
	if (fault->is_dead)
		atomic_store(&life->is_killed, true);
}

static void life_log(void *ctx, enum edgeos_log_level level, const char *text, size_t len)
{
	struct life *life = ctx;
	assert_true(len <= EDGEOS_LOG_BYTES_MAX);
	life->lines++;
	(void)snprintf(life->last_line, sizeof(life->last_line), "%.*s",
		       (int)EOS_MIN(len, (size_t)79), text);
}

static const char *life_config(void *ctx, const char *name)
{
	struct life *life = ctx;
	if (strcmp(name, "seed") == 0)
		return life->seed;
	return strcmp(name, "greeting") == 0 ? "hello" : NULL;
}

static const struct edgeos_host_ops ops = {
	.wait = life_wait,
	.wake = life_wake,
	.fault = life_fault,
	.log = life_log,
	.config = life_config,
};

/* With no FWP yet. */
static struct life *life_prepare(struct mma *mma)
{
	struct life *life = calloc(1, sizeof(*life));
	const struct edgeos_config config = {.mma = mma, .ops = &ops, .ctx = life};
	assert_non_null(life);
	assert_int_equal(wasi_new(NULL, 0, NULL, 0, &life->wasi), 0);
	assert_int_equal(edgeos_new(&config, &life->edgeos), 0);
	wasi_set_edgeos(life->wasi, life->edgeos);
	return life;
}

static struct life *life_new(struct mma *mma, struct fwp_image *image)
{
	struct life *life = life_prepare(mma);
	struct eos_why why = {""};
	if (fwp_new_with_entry(engine, image, NULL, life->wasi, edgeos_entry, &life->fwp, &why) <
		    0 ||
	    edgeos_bind(life->edgeos, life->fwp, image, &why) < 0)
		fail_msg("%s", why.text);
	assert_true(edgeos_has_handlers(life->edgeos));
	return life;
}

static struct life *life_free(struct life *life)
{
	edgeos_free(life->edgeos);
	fwp_free(life->fwp);
	wasi_free(life->wasi);
	free(life);
	return NULL;
}

/* Runs it if there is a reason. False: it is dead. */
static bool life_run(struct life *life)
{
	enum fwp_state state = fwp_state(life->fwp);
	if (state == FWP_BLOCKED && !atomic_load(&life->is_woken) && eos_now_ns() < life->until_ns)
		return true;
	return state != FWP_DEAD && fwp_run(life->fwp) != FWP_DEAD;
}

static void require_alive(struct life *life)
{
	if (fwp_state(life->fwp) != FWP_DEAD)
		return;
	const struct fwp_death *death = fwp_death(life->fwp);
	fail_msg("died: %s, code %u", death->text, death->code);
}

static uint64_t received(struct life *life)
{
	struct mma_port_stats stats;
	mma_port_stats(edgeos_port(life->edgeos), &stats);
	return stats.received;
}

/* Two that count, and the host that says the first number. */
struct pair {
	struct life *a, *b;
	struct mma_host *host;
	uint32_t a_to_b;
};

static void pair_init(struct pair *pair, struct mma *mma)
{
	uint32_t b_to_a;
	pair->a = life_new(mma, exchange_image);
	pair->b = life_new(mma, exchange_image);
	assert_int_equal(mma_connect_pair(edgeos_port(pair->a->edgeos),
					  edgeos_port(pair->b->edgeos), NULL, &pair->a_to_b,
					  &b_to_a),
			 0);
	assert_int_equal(edgeos_name_connection(pair->a->edgeos, "other", pair->a_to_b), 0);
	assert_int_equal(edgeos_name_connection(pair->b->edgeos, "other", b_to_a), 0);
	/* What the host sends comes as if from B, so that A answers to B. */
	const struct mma_connection_config config = {.tag = pair->a_to_b};
	uint32_t handle;
	assert_int_equal(mma_host_new(mma, NULL, &pair->host, NULL), 0);
	assert_int_equal(mma_connect(mma_host_port(pair->host), edgeos_port(pair->a->edgeos),
				     &config, &handle),
			 0);
	const uint32_t first = 1;
	assert_int_equal(mma_host_send(pair->host, handle, &first, sizeof(first)), 0);
}

static void pair_run(struct pair *pair, struct mma *mma)
{
	life_run(pair->a);
	life_run(pair->b);
	if (mma_has_thread(mma))
		sched_yield();
	else
		mma_move(mma, BUDGET);
}

static void pair_fini(struct pair *pair)
{
	require_alive(pair->a);
	require_alive(pair->b);
	assert_int_equal(pair->a->faults + pair->b->faults, 0);
	assert_int_equal(pair->a->lines, 1);
	assert_string_equal(pair->a->last_line, "tick");
	life_free(pair->a);
	life_free(pair->b);
	mma_host_free(pair->host);
}

static void count_up(uint64_t messages, bool is_threaded)
{
	struct mma *mma;
	struct pair pair;
	assert_int_equal(mma_new(&mma), 0);
	if (is_threaded)
		assert_int_equal(mma_thread_start(mma, NULL, NULL), 0);
	pair_init(&pair, mma);
	uint64_t start_ns = eos_now_ns();
	while (received(pair.a) + received(pair.b) < messages) {
		pair_run(&pair, mma);
		require_alive(pair.a);
		require_alive(pair.b);
	}
	uint64_t ns = eos_now_ns() - start_ns;
	printf("%s: %llu messages, %llu ns each with the switch\n",
	       is_threaded ? "threaded" : "inline", (unsigned long long)messages,
	       (unsigned long long)(ns / messages));
	pair_fini(&pair);
	mma_free(mma);
}

static uint64_t messages_wanted(void)
{
	const char *text = getenv("EDGEOS_MESSAGES");
	return text != NULL ? strtoull(text, NULL, 10) : MESSAGES_DEFAULT;
}

static void counts_inline(void **state)
{
	count_up(messages_wanted(), false);
}

static void counts_threaded(void **state)
{
	count_up(messages_wanted() / 10, true);
}

/* The host and one guest: to it and back, and its end by edgeos_stop(). */
static void echo_with(struct mma *mma, struct life *echo)
{
	struct mma_host *host;
	uint32_t there, back;
	assert_int_equal(mma_host_new(mma, NULL, &host, NULL), 0);
	assert_int_equal(mma_connect_pair(mma_host_port(host), edgeos_port(echo->edgeos), NULL,
					  &there, &back),
			 0);
	for (unsigned i = 0; i < 1000; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "message %u", i);
		assert_int_equal(mma_host_send(host, there, text, (uint32_t)len), 0);
		struct mma_host_message message;
		while (mma_host_peek(host, &message) == 0) {
			mma_move(mma, BUDGET);
			assert_true(life_run(echo));
		}
		assert_int_equal(message.conn, there);
		assert_int_equal(message.len, len);
		assert_memory_equal(message.data, text, (size_t)len);
		mma_host_release(host);
	}
	edgeos_stop(echo->edgeos);
	life_wake(echo);
	assert_false(life_run(echo));
	assert_int_equal(fwp_death(echo->fwp)->kind, FWP_DEATH_EXIT);
	assert_int_equal(fwp_death(echo->fwp)->code, 0);
	life_free(echo);
	mma_host_free(host);
}

static void echoes(void **state)
{
	struct mma *mma;
	assert_int_equal(mma_new(&mma), 0);
	echo_with(mma, life_new(mma, echo_image));
	mma_free(mma);
}

/* From a template, in which edgeos_init() ran already: several, one after the other. */
static void echoes_from_a_template(void **state)
{
	struct mma *mma;
	struct edgeos_saved saved;
	struct fwp_template *template;
	struct eos_why why = {""};
	assert_int_equal(mma_new(&mma), 0);
	struct life *life = life_prepare(mma);
	if (fwp_new_for_template(engine, echo_image, NULL, life->wasi, &life->fwp, &why) < 0 ||
	    edgeos_bind(life->edgeos, life->fwp, echo_image, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(fwp_run(life->fwp), FWP_DEAD);
	edgeos_save(life->edgeos, &saved);
	assert_int_not_equal(saved.rings.out_address, 0);
	if (fwp_template_capture(life->fwp, &template, &why) < 0)
		fail_msg("%s", why.text);
	life_free(life);
	for (unsigned i = 0; i < 3; i++) {
		life = life_prepare(mma);
		if (fwp_new_from_with_entry(template, NULL, life->wasi, edgeos_entry, &life->fwp,
					    &why) < 0 ||
		    edgeos_bind(life->edgeos, life->fwp, echo_image, &why) < 0)
			fail_msg("%s", why.text);
		assert_int_equal(edgeos_restore(life->edgeos, &saved), 0);
		echo_with(mma, life);
	}
	fwp_template_unref(template);
	mma_free(mma);
}

/* One hostile life beside the pair, with connections to and from A, for a while. */
static void live_badly(struct mma *mma, struct pair *pair, uint32_t seed, unsigned deaths[4])
{
	struct life *bad = life_new(mma, rings_image);
	uint32_t there, back;
	const struct mma_connection_config config = {.when_full = MMA_WAIT, .tag = 0xbad};
	/* To the host, which takes anything: A would, rightly, trap on what is no number. */
	assert_int_equal(
		mma_connect(edgeos_port(bad->edgeos), mma_host_port(pair->host), &config, &there),
		0);
	assert_int_equal(there, 0x1000);
	assert_int_equal(
		mma_connect(mma_host_port(pair->host), edgeos_port(bad->edgeos), &config, &back),
		0);
	(void)snprintf(bad->seed, sizeof(bad->seed), "%04x", seed * 2654435761u >> 16);
	bool is_alive = true;
	for (unsigned i = 0; i < 200 && is_alive; i++) {
		/* It may not listen, and then there is no room. */
		int err = mma_host_send(pair->host, back, "hello", 5);
		assert_true(err == 0 || err == -EAGAIN);
		is_alive = life_run(bad);
		pair_run(pair, mma);
		struct mma_host_message message;
		while (mma_host_peek(pair->host, &message) == 1) {
			assert_int_equal(message.conn, 0xbad);
			mma_host_release(pair->host);
		}
	}
	if (is_alive) {
		deaths[0]++;
		fwp_kill(bad->fwp, FWP_DEATH_KILLED, "enough");
	} else {
		const struct fwp_death *death = fwp_death(bad->fwp);
		/* It traps where something is wrong with a result, and never otherwise. */
		assert_int_equal(death->kind, FWP_DEATH_EXIT);
		assert_int_equal(death->code, EDGEOS_EXIT_RINGS);
		assert_true(bad->is_killed);
		deaths[1]++;
	}
	deaths[2] += bad->faults > 0;
	life_free(bad);
	mma_move(mma, BUDGET);
	assert_int_equal(mma_disconnect(mma_host_port(pair->host), back), 0);
}

static void hostile_lives(void **state)
{
	struct mma *mma;
	struct pair pair;
	unsigned deaths[4] = {0};
	assert_int_equal(mma_new(&mma), 0);
	pair_init(&pair, mma);
	for (uint32_t seed = 0; seed < HOSTILE_LIVES; seed++) {
		uint64_t before = received(pair.a);
		live_badly(mma, &pair, seed, deaths);
		for (unsigned i = 0; i < 10; i++)
			pair_run(&pair, mma);
		assert_true(received(pair.a) > before);
	}
	printf("%u lived, %u rings died, %u with bad descriptors\n", deaths[0], deaths[1],
	       deaths[2]);
	assert_true(deaths[0] > 0 && deaths[1] > 0 && deaths[2] > 0);
	pair_fini(&pair);
	mma_free(mma);
}

static struct fwp_image *load(const struct aot_config *config, const char *path,
			      const struct fwp_import *imports, size_t count)
{
	struct eos_why why = {""};
	struct eos_buf module = {0};
	struct image *image = NULL;
	struct fwp_image *code = NULL;
	assert_int_equal(eos_read_file(AT_FDCWD, path, 1 << 24, &module), 0);
	if (aot_build(config, path, module.data, module.len, &image, &why) < 0 ||
	    fwp_image_load(image, imports, count, &code, &why) < 0)
		fail_msg("%s", why.text);
	eos_buf_fini(&module);
	image_close(image);
	return code;
}

static int open_images(void **state)
{
	eos_log_set_level(EOS_LOG_ERROR);
	assert_int_equal(crypto_sign_public(key.seed, key.public_key), 0);
	assert_int_equal(eos_mkdir_p(IMAGE_CACHE, 0700), 0);
	int cache_fd = open(IMAGE_CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(cache_fd >= 0);
	const struct aot_config config = {
		.cache_dir_fd = cache_fd,
		.work_dir = IMAGE_CACHE,
		.key = &key,
		.program = EDGE_AOT,
	};
	size_t wasi_count, edgeos_count;
	const struct fwp_import *wasi = wasi_imports(&wasi_count);
	const struct fwp_import *edgeos = edgeos_imports(&edgeos_count);
	struct fwp_import *imports = calloc(wasi_count + edgeos_count, sizeof(*imports));
	assert_non_null(imports);
	memcpy(imports, wasi, wasi_count * sizeof(*imports));
	memcpy(imports + wasi_count, edgeos, edgeos_count * sizeof(*imports));
	size_t count = wasi_count + edgeos_count;
	exchange_image = load(&config, EXCHANGE_WASM, imports, count);
	echo_image = load(&config, ECHO_WASM, imports, count);
	rings_image = load(&config, RINGS_WASM, imports, count);
	free(imports);
	eos_close(cache_fd);
	struct eos_why why = {""};
	if (fwp_engine_new(NULL, &engine, &why) < 0)
		fail_msg("%s", why.text);
	return 0;
}

static int close_images(void **state)
{
	engine = fwp_engine_free(engine);
	fwp_image_unref(exchange_image);
	fwp_image_unref(echo_image);
	fwp_image_unref(rings_image);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_inline), cmocka_unit_test(counts_threaded),
		cmocka_unit_test(echoes),	 cmocka_unit_test(echoes_from_a_template),
		cmocka_unit_test(hostile_lives),
	};
	return cmocka_run_group_tests(tests, open_images, close_images);
}
