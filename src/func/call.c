/*
 * Calls come from a pool, with the buffers of their former lives, so that a steady stream of
 * invocations does not allocate. A buffer that grew beyond BUFFER_KEPT is given back: one large
 * request must not hold its memory for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "func/queue_priv.h"

#define CALLS_KEPT  128
#define BUFFER_KEPT (64u << 10)

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct func_queued *pool; /* guarded by pool_lock, as the count */
static unsigned pool_count;
static _Atomic uint64_t last_id;

static void reset_buffer(struct eos_buf *buf)
{
	if (buf->cap > BUFFER_KEPT)
		eos_buf_fini(buf);
	else
		eos_buf_clear(buf);
}

static struct func_queued *take_pooled(void)
{
	pthread_mutex_lock(&pool_lock);
	struct func_queued *queued = pool;
	if (queued != NULL) {
		pool = queued->next_pooled;
		pool_count--;
	}
	pthread_mutex_unlock(&pool_lock);
	return queued;
}

int func_call_new(struct func *func, struct func_call **ret_call)
{
	struct func_queued *queued = take_pooled();
	if (queued == NULL)
		queued = calloc(1, sizeof(*queued));
	if (queued == NULL)
		return -ENOMEM;
	struct func_call *call = &queued->call;
	*queued = (struct func_queued){.call = {.environment = call->environment,
						.input = call->input,
						.output = call->output,
						.errors = call->errors}};
	eos_list_init(&call->link);
	call->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
	call->func = func_ref(func);
	*ret_call = call;
	return 0;
}

struct func_call *func_call_free(struct func_call *call)
{
	if (call == NULL)
		return NULL;
	struct func_queued *queued = func_queued_of(call);
	EOS_ASSERT(queued->state == FUNC_CALL_NEW || queued->state == FUNC_CALL_DONE);
	call->func = func_unref(call->func);
	free(call->event);
	call->event = NULL;
	reset_buffer(&call->environment);
	reset_buffer(&call->input);
	reset_buffer(&call->output);
	reset_buffer(&call->errors);
	pthread_mutex_lock(&pool_lock);
	bool is_kept = pool_count < CALLS_KEPT;
	if (is_kept) {
		queued->next_pooled = pool;
		pool = queued;
		pool_count++;
	}
	pthread_mutex_unlock(&pool_lock);
	if (is_kept)
		return NULL;
	eos_buf_fini(&call->environment);
	eos_buf_fini(&call->input);
	eos_buf_fini(&call->output);
	eos_buf_fini(&call->errors);
	free(queued);
	return NULL;
}
