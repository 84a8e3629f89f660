/*
 * The life of a call: from its INVOKE to its DONE.
 *
 * Invariants
 *  1. A call that waits for room, a template or the calls before it, has ended or is free is in
 *     the list of its state; others are in none. A ready one is a runnable task of the scheduler.
 *  2. Between its INVOKE and its DONE a call occupies the slot id % LINK_CALLS_MAX.
 *  3. An ended call has no FWP, no struct wasi, no function, task or timer any more: only bytes to
 *     send.
 *
 * The FWP is made at its first turn and not when the INVOKE arrives: calls that wait for the
 * processor cost a buffer and no address space.
 *
 * Time counts from the receipt of the INVOKE, so a call that waits behind others, or for its
 * budget, dies in time too: its deadline is a timer of the scheduler, which also cuts the turn of
 * what runs then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "cell/cell_priv.h"
#include "wasi/vfs_memory.h"

EOS_COUNTER(calls_total, "cell.calls_total", "Calls that were started.")

#define BIT(state) (1u << (state))

static const unsigned allowed_moves[CELL_CALL_STATES] = {
	[CELL_CALL_FREE] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_READY] = BIT(CELL_CALL_RUNNING) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_RUNNING] = BIT(CELL_CALL_WAITS_REPLY) | BIT(CELL_CALL_WAITS_ROOM) |
			      BIT(CELL_CALL_WAITS_TEMPLATE) | BIT(CELL_CALL_WAITS_RESIDENT) |
			      BIT(CELL_CALL_WAITS_ANSWER) | BIT(CELL_CALL_SLEEPS) |
			      BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_WAITS_REPLY] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_WAITS_ROOM] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_WAITS_TEMPLATE] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_WAITS_RESIDENT] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_WAITS_ANSWER] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_SLEEPS] = BIT(CELL_CALL_READY) | BIT(CELL_CALL_ENDED),
	[CELL_CALL_ENDED] = BIT(CELL_CALL_FREE),
};

static struct eos_list *list_of(struct cell_call *call, enum cell_call_state state)
{
	struct cell *cell = call->cell;
	switch (state) {
	case CELL_CALL_WAITS_ROOM:
		return &cell->room;
	case CELL_CALL_WAITS_TEMPLATE:
		return &call->function->waiting;
	case CELL_CALL_WAITS_RESIDENT:
		return &call->function->queue;
	case CELL_CALL_ENDED:
		return &cell->ended;
	case CELL_CALL_FREE:
		return &cell->free;
	default:
		return NULL;
	}
}

void cell_call_move(struct cell_call *call, enum cell_call_state state)
{
	bool is_waiting = call->state != CELL_CALL_RUNNING;
	EOS_ASSERT((allowed_moves[call->state] & BIT(state)) != 0);
	eos_list_remove(&call->link);
	call->state = state;
	struct eos_list *list = list_of(call, state);
	if (list != NULL)
		eos_list_add_tail(list, &call->link);
	if (state == CELL_CALL_READY && is_waiting)
		sched_task_wake(&call->task.task);
}

struct cell_call *cell_call_find(struct cell *cell, uint64_t id)
{
	struct cell_call *call = cell->calls[id % LINK_CALLS_MAX];
	return call != NULL && call->id == id ? call : NULL;
}

/* A free call: the one used last, whose memory is warm. */
static struct cell_call *take_call(struct cell *cell)
{
	struct cell_call *call;
	if (!eos_list_is_empty(&cell->free)) {
		call = EOS_CONTAINER_OF(cell->free.prev, struct cell_call, link);
		eos_list_remove(&call->link);
	} else {
		call = malloc(sizeof(*call));
		if (call == NULL)
			return NULL;
	}
	/* Not the buffers behind: they are large, and their lengths say what is valid. */
	memset(call, 0, offsetof(struct cell_call, input_bytes));
	eos_list_init(&call->link);
	call->cell = cell;
	call->state = CELL_CALL_FREE;
	return call;
}

