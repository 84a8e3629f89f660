/*
 * Bench "message": bytes from one to the other, on one core.
 *
 *     pipe              64 bytes from a process to another through a pipe, until the other runs
 *     fwp_message_64    the same from an FWP to another of another tenant, through the mover and
 *                       the scheduler; sender and receiver are checked as in a node
 *     memcpy_64k        64 KiB copied in one memory
 *     fwp_copy_64k      64 KiB from an FWP to another, in the same way as above
 *
 * Times are half of a round trip, in which both send. Between FWPs one is too short to be measured
 * alone, as to read the clock takes a tenth of it: a sample is SMALL_TRIPS of them, of large ones
 * one. Rates are of the median. The mover runs on the core of the two, in the sender's host call.
 * Both of a pair are measured in turns, so that whatever else this machine does hits both.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "bench.h"
#include "core.h"
#include "fwp/fwp.h"
#include "guest.h"
#include "guests/message.h"
#include "mma/mma.h"
#include "pingpong.h"
#include "report.h"
#include "samples.h"
#include "ticks.h"

#define SMALL_BYTES	       64u
#define LARGE_BYTES	       MESSAGE_BYTES_MAX
#define SMALL_TRIPS	       10u
#define ROUND_TRIPS	       100000u
#define ROUND_TRIPS_QUICK      100u
#define ROUNDS		       20u
#define COPIES_PER_ROUND       1000u
#define COPIES_PER_ROUND_QUICK 5u
/* Samples before those that count. */
#define WARM_UP	    100u
#define MOVE_BUDGET (1u << 20)

struct side {
	struct core_fwp member;
	struct sched_server tenant;
	struct mma_port *port;
	uint32_t handle; /* of the other one */
	bool is_first;	 /* who measures */
};

struct exchange {
	struct core core;
	struct mma *mma;
	struct side sides[2];
	uint32_t bytes;
	struct samples *samples; /* of round trips */
	size_t samples_until;	 /* where core_run() stops */
	unsigned trips;		 /* in a sample */
	unsigned left;		 /* of the sample that is taken */
	unsigned warm_up;	 /* samples that are not counted yet */
	uint64_t start_ticks;
};

static struct exchange *exchange_of(struct side *side)
{
	return EOS_CONTAINER_OF(side->member.core, struct exchange, core);
}

static struct side *side_of(struct fwp *fwp)
{
	return EOS_CONTAINER_OF((struct core_fwp *)fwp_context(fwp), struct side, member);
}

static void host_attach(struct fwp *fwp, uint32_t out, uint32_t in, uint32_t config)
{
	fwp_host_enter(fwp);
	struct side *side = side_of(fwp);
	struct message_config *told = fwp_memory(fwp, config, sizeof(*told));

	if (told == NULL || mma_port_attach(side->port, out, in) < 0)
		fwp_trap(fwp, IMAGE_TRAP_OUT_OF_BOUNDS);
	*told = (struct message_config){
		.conn = side->handle,
		.bytes = exchange_of(side)->bytes,
		.is_first = side->is_first,
	};
	fwp_host_leave(fwp);
}

/* A round trip of the first of the two is over. */
static void take_sample(struct exchange *exchange)
{
	if (--exchange->left > 0)
		return;
	uint64_t now = ticks_now();

	exchange->left = exchange->trips;
	if (exchange->warm_up > 0)
		exchange->warm_up--;
	else if (!samples_is_full(exchange->samples))
		samples_add(exchange->samples, ticks_between_ns(exchange->start_ticks, now));
	exchange->core.is_stopped = exchange->samples->count >= exchange->samples_until;
	exchange->start_ticks = now;
}

static void host_kick(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	struct side *side = side_of(fwp);

	/* It answers as soon as it has been answered: here a round trip ends and the next begins.
	 */
	if (side->is_first)
		take_sample(exchange_of(side));
	(void)mma_move_port(side->port, MOVE_BUDGET);
	if (!mma_is_idle(exchange_of(side)->mma))
		side->member.core->is_kicked = true;
	fwp_host_leave(fwp);
}

