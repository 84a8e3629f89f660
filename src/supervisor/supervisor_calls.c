/*
 * Calls: from func_queue's start() to its done().
 *
 *   FREE → WAITING → RUNNING → ENDING → FREE
 *             └───────────────────┘
 *
 * A call occupies a slot of calls[]; its id in the protocol is the slot and a round that only
 * grows, so ids never come again. func_queue gets its call back on the way to ENDING; the slot
 * stays taken until the call's request is finished and its files are closed, because a worker may
 * have them.
 *
 * Hung cells. A cell ends a call at its timeout, counted from the receipt of the INVOKE, whatever
 * the others do: it takes the processor away from guests. A call that is overdue by more than a
 * grace, which is for a machine under load, says that the cell hangs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "supervisor/supervisor_priv.h"

#define TICK_MS		250u
#define NO_CELL_WAIT_NS (10 * EOS_NS_PER_S)
#define LOADING_WAIT_NS (10 * EOS_NS_PER_S)

EOS_COUNTER(calls_total, "supervisor.calls_total", "Calls that were given to a cell.")
EOS_COUNTER(lost_total, "supervisor.calls_lost_total", "Calls whose cell died under them.")
EOS_COUNTER(no_slot_total, "supervisor.calls_refused_total",
	    "Calls refused because LINK_CALLS_MAX were under way.")

static_assert(FUNC_RUNNING_MAX <= LINK_CALLS_MAX, "each running call has a slot");
static_assert(FUNC_OUTPUT_MAX == LINK_OUTPUT_MAX, "one limit, enforced on both sides");
static_assert((int)FUNC_ACCESS_READ == (int)LINK_ACCESS_READ &&
		      (int)FUNC_ACCESS_WRITE == (int)LINK_ACCESS_WRITE,
	      "grants cross the link as they are");
static_assert(FUNC_CPU_CLASSES == LINK_CLASSES && FUNC_HOST_CALLS_MAX == LINK_HOST_CALLS_MAX &&
		      FUNC_BUDGET_NS_MIN == LINK_BUDGET_NS_MIN &&
		      FUNC_PERIOD_NS_MIN == LINK_PERIOD_NS_MIN &&
		      FUNC_PERIOD_NS_MAX == LINK_PERIOD_NS_MAX,
	      "what a manifest may say of processors crosses the link");
static_assert(FUNC_RUNNING_MAX == LINK_FWPS_MAX, "each running call may have an FWP");
static_assert(FUNC_GRANTS_MAX <= LINK_PREOPENS_MAX && FUNC_NAME_MAX <= LINK_NAME_MAX &&
		      STORE_BUCKET_NAME_MAX <= LINK_NAME_MAX && STORE_KEY_MAX <= LINK_PATH_MAX,
	      "a manifest fits an INVOKE");

struct supervisor_call *supervisor_call_find(struct supervisor *supervisor, uint64_t id)
{
	struct supervisor_call *call = &supervisor->calls[id % LINK_CALLS_MAX];
	return call->state == SUPERVISOR_CALL_RUNNING && call->id == id ? call : NULL;
}

static struct supervisor_call *take_slot(struct supervisor *supervisor)
{
	if (supervisor->free_slots_count == 0)
		return NULL;
	uint16_t slot = supervisor->free_slots[--supervisor->free_slots_count];
	struct supervisor_call *call = &supervisor->calls[slot];
	EOS_ASSERT(call->state == SUPERVISOR_CALL_FREE);
	supervisor->call_rounds++;
	*call = (struct supervisor_call){
		.state = SUPERVISOR_CALL_WAITING,
		.supervisor = supervisor,
		.id = supervisor->call_rounds * LINK_CALLS_MAX + slot,
		.since_ns = eos_now_ns(),
	};
	eos_list_init(&call->link);
	return call;
}

void supervisor_call_settle(struct supervisor_call *call)
{
	struct supervisor *supervisor = call->supervisor;
	EOS_ASSERT(call->state == SUPERVISOR_CALL_ENDING);
	if (call->request != NULL)
		return; /* its end comes here again */
	if (call->files != NULL) {
		supervisor_files_close(call);
		return;
	}
	call->state = SUPERVISOR_CALL_FREE;
	supervisor->free_slots[supervisor->free_slots_count++] =
		(uint16_t)(call - supervisor->calls);
}

static void want_tick(struct supervisor *supervisor)
{
	if (supervisor->is_ticking || supervisor->is_stopping)
		return;
	supervisor->is_ticking = true;
	eos_timer_arm(supervisor->tick_timer, TICK_MS);
}