static void give_call(struct cell_call *call)
{
	struct cell *cell = call->cell;
	EOS_ASSERT(cell->calls[call->id % LINK_CALLS_MAX] == call);
	cell->calls[call->id % LINK_CALLS_MAX] = NULL;
	cell->calls_count--;
	cell_call_move(call, CELL_CALL_FREE);
}

void cell_call_pool_free(struct cell *cell)
{
	struct eos_list *link;
	while ((link = eos_list_take(&cell->free)) != NULL)
		free(EOS_CONTAINER_OF(link, struct cell_call, link));
}

static void on_deadline(struct sched_timer *timer)
{
	cell_call_kill(EOS_CONTAINER_OF(timer, struct cell_call, deadline_timer), LINK_TIMED_OUT);
}

static void on_wake(struct sched_timer *timer)
{
	struct cell_call *call = EOS_CONTAINER_OF(timer, struct cell_call, wake_timer);
	if (call->state == CELL_CALL_SLEEPS)
		cell_call_move(call, CELL_CALL_READY);
}

static void sleep_until(void *ctx, struct fwp *fwp, uint64_t monotonic_ns)
{
	struct cell_call *call = ctx;
	if (eos_now_ns() >= monotonic_ns)
		return;
	sched_timer_set(call->cell->core, &call->wake_timer, monotonic_ns);
	cell_call_block(call, CELL_CALL_SLEEPS);
}

const struct wasi_host_ops cell_call_host_ops = {.sleep_until = sleep_until};

static int make_wasi(struct cell_call *call, const struct link_message *message)
{
	const struct link_span *name = &message->invoke_parts.name;
	const struct link_span *block = &message->invoke_parts.environment;
	const char *environment[LINK_VARIABLES_MAX];
	size_t count = 0;
	for (uint32_t at = 0; at < block->len; at += (uint32_t)strlen(block->data + at) + 1)
		environment[count++] = block->data + at;
	EOS_ASSERT(count == message->invoke.environment_count);
	char program[LINK_NAME_MAX + 1] = "";
	memcpy(program, name->data, name->len);
	const char *argv[1] = {program};
	int err = wasi_new(argv, 1, environment, count, &call->wasi);
	if (err == 0)
		wasi_set_host_ops(call->wasi, &cell_call_host_ops, call);
	return err;
}

int cell_add_tmp(struct wasi *wasi)
{
	struct wasi_node *tmp;
	int err = vfs_memory_new(CELL_TMP_BYTES, CELL_TMP_FILES, &tmp);
	if (err < 0)
		return err;
	err = wasi_add_preopen(wasi, "/tmp", tmp, false);
	wasi_node_unref(tmp);
	return err;
}

static int add_files(struct cell_call *call, const struct link_message *message)
{
	cell_call_streams_init(call);
	int err = wasi_set_stdio(call->wasi, 0, &call->input);
	if (err == 0)
		err = wasi_set_stdio(call->wasi, 1, &call->output);
	if (err == 0)
		err = wasi_set_stdio(call->wasi, 2, &call->errors);
	for (uint32_t i = 0; err == 0 && i < message->invoke.preopens_count; i++) {
		const struct link_preopen *preopen = &message->invoke_parts.preopens[i];
		char path[sizeof(preopen->bucket) + 1];
		snprintf(path, sizeof(path), "/%s", preopen->bucket);
		cell_bucket_root_init(&call->roots[i], call, i);
		/* Not read-only, whatever the access: the C library of guests would open files for
		 * writing without a word and fail at the first write. edged says no when the guest
		 * opens them. */
		err = wasi_add_preopen(call->wasi, path, &call->roots[i].node, false);
	}
	if (err == 0 && (message->invoke.flags & LINK_INVOKE_EVENT) != 0) {
		cell_bucket_root_init(&call->event, call, LINK_BUCKET_EVENT);
		err = wasi_add_preopen(call->wasi, "/event", &call->event.node, false);
	}
	return err == 0 ? cell_add_tmp(call->wasi) : err;
}

