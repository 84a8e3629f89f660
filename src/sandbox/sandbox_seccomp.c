#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>

#include <seccomp.h>

#include "sandbox/sandbox_priv.h"

/* PAGEMAP_SCAN of Linux 6.7, which Debian 12's headers do not have: _IOWR('f', 16, 96 bytes). */
#define IOCTL_PAGEMAP_SCAN 0xc0606610u
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* A rule set under construction: the first failure stays, so that it is checked once. */
struct builder {
	scmp_filter_ctx filter;
	int err;
};

static void keep_error(struct builder *builder, int err)
{
	/* -EEXIST: the rule is there already, from another list. */
	if (builder->err == 0 && err < 0 && err != -EEXIST)
		builder->err = err;
}

static void add(struct builder *builder, uint32_t action, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);
	if (call >= 0)
		keep_error(builder, seccomp_rule_add(builder->filter, action, call, 0));
}

static void add_list(struct builder *builder, uint32_t action, const char *const *names)
{
	for (; *names != NULL; names++) {
		bool is_needed = false;
		for (const char *const *n = sandbox_sanitizer_calls; *n != NULL; n++)
			is_needed |= strcmp(*n, *names) == 0;
		if (action == SCMP_ACT_ALLOW || !is_needed)
			add(builder, action, *names);
	}
}

/* The low 32 bits of argument INDEX, under MASK, are VALUE: the kernel looks at no others, so a
 * comparison of all 64 could be got round. */
static void add_if(struct builder *builder, uint32_t action, const char *name, unsigned index,
		   uint32_t mask, uint32_t value)
{
	int call = seccomp_syscall_resolve_name(name);
	if (call >= 0)
		keep_error(builder,
			   seccomp_rule_add(builder->filter, action, call, 1,
					    SCMP_CMP(index, SCMP_CMP_MASKED_EQ, mask, value)));
}

/* Allow-lists: the calls of which only a part is needed. */
static void allow_parts(struct builder *builder)
{
	static const uint32_t ioctls[] = {TCGETS,  TIOCGWINSZ, FIONREAD,
					  FIONBIO, FIOCLEX,    IOCTL_PAGEMAP_SCAN};
	static const uint32_t prctls[] = {PR_SET_NAME,	    PR_GET_NAME,       PR_SET_PDEATHSIG,
					  PR_GET_PDEATHSIG, PR_SET_TIMERSLACK, PR_SET_VMA};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(ioctls); i++)
		add_if(builder, SCMP_ACT_ALLOW, "ioctl", 1, UINT32_MAX, ioctls[i]);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(prctls); i++)
		add_if(builder, SCMP_ACT_ALLOW, "prctl", 0, UINT32_MAX, prctls[i]);
	/* glibc's fstat(). */
	add_if(builder, SCMP_ACT_ALLOW, "newfstatat", 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
	/* Reading limits (pthread_getattr_np() does), not setting them. */
	int call = seccomp_syscall_resolve_name("prlimit64");
	keep_error(builder, seccomp_rule_add(builder->filter, SCMP_ACT_ALLOW, call, 1,
					     SCMP_CMP(2, SCMP_CMP_EQ, 0)));
	/* Threads, not processes. */
	add_if(builder, SCMP_ACT_ALLOW, "clone", 0, CLONE_THREAD, CLONE_THREAD);
}

static void deny_namespaces(struct builder *builder)
{
	static const uint32_t flags[] = {CLONE_NEWNS,	CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
					 CLONE_NEWUSER, CLONE_NEWPID,	 CLONE_NEWNET};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(flags); i++)
		add_if(builder, SCMP_ACT_ERRNO(EPERM), "clone", 0, flags[i], flags[i]);
}

static void build(struct builder *builder, const struct sandbox_rules *rules, bool has_sockets)
{
	uint32_t action = rules->is_allow_list ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
	/* A filter cannot see clone3's flags, which are in memory; libc falls back to clone(). */
	add(builder, SCMP_ACT_ERRNO(ENOSYS), "clone3");
	for (const char *const *const *set = rules->sets; *set != NULL; set++)
		add_list(builder, action, *set);
	if (rules->is_allow_list) {
		add_list(builder, SCMP_ACT_ALLOW, sandbox_sanitizer_calls);
		allow_parts(builder);
	} else {
		deny_namespaces(builder);
		if (!has_sockets)
			add_list(builder, action, sandbox_socket_calls);
	}
}

int sandbox_seccomp(enum sandbox_profile profile, bool has_sockets, struct eos_why *why)
{
	const struct sandbox_rules *rules = sandbox_rules(profile);
	if (rules == NULL)
		return eos_why(why, -EINVAL, "unknown sandbox profile %d", (int)profile);
	if (prctl(PR_GET_SECCOMP) < 0)
		return 0;
	struct builder builder = {
		seccomp_init(rules->is_allow_list ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW), 0};
	if (builder.filter == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	keep_error(&builder, seccomp_attr_set(builder.filter, SCMP_FLTATR_ACT_BADARCH,
					      SCMP_ACT_KILL_PROCESS));
	/* A balanced tree: the filter runs at each system call. */
	keep_error(&builder, seccomp_attr_set(builder.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	build(&builder, rules, has_sockets);
	if (builder.err == 0)
		keep_error(&builder, seccomp_load(builder.filter));
	seccomp_release(builder.filter);
	if (builder.err < 0)
		return eos_why(why, builder.err, "cannot set up the system call filter: %s",
			       strerror(-builder.err));
	return 1;
}