static void host_wait(struct fwp *fwp, uint32_t received)
{
	fwp_host_enter(fwp);
	struct side *side = side_of(fwp);
	struct mma_port *port = side->port;

	if (mma_port_prepare_wait(port, MMA_EVENT_RECEIVED, received, mma_port_completions(port)))
		fwp_block_leave(fwp);
	else
		fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {
	{"bench", "attach", "iii:", (void (*)(void))host_attach},
	{"bench", "kick", ":", (void (*)(void))host_kick},
	{"bench", "wait", "i:", (void (*)(void))host_wait},
};

static void on_wake(void *ctx, unsigned events)
{
	struct side *side = ctx;

	sched_task_wake(&side->member.task);
}

static const struct mma_port_ops port_ops = {.wake = on_wake};

static void move_messages(struct core *core)
{
	struct exchange *exchange = EOS_CONTAINER_OF(core, struct exchange, core);

	(void)mma_move(exchange->mma, MOVE_BUDGET);
	core->is_kicked = !mma_is_idle(exchange->mma);
}

static int add_side(struct exchange *exchange, struct side *side, struct fwp_image *image,
		    struct eos_why *why)
{
	struct core *core = &exchange->core;
	int err = core_add_tenant(core, &side->tenant, 0, 0, why);

	if (err < 0)
		return err;
	err = core_add(core, &side->member, image, &side->tenant, SCHED_CLASS_DEFAULT, why);
	if (err < 0) {
		sched_server_fini(&side->tenant);
		return err;
	}
	struct fwp_memory_view view = fwp_memory_view(side->member.fwp);
	struct mma_port_config config = {
		.memory = {view.base, view.bytes}, .ops = &port_ops, .ctx = side};

	return mma_port_new(exchange->mma, &config, &side->port, why);
}

static void remove_sides(struct exchange *exchange)
{
	for (int i = 0; i < 2; i++) {
		struct side *side = &exchange->sides[i];

		if (side->member.fwp == NULL)
			continue;
		side->port = mma_port_free(side->port);
		core_remove(&side->member);
		sched_server_fini(&side->tenant);
	}
}

static void exchange_fini(struct exchange *exchange)
{
	remove_sides(exchange);
	exchange->mma = mma_free(exchange->mma);
	core_fini(&exchange->core);
}

/* Two FWPs that send each other BYTES, from the first core_run() on; a sample is TRIPS. */
static int exchange_init(struct exchange *exchange, struct fwp_image *image, uint32_t bytes,
			 unsigned trips, struct samples *samples, struct eos_why *why)
{
	struct core_config config = {.fwps_max = 2, .serve = move_messages};

	*exchange = (struct exchange){
		.bytes = bytes, .samples = samples, .trips = trips, .left = 1, .warm_up = WARM_UP};
	exchange->sides[0].is_first = true;
	int err = core_init(&exchange->core, &config, why);

	if (err == 0)
		err = mma_new(&exchange->mma);
	for (int i = 0; i < 2 && err == 0; i++)
		err = add_side(exchange, &exchange->sides[i], image, why);
	if (err == 0)
		err = mma_connect_pair(exchange->sides[0].port, exchange->sides[1].port, NULL,
				       &exchange->sides[0].handle, &exchange->sides[1].handle);
	if (err < 0)
		exchange_fini(exchange);
	return err;
}

/* COUNT more samples. */
static int exchange_run(struct exchange *exchange, size_t count, struct eos_why *why)
{
	exchange->samples_until = exchange->samples->count + count;
	/* What passed since the last one is none of theirs. */
	exchange->warm_up += exchange->warm_up == 0;
	return core_run(&exchange->core, UINT64_MAX, why);
}

/* The next COUNT of PIPES, which has room for them. */
static int run_pipe(struct samples *pipes, size_t count, struct eos_why *why)
{
	struct samples part = {.values = pipes->values + pipes->count, .room = count};
	int err = pingpong_pipe(SMALL_BYTES, &part, why);

	pipes->count += part.count;
	return err;
}

static int measure_small(struct bench *bench, struct fwp_image *image, struct eos_why *why)
{
	static struct exchange exchange;
	struct samples pipes = {0}, messages = {0};
	size_t trips = bench_count(bench, ROUND_TRIPS, ROUND_TRIPS_QUICK) / ROUNDS;
	size_t per_round = EOS_MAX(trips / SMALL_TRIPS, (size_t)1);
	int err = samples_init(&pipes, ROUNDS * trips, why);

	if (err == 0)
		err = samples_init(&messages, ROUNDS * per_round, why);
	if (err == 0)
		err = exchange_init(&exchange, image, SMALL_BYTES, SMALL_TRIPS, &messages, why);
	if (err < 0)
		goto done;
	for (unsigned round = 0; round < ROUNDS && err == 0; round++) {
		err = run_pipe(&pipes, trips, why);
		if (err == 0)
			err = exchange_run(&exchange, per_round, why);
	}
	exchange_fini(&exchange);
	if (err == 0) {
		report_add_sums(&bench->report, "pipe", "ns", pipes.values, pipes.count,
				PINGPONG_EACH);
		report_add_sums(&bench->report, "fwp_message_64", "ns", messages.values,
				messages.count, SMALL_TRIPS * PINGPONG_EACH);
		report_add_ratio(&bench->report, "pipe", "fwp_message_64", 10);
	}
done:
	samples_fini(&pipes);
	samples_fini(&messages);
	return err;
}

/* There and back, between memories as large as those of the two FWPs. */
static void copy_round_trips(uint8_t *memories[4], size_t count, struct samples *samples)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start = ticks_now();

		memcpy(memories[1], memories[0], LARGE_BYTES);
		__asm__ volatile("" ::: "memory");
		memcpy(memories[3], memories[2], LARGE_BYTES);
		__asm__ volatile("" ::: "memory");
		samples_add(samples, ticks_between_ns(start, ticks_now()));
	}
}

