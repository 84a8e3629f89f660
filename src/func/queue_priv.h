/*
 * What the queue knows of a call beyond the public part.
 */
#pragma once

#include "base/macros.h"
#include "func/func.h"

enum func_call_state {
	FUNC_CALL_NEW,	   /* the trigger fills it in */
	FUNC_CALL_WAITING, /* in its lane */
	FUNC_CALL_RUNNING, /* with the executor */
	FUNC_CALL_DONE,	   /* on_done is being called, then it goes back to the pool */
};

struct func_lane;

struct func_queued {
	struct func_call call;
	enum func_call_state state; /* moved by queue.c only */
	struct func_lane *lane;	    /* while WAITING or RUNNING */
	struct func_queued *next_pooled;
};

static inline struct func_queued *func_queued_of(struct func_call *call)
{
	return EOS_CONTAINER_OF(call, struct func_queued, call);
}
