/*
 * What a resident FWP gets from its host: time, its log, its configuration, and the standard
 * streams. All of this runs on the FWP's stack, or inside a turn of its mover.
 *
 * Its log is the standard errors of the call under way; lines that are written without one are kept
 * for the next, as far as there is room. Nothing here waits for edged: what finds no room in the
 * ring is lost, and counted.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "cell/cell_priv.h"

EOS_COUNTER(lost_total, "cell.resident_log_lost_bytes_total",
	    "Bytes that functions that stay logged when there was no room.")

/* Room in the call's buffer, after sending what is in it if there is none. */
static size_t make_room(struct cell_call *call)
{
	struct cell *cell = call->cell;
	struct link_output output = {
		.header = {.kind = LINK_OUTPUT, .payload_len = call->errors_len},
		.call_id = call->id,
		.stream = LINK_STREAM_ERRORS,
	};
	if (call->errors_len < CELL_ERRORS_BYTES)
		return CELL_ERRORS_BYTES - call->errors_len;
	int err = link_send(cell->link, &output, sizeof(output), call->errors_bytes,
			    call->errors_len);
	if (err < 0) {
		if (err != -EAGAIN)
			cell->err = err;
		return 0;
	}
	call->errors_len = 0;
	return CELL_ERRORS_BYTES;
}

void cell_resident_report(struct cell_call *call, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = EOS_MIN(len, make_room(call));
		if (n == 0) {
			eos_counter_add(&lost_total, len);
			return;
		}
		memcpy(call->errors_bytes + call->errors_len, text, n);
		call->errors_len += (uint32_t)n;
		text += n;
		len -= n;
	}
}

static void write_log(struct cell_resident *resident, const char *text, size_t len)
{
	if (resident->is_connected) {
		cell_resident_report(resident->function->current, text, len);
		return;
	}
	size_t n = EOS_MIN(len, sizeof(resident->log) - resident->log_len);
	memcpy(resident->log + resident->log_len, text, n);
	resident->log_len += (uint32_t)n;
	eos_counter_add(&lost_total, len - n);
}

static void resident_log(void *ctx, enum edgeos_log_level level, const char *text, size_t len)
{
	write_log(ctx, text, len);
	write_log(ctx, "\n", 1);
}

/* May return early: the caller looks again. */
static void wait_until(struct cell_resident *resident, struct fwp *fwp, uint64_t until_ns)
{
	if (until_ns != UINT64_MAX)
		sched_timer_set(resident->cell->core, &resident->wake_timer, until_ns);
	fwp_block(fwp);
}

static void resident_wait(void *ctx, struct fwp *fwp, uint64_t until_ns)
{
	struct cell_resident *resident = ctx;
	if (!resident->is_woken)
		wait_until(resident, fwp, until_ns);
	resident->is_woken = false;
}

static void resident_wake(void *ctx)
{
	struct cell_resident *resident = ctx;
	resident->is_woken = true;
	sched_task_wake(&resident->task.task);
}

/* A bad descriptor has its status, which the guest sees. With dead rings it finds out that nothing
 * will come any more. */
static void resident_fault(void *ctx, const struct mma_fault *fault)
{
	if (fault->is_dead)
		resident_wake(ctx);
}

static const char *resident_config(void *ctx, const char *key)
{
	const struct cell_resident *resident = ctx;
	size_t len = strlen(key);
	for (uint32_t at = 0; at < resident->environment_len;) {
		const char *pair = resident->environment + at;
		if (strncmp(pair, key, len) == 0 && pair[len] == '=')
			return pair + len + 1;
		at += (uint32_t)strlen(pair) + 1;
	}
	return NULL;
}

const struct edgeos_host_ops cell_resident_ops = {
	.wait = resident_wait,
	.wake = resident_wake,
	.fault = resident_fault,
	.log = resident_log,
	.config = resident_config,
};

static void sleep_until(void *ctx, struct fwp *fwp, uint64_t monotonic_ns)
{
	while (eos_now_ns() < monotonic_ns)
		wait_until(ctx, fwp, monotonic_ns);
}

const struct wasi_host_ops cell_resident_wasi_ops = {.sleep_until = sleep_until};

static int64_t read_nothing(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	return 0;
}

static int64_t write_output(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	write_log(EOS_CONTAINER_OF(node, struct cell_resident, output), data, len);
	return (int64_t)len;
}

static const struct wasi_vfs_ops input_ops = {
	.read = read_nothing,
	.stat = cell_stream_stat,
	.release = cell_stream_release,
};
static const struct wasi_vfs_ops output_ops = {
	.write = write_output,
	.stat = cell_stream_stat,
	.release = cell_stream_release,
};

int cell_resident_add_files(struct cell_resident *resident)
{
	struct wasi *wasi = resident->wasi;
	wasi_node_init(&resident->input, &input_ops, WASI_NODE_STREAM);
	wasi_node_init(&resident->output, &output_ops, WASI_NODE_STREAM);
	int err = wasi_set_stdio(wasi, 0, &resident->input);
	if (err == 0)
		err = wasi_set_stdio(wasi, 1, &resident->output);
	if (err == 0)
		err = wasi_set_stdio(wasi, 2, &resident->output);
	return err == 0 ? cell_add_tmp(wasi) : err;
}

/* Nobody sends to it, so only time ends a wait. */
static void init_wait(void *ctx, struct fwp *fwp, uint64_t until_ns)
{
	struct cell_call *call = ctx;
	if (until_ns != UINT64_MAX)
		sched_timer_set(call->cell->core, &call->wake_timer, until_ns);
	cell_call_block(call, CELL_CALL_SLEEPS);
}

static void init_wake(void *ctx)
{
}

static void init_log(void *ctx, enum edgeos_log_level level, const char *text, size_t len)
{
	cell_resident_report(ctx, text, len);
	cell_resident_report(ctx, "\n", 1);
}

static const struct edgeos_host_ops init_ops = {
	.wait = init_wait,
	.wake = init_wake,
	.log = init_log,
};

int cell_resident_init_new(struct cell_call *call)
{
	EOS_ASSERT(call->init_mma == NULL && call->init_edgeos == NULL);
	int err = mma_new(&call->init_mma);
	if (err < 0)
		return err;
	const struct edgeos_config config = {
		.mma = call->init_mma,
		.ops = &init_ops,
		.ctx = call,
	};
	err = edgeos_new(&config, &call->init_edgeos);
	if (err == 0)
		wasi_set_edgeos(call->init_wasi, call->init_edgeos);
	return err;
}

void cell_resident_init_free(struct cell_call *call)
{
	call->init_edgeos = edgeos_free(call->init_edgeos);
	call->init_mma = mma_free(call->init_mma);
}