void supervisor_call_start(void *ctx, struct func_call *func_call)
{
	struct supervisor *supervisor = ctx;
	struct supervisor_call *call = supervisor->is_stopping ? NULL : take_slot(supervisor);
	if (call == NULL) {
		eos_counter_add(&no_slot_total, 1);
		func_call->outcome = FUNC_REFUSED;
		snprintf(func_call->text, sizeof(func_call->text), "%s",
			 supervisor->is_stopping ? "the node is shutting down"
						 : "too many calls at once");
		func_queue_done(supervisor->config.queue, func_call);
		return;
	}
	call->call = func_call;
	func_call->executor_data = call;
	supervisor->calls_started++;
	want_tick(supervisor);
	int err = supervisor_image_join(call);
	if (err < 0)
		supervisor_call_end(call, FUNC_REFUSED, "the cell holds as many images as it may");
}

void supervisor_call_cancel(void *ctx, struct func_call *func_call)
{
	struct supervisor_call *call = func_call->executor_data;
	if (call->state == SUPERVISOR_CALL_WAITING) {
		supervisor_call_end(call, FUNC_REFUSED, "cancelled");
		return;
	}
	if (call->is_cancelled)
		return;
	call->is_cancelled = true;
	struct link_cancel cancel = {.header.kind = LINK_CANCEL, .call_id = call->id};
	supervisor_send(call->supervisor, &cancel, sizeof(cancel), NULL, 0);
}

/* Cut to what the struct holds; control characters become '?'. */
static void set_text(struct func_call *call, const char *text, size_t len)
{
	len = EOS_MIN(len, sizeof(call->text) - 1);
	memcpy(call->text, text, len);
	call->text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)call->text[i] < 0x20 || call->text[i] == 0x7f)
			call->text[i] = '?';
}

void supervisor_call_end(struct supervisor_call *call, enum func_outcome outcome, const char *text)
{
	struct supervisor *supervisor = call->supervisor;
	struct func_call *func_call = call->call;
	EOS_ASSERT(call->state == SUPERVISOR_CALL_WAITING ||
		   call->state == SUPERVISOR_CALL_RUNNING);
	eos_list_remove(&call->link);
	if (call->state == SUPERVISOR_CALL_RUNNING) {
		EOS_ASSERT(supervisor->calls_running > 0 && call->image->running > 0);
		supervisor->calls_running--;
		call->image->running--;
	}
	call->state = SUPERVISOR_CALL_ENDING;
	call->call = NULL;
	call->image = NULL;
	supervisor_call_settle(call);
	func_call->executor_data = NULL;
	func_call->outcome = outcome;
	if (text != NULL)
		set_text(func_call, text, strlen(text));
	func_call->ended_ns = eos_now_ns();
	if (func_call->errors.len > 0)
		func_log_append(supervisor->config.log, func_call->func->manifest->name,
				func_call->errors.data, func_call->errors.len);
	/* Last: it may start the next call. */
	func_queue_done(supervisor->config.queue, func_call);
}

/* The environment block's variables, or -1 when there are more than a call may have. */
static int count_variables(const struct eos_buf *environment)
{
	unsigned count = 0;
	for (size_t at = 0; at < environment->len; count++) {
		const char *end = memchr(environment->data + at, '\0', environment->len - at);
		if (end == NULL || end == environment->data + at || count == LINK_VARIABLES_MAX)
			return -1;
		at = (size_t)(end - environment->data) + 1;
	}
	return (int)count;
}

static char *put(char *out, const void *data, size_t len)
{
	if (len > 0)
		memcpy(out, data, len);
	return out + len;
}

static char *put_preopens(char *out, const struct func_manifest *manifest)
{
	for (unsigned i = 0; i < manifest->grants_count; i++) {
		struct link_preopen preopen = {.access = manifest->grants[i].access};
		strcpy(preopen.bucket, manifest->grants[i].bucket); /* sizes: see above */
		out = put(out, &preopen, sizeof(preopen));
	}
	return out;
}

static struct link_budget budget_of(const struct func_budget *cpu)
{
	return (struct link_budget){.budget_ns = cpu->budget_ns, .period_ns = cpu->period_ns};
}

