/*
 * What runs on the stack of a stage's FWP, as a host function, around the guest's handlers. The
 * host has put the packet into the slot, or chosen the timer, before it gives the FWP the
 * processor; whoever gets it next, which is decided on this stack (chain_run.c), is given it
 * directly.
 */
#include "chain/chain_priv.h"

void chain_fwp_entry(struct fwp *fwp, void *instance)
{
	struct chain_fwp *c = fwp_context(fwp);
	for (;;) {
		if (EOS_LIKELY(c->task == CHAIN_TASK_PACKET)) {
			uint32_t address = c->argument, len = c->len;
			fwp_host_leave(fwp);
			uint32_t verdict = c->stage->packet(instance, address, len);
			fwp_host_enter(fwp);
			c->verdict = verdict;
		} else {
			uint32_t id = c->argument;
			fwp_host_leave(fwp);
			c->stage->timer(instance, id);
			fwp_host_enter(fwp);
		}
		c->is_done = true;
		fwp_block(fwp);
	}
}
