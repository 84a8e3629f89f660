/*
 * A turn of a stage's FWP: what runs, as a host function, around the guest's handlers. The host has
 * put the packet into the slot, or chosen the timer, before it gives the FWP the processor.
 */
#include "chain/chain_priv.h"

void chain_fwp_turn(struct fwp *fwp, void *instance)
{
	struct chain_fwp *c = fwp_context(fwp);
	uint32_t argument = c->argument, len = c->len;
	if (EOS_LIKELY(c->task == CHAIN_TASK_PACKET)) {
		fwp_host_leave(fwp);
		uint32_t verdict = c->stage->packet(instance, argument, len);
		fwp_host_enter(fwp);
		c->verdict = verdict;
	} else {
		fwp_host_leave(fwp);
		c->stage->timer(instance, argument);
		fwp_host_enter(fwp);
	}
	c->is_done = true;
}
