/*
 * Functions that stay: one FWP that lives on answers all calls of a function, through the mover.
 *
 *   call ──message──► host's port ══mover══► inbound ring ──edgeos_message()──┐
 *   DONE ◄──────────── host's port ◄══mover══ outbound ring ◄──edgeos_send()──┘
 *
 * The FWP is made from the function's template by the call that needs it. It is a task of the
 * scheduler below the function's server, as calls are; what moves its messages runs in its own
 * turns and in those of the calls.
 *
 * Invariants
 *  1. One call at a time is under way: function->current. It owns the connections between the two
 *     ports, which are made for it and cut with it: an answer to a call that is over, or a second
 *     answer, goes nowhere (the guest sees EBADF). Others wait in function->queue, in order.
 *  2. A call ends in a turn of its own, never in one of the resident's, but when the resident dies.
 *  3. The guest's port is freed before its FWP, and its mover after both ports.
 *
 * Time: a call under way whose deadline comes takes the FWP, and its state, with it: it may be in
 * a loop without end. A cancelled call leaves it alone, as a client that hangs up must not cost
 * the others their state; the next call waits behind what it does, and has its own deadline.
 *
 * It is freed when it was not called for cell->resident_idle_ns, when memory is short, when its
 * function is replaced or its place is needed (the one idle longest goes), when it dies, and when
 * its ports have no handles left for another call's connections.
 *
 * Fault point: cell.resident_handles (none are left).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/cell_priv.h"

#define HOST_SLOTS  4u
#define MOVE_BUDGET UINT64_C(262144)
/* Each call uses up one handle of either port, of MMA_CAPS_GENERATIONS for each place: enough for
 * 2^30 calls. The one after that gets a new instance. */
#define HANDLES_MAX 1024u

EOS_COUNTER(residents_now, "cell.residents", "Instances of functions that stay.")
EOS_COUNTER(made_total, "cell.residents_made_total", "Instances of functions that stay, ever.")
EOS_COUNTER(ended_total, "cell.residents_timed_out_total",
	    "Of these, ended because a call was not answered in time.")

/* Its guest is no more; what it sent is still at the host's port. */
static void stop(struct cell_resident *resident)
{
	struct sched_core *core = resident->cell->core;
	if (resident->fwp == NULL)
		return;
	sched_timer_cancel(core, &resident->wake_timer);
	sched_timer_cancel(core, &resident->idle_timer);
	resident->edgeos = edgeos_free(resident->edgeos);
	sched_task_fini(&resident->task.task);
	if (fwp_state(resident->fwp) != FWP_DEAD)
		fwp_kill(resident->fwp, FWP_DEATH_KILLED, "ended by the cell");
	resident->fwp = fwp_free(resident->fwp);
	resident->wasi = wasi_free(resident->wasi);
}

struct cell_resident *cell_resident_free(struct cell_resident *resident)
{
	if (resident == NULL)
		return NULL;
	stop(resident);
	/* Of one that was never whole. */
	edgeos_free(resident->edgeos);
	wasi_free(resident->wasi);
	mma_host_free(resident->host);
	mma_free(resident->mma);
	eos_list_remove(&resident->link);
	resident->cell->residents_count--;
	eos_counter_sub(&residents_now, 1);
	free(resident->environment);
	free(resident);
	return NULL;
}

/* Of a resident without calls. */
static void give_up(struct cell_resident *resident)
{
	struct cell *cell = resident->cell;
	struct cell_function *function = resident->function;
	EOS_ASSERT(function->calls_count == 0);
	function->resident = cell_resident_free(resident);
	cell_function_settle(cell, function);
}

/* A resident without calls, the longest idle one, or NULL. */
static struct cell_resident *find_idle(struct cell *cell)
{
	EOS_LIST_FOR_EACH (link, &cell->residents) {
		struct cell_resident *resident = EOS_CONTAINER_OF(link, struct cell_resident, link);
		if (resident->function->calls_count == 0)
			return resident;
	}
	return NULL;
}

void cell_residents_shrink(struct cell *cell)
{
	struct cell_resident *resident;
	while ((resident = find_idle(cell)) != NULL)
		give_up(resident);
}

static void on_wake(struct sched_timer *timer)
{
	struct cell_resident *resident = EOS_CONTAINER_OF(timer, struct cell_resident, wake_timer);
	resident->is_woken = true;
	sched_task_wake(&resident->task.task);
}

