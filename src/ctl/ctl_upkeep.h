/*
 * Upkeep of the store as a job: verify, repair, compact or rekey, one at a time, on a thread of its
 * own, because it takes as long as there is data and whoever asked for it will not hold a
 * connection open for that. The control server has one; `edgeos store` has one where no node runs.
 *
 * A job runs to its end, fails, or is stopped; what became of the last one stays to be asked for
 * until the next begins or ctl_upkeep_free(). Of the problems that it finds the first
 * CTL_UPKEEP_PROBLEMS_MAX are kept, all are counted. Its end is logged.
 *
 * All functions are for any thread. One lock guards everything; it is never held while the store
 * works.
 */
#pragma once

#include "base/json.h"
#include "base/macros.h"
#include "store/store.h"

#define CTL_UPKEEP_PROBLEMS_MAX 256u

enum ctl_upkeep_kind { CTL_UPKEEP_VERIFY, CTL_UPKEEP_REPAIR, CTL_UPKEEP_COMPACT, CTL_UPKEEP_REKEY };
/* "verify" and so on; false: none of them. */
bool ctl_upkeep_parse_kind(const char *name, enum ctl_upkeep_kind *ret_kind);

struct ctl_upkeep;
/* STORE is borrowed until ctl_upkeep_free(). -ENOMEM. */
int ctl_upkeep_new(struct store *store, struct ctl_upkeep **ret_upkeep) EOS_MUST_CHECK;
/* Closes it first. */
struct ctl_upkeep *ctl_upkeep_free(struct ctl_upkeep *upkeep);
/* Stops the job that runs, waits for its end, and lets none begin afterwards. */
void ctl_upkeep_close(struct ctl_upkeep *upkeep);

/* -EBUSY: one runs; -ECANCELED: closed; -EAGAIN, -ENOMEM: no thread. */
int ctl_upkeep_start(struct ctl_upkeep *upkeep, enum ctl_upkeep_kind kind) EOS_MUST_CHECK;
/* Asks the job that runs to end soon; does not wait. -ENOENT: none runs. */
int ctl_upkeep_stop(struct ctl_upkeep *upkeep) EOS_MUST_CHECK;
/* Writes an object with the state of the last job, as docs/control-api.md describes it. */
void ctl_upkeep_put(struct ctl_upkeep *upkeep, struct eos_json *json);