static void set_limits(struct cell_call *call, const struct link_invoke *invoke)
{
	call->limits = (struct fwp_limits){
		.memory_bytes = invoke->memory_bytes,
		.stack_bytes = invoke->stack_bytes,
		.host_calls_per_s = invoke->host_calls_per_s,
	};
	call->timeout_ns = invoke->timeout_ns;
	call->deadline_ns = UINT64_MAX;
	if (invoke->timeout_ns > 0 &&
	    __builtin_add_overflow(eos_now_ns(), invoke->timeout_ns, &call->deadline_ns))
		call->deadline_ns = UINT64_MAX;
}

/* Whatever it holds of the guest is given back; the bytes to send stay. */
static void drop_guest(struct cell_call *call)
{
	struct cell *cell = call->cell;
	call->request.id = 0;
	if (call->function != NULL) {
		cell_template_leave(call);
		cell_resident_leave(call);
	}
	free(call->environment);
	call->environment = NULL;
	call->fwp = fwp_free(call->fwp);
	/* Files that are still open are edged's to drop when it gets the DONE. */
	call->is_ending = true;
	call->wasi = wasi_free(call->wasi);
	/* Out of its function's list of those that wait, before that is gone. */
	eos_list_remove(&call->link);
	if (call->function == NULL)
		return;
	sched_timer_cancel(cell->core, &call->deadline_timer);
	sched_timer_cancel(cell->core, &call->wake_timer);
	sched_task_fini(&call->task.task);
	call->function = cell_function_give(cell, call->function);
}

/* The state machine's way to ENDED. */
void cell_call_end(struct cell_call *call)
{
	drop_guest(call);
	cell_call_move(call, CELL_CALL_ENDED);
	cell_call_flush(call);
}

void cell_call_refuse(struct cell_call *call, int err, const struct eos_why *why)
{
	call->outcome = LINK_NOT_STARTED;
	const char *text = why->text[0] != '\0' ? why->text : strerror(-err);
	snprintf(call->text, sizeof(call->text), "%s", text);
	cell_call_end(call);
}

/* Its place among the others: function, task and timers. */
static int enter_scheduler(struct cell_call *call, const struct link_message *message,
			   struct eos_why *why)
{
	struct cell *cell = call->cell;
	int err = cell_function_take(cell, message, &call->function, why);
	if (err < 0)
		return err;
	cell_call_set_turns(call);
	sched_task_init(&call->task.task, &call->function->server, message->invoke.task_class,
			call->deadline_ns);
	sched_timer_init(&call->deadline_timer, on_deadline);
	sched_timer_init(&call->wake_timer, on_wake);
	if (call->deadline_ns != UINT64_MAX)
		sched_timer_set(cell->core, &call->deadline_timer, call->deadline_ns);
	return 0;
}

/* What a call has of its own: an FWP's surroundings, or what its message to a resident one needs.
 */
static int take_parts(struct cell_call *call, const struct link_message *message)
{
	if (!call->function->stays) {
		int err = make_wasi(call, message);
		return err == 0 ? add_files(call, message) : err;
	}
	const struct link_span *block = &message->invoke_parts.environment;
	call->environment = malloc(EOS_MAX(block->len, 1u));
	if (call->environment == NULL)
		return -ENOMEM;
	if (block->len > 0)
		memcpy(call->environment, block->data, block->len);
	call->environment_len = block->len;
	return 0;
}

int cell_call_start(struct cell *cell, const struct link_message *message)
{
	const struct link_invoke *invoke = &message->invoke;
	size_t slot = invoke->call_id % LINK_CALLS_MAX;
	if (cell->calls[slot] != NULL || invoke->image_id >= LINK_IMAGES_MAX ||
	    cell->images[invoke->image_id].image == NULL)
		return -EBADMSG;
	struct cell_call *call = take_call(cell);
	if (call == NULL)
		return -ENOMEM;
	call->id = invoke->call_id;
	cell->calls[slot] = call;
	cell->calls_count++;
	eos_counter_add(&calls_total, 1);
	set_limits(call, invoke);
	struct link_span input = message->invoke_parts.input;
	call->input_len = invoke->input_len;
	call->input_have = input.len;
	if (input.len > 0)
		memcpy(call->input_bytes, input.data, input.len);
	struct eos_why why = {""};
	int err = enter_scheduler(call, message, &why);
	if (err == 0)
		err = take_parts(call, message);
	if (err < 0)
		cell_call_refuse(call, err, &why);
	else
		cell_call_move(call, CELL_CALL_READY);
	return 0;
}