static void set_idle_timer(struct cell_resident *resident)
{
	struct cell *cell = resident->cell;
	sched_timer_set(cell->core, &resident->idle_timer, eos_now_ns() + cell->resident_idle_ns);
}

static void on_idle(struct sched_timer *timer)
{
	struct cell_resident *resident = EOS_CONTAINER_OF(timer, struct cell_resident, idle_timer);
	if (resident->function->calls_count == 0)
		give_up(resident);
	else /* a call that may end before it gets here */
		set_idle_timer(resident);
}

/* How it died, as a line of the function's log. */
static size_t describe_death(const struct fwp *fwp, char *out, size_t size)
{
	const struct fwp_death *death = fwp_death(fwp);
	char place[FWP_PLACE_SIZE];
	int len;
	fwp_death_place(fwp, place, sizeof(place));
	if (death->kind == FWP_DEATH_EXIT)
		len = snprintf(out, size, "it ended with exit code %u, and its state is lost\n",
			       death->code);
	else
		len = snprintf(out, size, "it died: %s%s%s, and its state is lost\n", death->text,
			       place[0] != '\0' ? " in " : "", place);
	return EOS_MIN((size_t)len, size - 1);
}

/* It died without a call: what it logged, and why it died, is for the next one. Without memory it
 * is lost. */
static void keep_last_words(struct cell_resident *resident, const char *why, size_t len)
{
	struct cell_function *function = resident->function;
	free(function->last_words);
	function->last_words_len = 0;
	function->last_words = malloc(resident->log_len + len);
	if (function->last_words == NULL)
		return;
	memcpy(function->last_words, resident->log, resident->log_len);
	memcpy(function->last_words + resident->log_len, why, len);
	function->last_words_len = resident->log_len + (uint32_t)len;
}

/* The call takes along what was logged since the last one. */
static void report_log(struct cell_resident *resident, struct cell_call *call)
{
	struct cell_function *function = resident->function;
	cell_resident_report(call, function->last_words, function->last_words_len);
	free(function->last_words);
	function->last_words = NULL;
	function->last_words_len = 0;
	cell_resident_report(call, resident->log, resident->log_len);
	resident->log_len = 0;
}

/* It died in its turn. It may be freed here. */
static void die(struct cell_resident *resident)
{
	struct cell *cell = resident->cell;
	struct cell_function *function = resident->function;
	struct cell_call *call = resident->is_connected ? function->current : NULL;
	const struct fwp_death *death = fwp_death(resident->fwp);
	char text[FWP_PLACE_SIZE + 128];
	size_t len = describe_death(resident->fwp, text, sizeof(text));
	if (resident->has_answer) {
		cell_resident_report(call, text, len);
		stop(resident); /* the call takes its answer, and then the rest goes */
		return;
	}
	if (call == NULL) {
		keep_last_words(resident, text, len);
	} else if (death->kind != FWP_DEATH_EXIT) {
		cell_call_note_death(call, resident->fwp);
	} else {
		call->outcome = LINK_TRAPPED;
		snprintf(call->text, sizeof(call->text), "it ended with exit code %u %s",
			 death->code,
			 death->code == EDGEOS_EXIT_RINGS ? "(its message rings are nonsense)"
							  : "instead of answering");
	}
	function->resident = cell_resident_free(resident);
	if (call != NULL)
		cell_call_end(call);
	else
		cell_function_settle(cell, function);
}

/* Looks for the answer to the call under way; drops what is none. */
static void take_messages(struct cell_resident *resident)
{
	struct mma_host_message message;
	struct mma_port_stats stats;
	struct cell_call *call = resident->function->current;
	while (!resident->has_answer && mma_host_peek(resident->host, &message) == 1) {
		if (resident->is_connected && message.conn == resident->to_guest)
			resident->has_answer = true;
		else
			mma_host_release(resident->host);
	}
	mma_port_stats(mma_host_port(resident->host), &stats);
	/* With dead rings it is dropped too; but then the resident ends, and says why. */
	if (resident->is_connected && stats.dropped != resident->dropped_before &&
	    !mma_port_is_dead(edgeos_port(resident->edgeos)))
		resident->has_refused = true;
	if ((resident->has_answer || resident->has_refused || resident->is_full) &&
	    call->state == CELL_CALL_WAITS_ANSWER)
		cell_call_move(call, CELL_CALL_READY);
}