/* Fills HEADER and the payload. -E2BIG: the environment does not fit. */
static int make_invoke(struct supervisor_call *call, struct link_invoke *ret_invoke)
{
	struct supervisor *supervisor = call->supervisor;
	const struct func_call *func_call = call->call;
	const struct func_manifest *manifest = func_call->func->manifest;
	int variables = count_variables(&func_call->environment);
	size_t name_len = strlen(manifest->name), tenant_len = strlen(manifest->tenant);
	size_t fixed = manifest->grants_count * sizeof(struct link_preopen) + name_len + tenant_len;
	if (variables < 0 || func_call->environment.len > LINK_PAYLOAD_MAX - fixed)
		return -E2BIG;
	size_t room = LINK_PAYLOAD_MAX - fixed - func_call->environment.len;
	size_t input_len = EOS_MIN(func_call->input.len, (size_t)LINK_INPUT_INLINE_MAX);
	input_len = EOS_MIN(input_len, room);
	char *out = put_preopens(supervisor->payload, manifest);
	out = put(out, manifest->name, name_len);
	out = put(out, manifest->tenant, tenant_len);
	out = put(out, func_call->environment.data, func_call->environment.len);
	out = put(out, func_call->input.data, input_len);
	*ret_invoke = (struct link_invoke){
		.header = {.kind = LINK_INVOKE,
			   .payload_len = (uint32_t)(out - supervisor->payload)},
		.call_id = call->id,
		.memory_bytes = manifest->memory_bytes,
		.stack_bytes = manifest->stack_bytes,
		.timeout_ns = manifest->timeout_ns,
		.input_len = func_call->input.len,
		.deployment = func_call->func->deployed_ns,
		.function = budget_of(&manifest->cpu),
		.tenant = budget_of(&func_call->tenant->cpu),
		.host_calls_per_s = manifest->host_calls_per_s,
		.task_class = manifest->cpu_class,
		.image_id = (uint32_t)(call->image - supervisor->images),
		.flags = func_call->event != NULL ? LINK_INVOKE_EVENT : 0,
		.preopens_count = manifest->grants_count,
		.name_len = (uint32_t)name_len,
		.tenant_len = (uint32_t)tenant_len,
		.environment_len = (uint32_t)func_call->environment.len,
		.environment_count = (uint32_t)variables,
		.input_inline_len = (uint32_t)input_len,
	};
	return 0;
}

void supervisor_call_invoke(struct supervisor_call *call)
{
	struct supervisor *supervisor = call->supervisor;
	struct link_invoke invoke;
	EOS_ASSERT(call->state == SUPERVISOR_CALL_WAITING);
	if (make_invoke(call, &invoke) < 0) {
		supervisor_call_end(call, FUNC_REFUSED, "the environment is too large");
		return;
	}
	eos_list_remove(&call->link);
	eos_list_add_tail(&supervisor->running, &call->link);
	call->state = SUPERVISOR_CALL_RUNNING;
	call->since_ns = eos_now_ns();
	call->image->running++;
	supervisor->calls_running++;
	call->call->started_ns = call->since_ns;
	eos_counter_add(&calls_total, 1);
	supervisor_send(supervisor, &invoke, sizeof(invoke), supervisor->payload,
			invoke.header.payload_len);
}

/* -EFBIG: over the limit. -ENOMEM. */
static int add_output(struct func_call *call, struct link_span bytes)
{
	if (bytes.len > FUNC_OUTPUT_MAX - EOS_MIN(call->output.len, (size_t)FUNC_OUTPUT_MAX))
		return -EFBIG;
	return eos_buf_append(&call->output, bytes.data, bytes.len);
}

/* The last SUPERVISOR_ERRORS_MAX bytes are kept; without memory, less. */
static void add_errors(struct func_call *call, struct link_span bytes)
{
	if (eos_buf_append(&call->errors, bytes.data, bytes.len) < 0)
		eos_buf_clear(&call->errors);
	/* Cut at twice the limit, so that a byte is moved once on average. */
	if (call->errors.len > 2 * SUPERVISOR_ERRORS_MAX)
		eos_buf_consume(&call->errors, call->errors.len - SUPERVISOR_ERRORS_MAX);
}

static void cut_errors(struct func_call *call)
{
	if (call->errors.len > SUPERVISOR_ERRORS_MAX)
		eos_buf_consume(&call->errors, call->errors.len - SUPERVISOR_ERRORS_MAX);
}

int supervisor_call_output(struct supervisor *supervisor, const struct link_message *message)
{
	struct supervisor_call *call = supervisor_call_find(supervisor, message->output.call_id);
	if (call == NULL)
		return -EBADMSG;
	if (message->output.stream == LINK_STREAM_ERRORS) {
		add_errors(call->call, message->payload);
	} else if (!call->is_over_limit && add_output(call->call, message->payload) < 0) {
		call->is_over_limit = true;
		supervisor_call_cancel(supervisor, call->call);
	}
	return 0;
}

