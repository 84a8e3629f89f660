/*
 * Templates: what an instance of an image is after its own initialisation, to start others from.
 *
 * The initialisation runs once, in an FWP of its own: the module's data segments, its start
 * function, and the exports `_initialize` (for modules without `_start`) and `edgeos_init` if it
 * has them. What it left in memory, globals and tables is captured. An FWP made from the template
 * finds all of that, shares its pages with all others until it writes to them, and runs only
 * "_start" (or its entry).
 *
 * What the initialisation did outside of its instance (files it opened, random numbers it drew) is
 * not repeated: all FWPs of a template have drawn the same. So a template belongs to one tenant and
 * one configuration, and it is for the owner to make another when these change.
 *
 * A template belongs to the engine in which it was captured, and is used on its thread.
 */
#pragma once

#include "fwp/fwp.h"

struct fwp_template;

/*
 * The FWP that initialises: fwp_run_until() it like any other; it may block. When it has died with
 * exit code 0, capture. Errors as fwp_new(). LIMITS bound the initialisation; FWPs that are made
 * from the template later have their own.
 */
int fwp_new_for_template(struct fwp_engine *engine, struct fwp_image *image,
			 const struct fwp_limits *limits, void *context, struct fwp **ret_fwp,
			 struct eos_why *why) EOS_MUST_CHECK;
/*
 * Makes the template of what FWP, from fwp_new_for_template(), has left; the FWP is still to be
 * freed. -EINVAL: it is not dead of exit code 0; -E2BIG: the module has more than
 * FWP_TEMPLATE_TABLES_MAX tables, or more pointers in them than fit; -ENOMEM. The template starts
 * with one reference.
 */
#define FWP_TEMPLATE_TABLES_MAX 256u
int fwp_template_capture(struct fwp *fwp, struct fwp_template **ret_template,
			 struct eos_why *why) EOS_MUST_CHECK;
/* Both in one for initialisations that do not block, within LIMITS. -EIO: it trapped, blocked or
 * exited with another code, and WHY says which. */
int fwp_template_new(struct fwp_engine *engine, struct fwp_image *image,
		     const struct fwp_limits *limits, void *context,
		     struct fwp_template **ret_template, struct eos_why *why) EOS_MUST_CHECK;
/*
 * The FWP_PAGE_BYTES at ADDRESS become the engine's shared page: one and the same in the memory of
 * all FWPs that are made from templates with one. What goes through thousands of FWPs of a
 * processor is in its cache there, and is not copied from one memory to the next. Each that runs
 * sees what the one before left there: whoever schedules them writes to the page, all of it, before
 * each turn (at the FWP's address, or by fwp_engine_page()), and lets nobody else have a turn while
 * one is in the middle of his.
 * Before the first FWP is made of TEMPLATE. For FWPs for turns (below) of an engine whose
 * configuration says shares_page, which has the page from its start: others cost more kernel
 * mappings than fwps_max was checked for. -EINVAL: ADDRESS is not a multiple of that, or not in the
 * initial memory; -ENOTSUP: this machine's pages are larger; -ENOMEM.
 */
int fwp_template_share_page(struct fwp_template *template, uint32_t address) EOS_MUST_CHECK;
/* That page, at an address of the host's; NULL: there is none. Valid as long as the engine. */
uint8_t *fwp_engine_page(const struct fwp_engine *engine);
/* How many bytes below the linear memory are an instance's globals and tables. */
size_t fwp_template_arena_bytes(const struct fwp_template *template);
struct fwp_template *fwp_template_ref(struct fwp_template *template);
/* The last one frees it; each FWP made from it holds one. NULL is fine. */
struct fwp_template *fwp_template_unref(struct fwp_template *template);

/* As fwp_new(). -EINVAL also: the template's memory is beyond the limit. */
int fwp_new_from(struct fwp_template *template, const struct fwp_limits *limits, void *context,
		 struct fwp **ret_fwp, struct eos_why *why) EOS_MUST_CHECK;
/* As fwp_new_with_entry(). */
int fwp_new_from_with_entry(struct fwp_template *template, const struct fwp_limits *limits,
			    void *context, void (*entry)(struct fwp *fwp, void *instance),
			    struct fwp **ret_fwp, struct eos_why *why) EOS_MUST_CHECK;
/*
 * An FWP for turns: it has no stack while it waits. Each time that it gets the processor TURN(FWP,
 * INSTANCE) is called, as fwp_new_with_entry()'s ENTRY, on a stack that all of the engine's FWPs
 * for turns share; when it returns, the FWP is blocked. For thousands of them that are served in
 * turns, each for a short while: nothing of a stack has to come from memory then, and one follows
 * the other without a switch (fwp_run_turns()).
 * In its turn it may block, yield and be preempted, and goes on in the middle of it. Until that
 * turn is over, or the FWP is dead or freed, no other one for turns may run: whoever schedules them
 * sees to it. Errors as fwp_new_from_with_entry().
 */
int fwp_new_from_for_turns(struct fwp_template *template, const struct fwp_limits *limits,
			   void *context, void (*turn)(struct fwp *fwp, void *instance),
			   struct fwp **ret_fwp, struct eos_why *why) EOS_MUST_CHECK;