static enum sched_turn run(struct cell_task *task, uint64_t slice_end_ns)
{
	struct cell_resident *resident = EOS_CONTAINER_OF(task, struct cell_resident, task);
	struct sched_core *core = resident->cell->core;
	if (sched_core_now_ns(core) < resident->resume_ns) {
		sched_timer_set(core, &resident->wake_timer, resident->resume_ns);
		return SCHED_TURN_GONE;
	}
	resident->resume_ns = 0;
	enum fwp_state state = fwp_run_until(resident->fwp, slice_end_ns);
	mma_move(resident->mma, MOVE_BUDGET);
	take_messages(resident);
	if (state == FWP_DEAD) {
		die(resident);
		return SCHED_TURN_GONE;
	}
	if (state == FWP_READY)
		return SCHED_TURN_AGAIN;
	if (fwp_resume_ns(resident->fwp) != UINT64_MAX) {
		resident->resume_ns = fwp_resume_ns(resident->fwp);
		sched_timer_set(core, &resident->wake_timer, resident->resume_ns);
	}
	return mma_is_idle(resident->mma) ? SCHED_TURN_GONE : SCHED_TURN_AGAIN;
}

/* Its ports and its WASI. */
static int prepare(struct cell_resident *resident, struct eos_why *why)
{
	const struct mma_host_config config = {
		.out_count = HOST_SLOTS,
		.in_count = HOST_SLOTS,
		.buffer_bytes = CELL_RESIDENT_BYTES,
		.handles_max = HANDLES_MAX,
	};
	const char *argv[1] = {resident->function->name};
	int err = mma_new(&resident->mma);
	if (err == 0)
		err = mma_host_new(resident->mma, &config, &resident->host, why);
	if (err == 0)
		err = wasi_new(argv, 1, NULL, 0, &resident->wasi);
	if (err == 0)
		err = cell_resident_add_files(resident);
	if (err < 0)
		return err;
	wasi_set_host_ops(resident->wasi, &cell_resident_wasi_ops, resident);
	const struct edgeos_config edgeos = {
		.mma = resident->mma,
		.ops = &cell_resident_ops,
		.ctx = resident,
		.handles_max = HANDLES_MAX,
	};
	err = edgeos_new(&edgeos, &resident->edgeos);
	if (err == 0)
		wasi_set_edgeos(resident->wasi, resident->edgeos);
	return err;
}

static int start(struct cell_resident *resident, struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = resident->function;
	uint32_t address, count;
	cell_memory_note_use(resident->cell, sched_core_now_ns(resident->cell->core));
	int err = fwp_new_from_with_entry(function->template, &call->limits, resident->wasi,
					  edgeos_entry, &resident->fwp, why);
	if (err < 0)
		return err;
	sched_timer_init(&resident->wake_timer, on_wake);
	sched_timer_init(&resident->idle_timer, on_idle);
	resident->task.run = run;
	sched_task_init(&resident->task.task, &function->server, call->task.task.task_class,
			UINT64_MAX);
	err = edgeos_bind(resident->edgeos, resident->fwp, function->image, why);
	if (err < 0)
		return err;
	call->exit_code = LINK_FAULT_FUNCTION;
	err = edgeos_restore(resident->edgeos, &function->saved);
	if (err < 0)
		return eos_why(why, err, "its initialisation wrote over its message rings");
	mma_port_in_ring(edgeos_port(resident->edgeos), &address, &count);
	if (count == 0)
		return eos_why(why, -ENOTCONN,
			       "its initialisation opened no inbound ring "
			       "(edgeos_open() in edgeos_init())");
	call->exit_code = LINK_FAULT_CELL;
	return 0;
}

static int make(struct cell_call *call, struct eos_why *why)
{
	struct cell *cell = call->cell;
	struct cell_function *function = call->function;
	if (cell->residents_count == CELL_RESIDENTS_MAX) {
		struct cell_resident *idle = find_idle(cell);
		if (idle == NULL)
			return eos_why(why, -EAGAIN, "%u functions stay, as many as may",
				       CELL_RESIDENTS_MAX);
		give_up(idle);
	}
	struct cell_resident *resident = calloc(1, sizeof(*resident));
	if (resident == NULL)
		return -ENOMEM;
	resident->cell = cell;
	resident->function = function;
	eos_list_add_tail(&cell->residents, &resident->link);
	cell->residents_count++;
	eos_counter_add(&residents_now, 1);
	int err = prepare(resident, why);
	if (err == 0)
		err = start(resident, call, why);
	if (err < 0) {
		cell_resident_free(resident);
		return err;
	}
	eos_counter_add(&made_total, 1);
	function->resident = resident;
	return 0;
}

