/*
 * Fault points: named places where a test lets an operation fail or the process die.
 *
 * `if ((err = eos_fault("store.block_fsync")) < 0) goto fail;` costs one load when nothing is
 * armed. Points are armed from the environment variable EDGEOS_FAULTS, read once by
 * eos_fault_init(), as a list of POINT:NTH=ACTION separated by commas, where ACTION is an errno's
 * name (EIO, ENOSPC, EINTR, ENOMEM) or `kill` (SIGKILL to ourselves). NTH counts from 1; `*` is
 * each time. Any thread.
 */
#pragma once

#include "base/macros.h"
#include "base/why.h"

/* -EINVAL: the variable is malformed, and WHY says where. */
int eos_fault_init(struct eos_why *why) EOS_MUST_CHECK;
/* The same from a text; NULL disarms. For unit tests. */
int eos_fault_arm(const char *spec, struct eos_why *why) EOS_MUST_CHECK;
/* 0, or the negative errno that was armed for this point and this pass. */
int eos_fault(const char *point);