static void write_duration(char *out, size_t size, uint64_t ns)
{
	if (ns % EOS_NS_PER_S == 0)
		snprintf(out, size, "timed out after %" PRIu64 " s", ns / EOS_NS_PER_S);
	else
		snprintf(out, size, "timed out after %.3f s", (double)ns / (double)EOS_NS_PER_S);
}

void cell_call_note_death(struct cell_call *call, const struct fwp *fwp)
{
	const struct fwp_death *death = fwp_death(fwp);
	if (call->outcome != 0)
		return; /* whoever killed it has said why */
	char place[FWP_PLACE_SIZE];
	switch (death->kind) {
	case FWP_DEATH_EXIT:
		call->outcome = LINK_EXITED;
		call->exit_code = death->code;
		break;
	case FWP_DEATH_TRAP:
		call->outcome = LINK_TRAPPED;
		fwp_death_place(fwp, place, sizeof(place));
		snprintf(call->text, sizeof(call->text), "trap: %s%s%s", death->text,
			 place[0] != '\0' ? " in " : "", place);
		break;
	case FWP_DEATH_TIMEOUT:
		call->outcome = LINK_TIMED_OUT;
		write_duration(call->text, sizeof(call->text), call->timeout_ns);
		break;
	case FWP_DEATH_KILLED:
		call->outcome = LINK_CANCELLED;
		snprintf(call->text, sizeof(call->text), "%s", death->text);
		break;
	}
}

void cell_call_kill(struct cell_call *call, enum link_outcome outcome)
{
	EOS_ASSERT(call->state != CELL_CALL_FREE && call->state != CELL_CALL_RUNNING);
	if (call->state == CELL_CALL_ENDED)
		return;
	call->outcome = outcome;
	if (outcome == LINK_TIMED_OUT)
		write_duration(call->text, sizeof(call->text), call->timeout_ns);
	else
		snprintf(call->text, sizeof(call->text), "cancelled");
	if (call->fwp != NULL)
		fwp_kill(call->fwp, FWP_DEATH_KILLED, "ended by the cell");
	cell_call_end(call);
}

void cell_call_flush(struct cell_call *call)
{
	struct cell *cell = call->cell;
	EOS_ASSERT(call->state == CELL_CALL_ENDED && call->outcome != 0);
	struct link_done done = {
		.header.kind = LINK_DONE,
		.call_id = call->id,
		.outcome = call->outcome,
		.code = call->exit_code,
		.text_len = (uint32_t)strlen(call->text),
		.output_len = call->output_len,
		.errors_len = call->errors_len,
	};
	char *out = cell->scratch;
	out = (char *)mempcpy(out, call->text, done.text_len);
	out = (char *)mempcpy(out, call->output_bytes, done.output_len);
	out = (char *)mempcpy(out, call->errors_bytes, done.errors_len);
	done.header.payload_len = (uint32_t)(out - cell->scratch);
	int err =
		link_send(cell->link, &done, sizeof(done), cell->scratch, done.header.payload_len);
	if (err == -EAGAIN)
		return; /* it stays in its list until there is room */
	if (err < 0)
		cell->err = err;
	give_call(call);
}

void cell_call_abandon(struct cell_call *call)
{
	EOS_ASSERT(call->state != CELL_CALL_FREE && call->state != CELL_CALL_RUNNING);
	if (call->state != CELL_CALL_ENDED) {
		if (call->fwp != NULL)
			fwp_kill(call->fwp, FWP_DEATH_KILLED, "ended by the cell");
		drop_guest(call);
		cell_call_move(call, CELL_CALL_ENDED);
	}
	give_call(call);
}
