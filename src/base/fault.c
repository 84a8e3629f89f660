#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define FAULTS_MAX  16
#define ACTION_KILL 1 /* beside the negative errnos */

struct armed_fault {
	char point[64];
	uint64_t nth; /* 0: each time */
	int action;
	_Atomic uint64_t passes;
};

static struct armed_fault faults[FAULTS_MAX];
static _Atomic int faults_count; /* published with release after the entries are whole */

static int parse_action(const char *text, int *ret_action)
{
	static const struct {
		const char *name;
		int action;
	} actions[] = {
		{"kill", ACTION_KILL}, {"EIO", -EIO},	    {"ENOSPC", -ENOSPC},
		{"EINTR", -EINTR},     {"ENOMEM", -ENOMEM}, {"EMFILE", -EMFILE},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(actions); i++) {
		if (strcmp(text, actions[i].name) == 0) {
			*ret_action = actions[i].action;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_one(const char *text, struct armed_fault *fault)
{
	char copy[128];
	int err = eos_str_copy(copy, sizeof(copy), text);
	if (err < 0)
		return err;
	char *colon = strchr(copy, ':');
	char *equals = colon == NULL ? NULL : strchr(colon, '=');
	if (equals == NULL)
		return -EINVAL;
	*colon = *equals = '\0';
	err = eos_str_copy(fault->point, sizeof(fault->point), copy);
	if (err < 0)
		return err;
	fault->nth = 0;
	if (strcmp(colon + 1, "*") != 0) {
		err = eos_parse_u64(colon + 1, &fault->nth);
		if (err < 0 || fault->nth == 0)
			return -EINVAL;
	}
	atomic_store(&fault->passes, 0);
	return parse_action(equals + 1, &fault->action);
}

int eos_fault_arm(const char *spec, struct eos_why *why)
{
	atomic_store_explicit(&faults_count, 0, memory_order_release);
	int count = 0;
	while (spec != NULL && *spec != '\0') {
		char one[128];
		size_t len = strcspn(spec, ",");
		if (count == FAULTS_MAX || len >= sizeof(one))
			return eos_why(why, -EINVAL,
				       "EDGEOS_FAULTS: too long or more than %d points",
				       FAULTS_MAX);
		memcpy(one, spec, len);
		one[len] = '\0';
		if (parse_one(one, &faults[count]) < 0)
			return eos_why(why, -EINVAL,
				       "EDGEOS_FAULTS: \"%s\" is not POINT:NTH=ACTION", one);
		count++;
		spec += len + (spec[len] == ',');
	}
	atomic_store_explicit(&faults_count, count, memory_order_release);
	return 0;
}

int eos_fault_init(struct eos_why *why)
{
	return eos_fault_arm(getenv("EDGEOS_FAULTS"), why);
}

int eos_fault(const char *point)
{
	int count = atomic_load_explicit(&faults_count, memory_order_acquire);
	for (int i = 0; EOS_UNLIKELY(i < count); i++) {
		struct armed_fault *fault = &faults[i];
		if (strcmp(fault->point, point) != 0)
			continue;
		uint64_t pass = atomic_fetch_add(&fault->passes, 1) + 1;
		if (fault->nth != 0 && fault->nth != pass)
			continue;
		if (fault->action == ACTION_KILL)
			(void)raise(SIGKILL);
		return fault->action;
	}
	return 0;
}