/* The call's message; -EMSGSIZE. Values cannot end their lines: a line break in one is a space. */
static int write_message(const struct cell_call *call, uint8_t *out, uint32_t size,
			 uint32_t *ret_len, struct eos_why *why)
{
	uint64_t len = (uint64_t)call->environment_len + 1 + call->input_len;
	if (len > size || call->input_have != call->input_len)
		return eos_why(why, -EMSGSIZE,
			       "%" PRIu64 " bytes are too long for a message to a function that "
			       "stays: %u bytes, of which the input has at most %u",
			       len, size, LINK_INPUT_INLINE_MAX);
	for (uint32_t i = 0; i < call->environment_len; i++) {
		char c = call->environment[i];
		*out++ = (uint8_t)(c == '\0' ? '\n' : c == '\n' || c == '\r' ? ' ' : c);
	}
	*out++ = '\n';
	memcpy(out, call->input_bytes, call->input_have);
	*ret_len = (uint32_t)len;
	return 0;
}

/* The resident's task takes over the call's place in the order of the policy, but directly behind
 * the call: of two with the same deadline the one that runs goes on, and a function that does more
 * after its answer would keep the call from taking it. */
static void enter_scheduler(struct cell_resident *resident, const struct cell_call *call)
{
	uint64_t deadline_ns = call->deadline_ns + (call->deadline_ns != UINT64_MAX);
	sched_task_fini(&resident->task.task);
	sched_task_init(&resident->task.task, &resident->function->server,
			call->task.task.task_class, deadline_ns);
	sched_task_wake(&resident->task.task);
	sched_timer_cancel(resident->cell->core, &resident->idle_timer);
	eos_list_remove(&resident->link);
	eos_list_add_tail(&resident->cell->residents, &resident->link);
}

/* The connections of a call. -EMFILE: no handles are left. */
static int connect(struct cell_resident *resident)
{
	const struct mma_connection_config config = {.len_max = CELL_RESIDENT_BYTES};
	if (eos_fault("cell.resident_handles") < 0)
		return -EMFILE;
	int err = mma_connect_pair(mma_host_port(resident->host), edgeos_port(resident->edgeos),
				   &config, &resident->to_guest, &resident->to_host);
	resident->is_connected = err == 0;
	return err;
}

/* Or finds that there is no room for it. */
static int send_message(struct cell_resident *resident, struct cell_call *call, struct eos_why *why)
{
	struct mma_port_stats stats;
	uint8_t *data;
	uint32_t size, len = 0;
	resident->is_full = mma_host_reserve(resident->host, &data, &size) < 0;
	if (resident->is_full)
		return 0;
	call->exit_code = LINK_FAULT_FUNCTION;
	int err = write_message(call, data, size, &len, why);
	if (err < 0)
		return err;
	call->exit_code = LINK_FAULT_CELL;
	err = connect(resident);
	if (err < 0)
		return err;
	free(resident->environment);
	resident->environment = call->environment;
	resident->environment_len = call->environment_len;
	call->environment = NULL;
	report_log(resident, call);
	mma_port_stats(mma_host_port(resident->host), &stats);
	resident->dropped_before = stats.dropped;
	return mma_host_commit(resident->host, resident->to_guest, len);
}

/* The function's instance, made if there is none, gets the call's message. */
static int deliver(struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = call->function;
	int err = function->resident == NULL ? make(call, why) : 0;
	if (err == 0)
		err = send_message(function->resident, call, why);
	if (err != -EMFILE)
		return err;
	eos_log(EOS_LOG_INFO, "cell", "resident replaced function=%s why=no handles left",
		function->name);
	function->resident = cell_resident_free(function->resident);
	err = make(call, why);
	return err == 0 ? send_message(function->resident, call, why) : err;
}

static int begin(struct cell_call *call, struct eos_why *why)
{
	int err = deliver(call, why);
	if (err < 0)
		return err;
	struct cell_resident *resident = call->function->resident;
	enter_scheduler(resident, call);
	cell_call_move(call, CELL_CALL_RUNNING);
	cell_call_move(call, CELL_CALL_WAITS_ANSWER);
	if (resident->is_full)
		return 0; /* until the resident, which was woken, had a turn */
	mma_move(resident->mma, MOVE_BUDGET);
	take_messages(resident);
	return 0;
}

