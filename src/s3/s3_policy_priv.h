/*
 * The conditions of policies, for the files that read and ask them.
 */
#pragma once

#include "base/node.h"
#include "s3/s3_policy.h"

/* Checks a statement's Condition element. -EINVAL, and WHY says where. */
int s3_policy_check_conditions(const struct eos_node *conditions,
			       struct eos_why *why) EOS_MUST_CHECK;
/* Do all of a checked element's conditions hold? */
bool s3_policy_conditions_hold(const struct eos_node *conditions,
			       const struct s3_policy_question *question);
/* Does it let in only those who come from a bounded range of addresses? */
bool s3_policy_conditions_bound(const struct eos_node *conditions);

/* One text or a list of texts: how many, and the one at INDEX. */
size_t s3_policy_texts(const struct eos_node *node);
const char *s3_policy_text(const struct eos_node *node, size_t index);
/* -EINVAL unless NODE is a text or a list of one or more. */
int s3_policy_check_texts(const struct eos_node *node, const char *name,
			  struct eos_why *why) EOS_MUST_CHECK;