static enum func_outcome outcome_of(const struct link_done *done)
{
	switch (done->outcome) {
	case LINK_EXITED:
		return done->code == 0 ? FUNC_OK : FUNC_EXIT;
	case LINK_TRAPPED:
		return FUNC_TRAP;
	case LINK_TIMED_OUT:
		return FUNC_TIMEOUT;
	case LINK_OUTPUT_LIMIT:
		return FUNC_OUTPUT_LIMIT;
	case LINK_NOT_STARTED:
		/* A failed initialisation is a failed attempt, like a trap that comes later. */
		return done->code == LINK_FAULT_FUNCTION ? FUNC_TRAP : FUNC_REFUSED;
	default:
		return FUNC_REFUSED; /* cancelled */
	}
}

int supervisor_call_done(struct supervisor *supervisor, const struct link_message *message)
{
	const struct link_done *done = &message->done;
	struct supervisor_call *call = supervisor_call_find(supervisor, done->call_id);
	if (call == NULL)
		return -EBADMSG;
	struct func_call *func_call = call->call;
	enum func_outcome outcome = outcome_of(done);
	const char *text = NULL;
	add_errors(func_call, message->done_parts.errors);
	cut_errors(func_call);
	if (!call->is_over_limit && add_output(func_call, message->done_parts.output) < 0)
		call->is_over_limit = true;
	func_call->exit_code = done->code;
	set_text(func_call, message->done_parts.text.data, message->done_parts.text.len);
	if (outcome == FUNC_EXIT && func_call->text[0] == '\0')
		snprintf(func_call->text, sizeof(func_call->text), "exit code %u", done->code);
	if (call->is_over_limit) {
		outcome = FUNC_OUTPUT_LIMIT;
		text = "wrote more than it may";
	}
	supervisor_call_end(call, outcome, text);
	return 0;
}

void supervisor_calls_lost(struct supervisor *supervisor, const char *text)
{
	/* New ones cannot come to run meanwhile: there is no cell that is ready. */
	while (!eos_list_is_empty(&supervisor->running)) {
		struct supervisor_call *call =
			EOS_CONTAINER_OF(supervisor->running.next, struct supervisor_call, link);
		eos_counter_add(&lost_total, 1);
		cut_errors(call->call);
		supervisor_call_end(call, supervisor->is_stopping ? FUNC_REFUSED : FUNC_CELL_LOST,
				    text);
	}
}

void supervisor_calls_refuse(struct supervisor *supervisor, const char *text)
{
	EOS_ASSERT(supervisor->is_stopping);
	for (size_t i = 0; i < LINK_CALLS_MAX; i++) {
		struct supervisor_call *call = &supervisor->calls[i];
		if (call->state == SUPERVISOR_CALL_WAITING ||
		    call->state == SUPERVISOR_CALL_RUNNING)
			supervisor_call_end(call, FUNC_REFUSED, text);
	}
}

static bool is_overdue(const struct supervisor_call *call, uint64_t now_ns)
{
	uint64_t allowed_ns = call->call->func->manifest->timeout_ns;
	uint64_t waited_ns = now_ns - call->since_ns;
	/* A subtraction, because timeouts may be as long as anybody likes. */
	return allowed_ns > 0 && waited_ns > allowed_ns &&
	       waited_ns - allowed_ns > SUPERVISOR_GRACE_NS;
}

/* Waiting calls: for a cell not without end; for the cell's answer to a LOAD neither. */
static void check_waiting(struct supervisor *supervisor, struct supervisor_call *call,
			  uint64_t now_ns)
{
	uint64_t waited_ns = now_ns - call->since_ns;
	enum supervisor_image_state state = call->image->state;
	if (state == SUPERVISOR_IMAGE_OPENED && waited_ns > NO_CELL_WAIT_NS)
		supervisor_call_end(call, FUNC_CELL_LOST, "there is no cell");
	else if (state == SUPERVISOR_IMAGE_LOADING &&
		 now_ns - call->image->since_ns > LOADING_WAIT_NS)
		supervisor_cell_condemn(supervisor, "it does not answer");
}

void supervisor_calls_check(struct supervisor *supervisor)
{
	uint64_t now_ns = eos_now_ns();
	bool is_any = false;
	supervisor->is_ticking = false;
	for (size_t i = 0; i < LINK_CALLS_MAX; i++) {
		struct supervisor_call *call = &supervisor->calls[i];
		if (call->state == SUPERVISOR_CALL_RUNNING && is_overdue(call, now_ns))
			supervisor_cell_condemn(supervisor, "it hangs in a call");
		if (call->state == SUPERVISOR_CALL_WAITING)
			check_waiting(supervisor, call, now_ns);
		is_any |= call->state == SUPERVISOR_CALL_RUNNING ||
			  call->state == SUPERVISOR_CALL_WAITING;
	}
	if (is_any)
		want_tick(supervisor);
}