/* The answer becomes the call's output: the end of it goes with the DONE, the rest before. */
static void take_answer(struct cell_resident *resident, struct cell_call *call)
{
	struct mma_host_message message;
	int n = mma_host_peek(resident->host, &message);
	EOS_ASSERT(n == 1);
	uint32_t before = message.len - EOS_MIN(message.len, CELL_OUTPUT_BYTES);
	struct link_output output = {
		.header = {.kind = LINK_OUTPUT, .payload_len = before},
		.call_id = call->id,
		.stream = LINK_STREAM_OUTPUT,
	};
	if (before > 0) {
		int err =
			link_send(call->cell->link, &output, sizeof(output), message.data, before);
		if (err < 0) {
			if (err != -EAGAIN)
				call->cell->err = err;
			cell_call_move(call, CELL_CALL_RUNNING);
			cell_call_move(call, CELL_CALL_WAITS_ROOM);
			return;
		}
	}
	call->output_len = message.len - before;
	memcpy(call->output_bytes, message.data + before, call->output_len);
	call->outcome = LINK_EXITED;
	call->exit_code = 0;
	cell_call_end(call);
}

static_assert(CELL_RESIDENT_BYTES - CELL_OUTPUT_BYTES <= LINK_DATA_MAX, "one OUTPUT is enough");

int cell_resident_join(struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = call->function;
	struct cell_resident *resident = function->resident;
	EOS_ASSERT(call->state == CELL_CALL_READY && function->template != NULL);
	if (function->current == NULL)
		function->current = call;
	if (function->current != call) {
		cell_call_move(call, CELL_CALL_RUNNING);
		cell_call_move(call, CELL_CALL_WAITS_RESIDENT);
		return 0;
	}
	if (resident == NULL || !resident->is_connected)
		return begin(call, why);
	if (resident->has_answer) {
		take_answer(resident, call);
		return 0;
	}
	EOS_ASSERT(resident->has_refused);
	call->exit_code = LINK_FAULT_FUNCTION;
	return eos_why(why, -EMSGSIZE, "its message is longer than the function's buffers");
}

/* What the call had there. It is nobody's answer any more. */
static void disconnect(struct cell_resident *resident)
{
	resident->is_full = false;
	if (!resident->is_connected)
		return;
	if (resident->has_answer)
		mma_host_release(resident->host);
	int err = mma_disconnect(mma_host_port(resident->host), resident->to_guest);
	EOS_ASSERT(err == 0);
	if (resident->edgeos != NULL) {
		err = mma_disconnect(edgeos_port(resident->edgeos), resident->to_host);
		EOS_ASSERT(err == 0);
	}
	resident->is_connected = resident->has_answer = resident->has_refused = false;
}

/*
 * No call is under way. Without a deadline it comes after all calls, where the policy goes by
 * deadlines: with that of the last one, which is soon past, it would go before all of them for as
 * long as it likes. Whatever it was about to do it still does; also what the mover has to tell it,
 * such as that the connection is gone on which it still sends.
 */
static void rest(struct cell_resident *resident)
{
	struct sched_task *task = &resident->task.task;
	unsigned task_class = task->task_class;
	bool has_work = fwp_state(resident->fwp) == FWP_READY || resident->is_woken ||
			!mma_is_idle(resident->mma);
	sched_task_fini(task);
	sched_task_init(task, &resident->function->server, task_class, UINT64_MAX);
	if (has_work)
		sched_task_wake(task);
	set_idle_timer(resident);
}

void cell_resident_leave(struct cell_call *call)
{
	static const char lost[] = "it was ended with the call, and its state is lost\n";
	struct cell_function *function = call->function;
	struct cell_resident *resident = function->resident;
	if (function->current != call)
		return;
	function->current = NULL;
	if (resident != NULL && (resident->is_connected || resident->is_full)) {
		bool is_late = call->outcome == LINK_TIMED_OUT && !resident->has_answer;
		disconnect(resident);
		if (is_late) {
			cell_resident_report(call, lost, sizeof(lost) - 1);
			eos_counter_add(&ended_total, 1);
		}
		if (is_late || resident->fwp == NULL)
			resident = function->resident = cell_resident_free(resident);
	}
	struct eos_list *next = eos_list_take(&function->queue);
	if (next != NULL) {
		function->current = EOS_CONTAINER_OF(next, struct cell_call, link);
		cell_call_move(function->current, CELL_CALL_READY);
	} else if (resident != NULL) {
		rest(resident);
	}
}