static int run_large(struct exchange *exchange, uint8_t *memories[4], struct samples *copies,
		     size_t per_round, struct eos_why *why)
{
	int err = 0;

	for (unsigned round = 0; round < ROUNDS && err == 0; round++) {
		copy_round_trips(memories, per_round, copies);
		err = exchange_run(exchange, per_round, why);
	}
	return err;
}

static void report_large(struct report *report, const char *name, struct samples *round_trips)
{
	double ns = (double)samples_median(round_trips) / PINGPONG_EACH;

	report_add_rate(report, name, "B/s", round_trips->count, LARGE_BYTES / ns * 1e9);
}

static int measure_large(struct bench *bench, struct fwp_image *image, struct eos_why *why)
{
	static struct exchange exchange;
	uint8_t *memories[4] = {NULL};
	struct samples copies = {0}, messages = {0};
	size_t per_round = bench_count(bench, COPIES_PER_ROUND, COPIES_PER_ROUND_QUICK);
	int err = samples_init(&copies, ROUNDS * per_round, why);

	if (err == 0)
		err = samples_init(&messages, ROUNDS * per_round, why);
	for (int i = 0; i < 4 && err == 0; i++) {
		memories[i] = aligned_alloc(4096, LARGE_BYTES);
		if (memories[i] == NULL)
			err = eos_why(why, -ENOMEM, "no memory to copy");
		else
			memset(memories[i], i + 1, LARGE_BYTES);
	}
	if (err == 0)
		err = exchange_init(&exchange, image, LARGE_BYTES, 1, &messages, why);
	if (err == 0) {
		err = run_large(&exchange, memories, &copies, per_round, why);
		exchange_fini(&exchange);
	}
	if (err == 0) {
		report_large(&bench->report, "memcpy_64k", &copies);
		report_large(&bench->report, "fwp_copy_64k", &messages);
		report_add_rate_ratio(&bench->report, "fwp_copy_64k", "memcpy_64k", 0.8);
	}
	for (int i = 0; i < 4; i++)
		free(memories[i]);
	samples_fini(&copies);
	samples_fini(&messages);
	return err;
}

static int run(struct bench *bench, struct eos_why *why)
{
	struct fwp_image *image = NULL;
	int err = bench_pin(why);

	ticks_calibrate();
	if (err == 0)
		err = guest_make(bench, "message", imports, EOS_ARRAY_SIZE(imports), &image, why);
	if (err == 0)
		err = measure_small(bench, image, why);
	if (err == 0)
		err = measure_large(bench, image, why);
	fwp_image_unref(image);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "message", run);
}
