/*
 * The order of sandbox_enter(), and why:
 *
 * 1. No new privileges: the later steps need it where the process is not root.
 * 2. The network namespace, while there are still capabilities. An ordinary user gets them from a
 *    user namespace of his own; no identity is mapped in it, because none is needed: files are
 *    still judged by the real user. Where the kernel refuses both, profiles that must not have
 *    a network are denied the making of sockets, by seccomp; all but NODE are anyway.
 * 3. Landlock, which needs to open the paths.
 * 4. Capabilities: the bounding set first, because dropping from it takes a capability.
 * 5. seccomp last, since it forbids most of the above.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"

/* Entering a user namespace takes the parent's death signal away; it is put back. */
static bool enter_network_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static int drop_capabilities(struct eos_why *why)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EPERM)
			return eos_why(why, -errno, "cannot drop capability %d: %s", capability,
				       strerror(errno));
	}
	/* Kernels before 4.3 have no ambient set. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capset, &header, none) < 0)
		return eos_why(why, -errno, "cannot drop capabilities: %s", strerror(errno));
	return 0;
}

int sandbox_enter(const struct sandbox_config *config, struct sandbox_report *ret_report,
		  struct eos_why *why)
{
	struct sandbox_report report = {false, false, false};
	int death_signal = 0;
	pid_t parent = getppid();
	if (prctl(PR_GET_PDEATHSIG, &death_signal) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return eos_why(why, -errno, "cannot give up privileges: %s", strerror(errno));
	if (!config->keep_network)
		report.has_network_namespace = enter_network_namespace();
	int has_landlock = sandbox_landlock(config, why);
	if (has_landlock < 0)
		return has_landlock;
	report.has_landlock = has_landlock == 1;
	int err = drop_capabilities(why);
	if (err < 0)
		return err;
	if (death_signal != 0 && prctl(PR_SET_PDEATHSIG, death_signal) < 0)
		return eos_why(why, -errno, "cannot follow the parent: %s", strerror(errno));
	if (death_signal != 0 && getppid() != parent)
		return eos_why(why, -ESRCH, "the parent is gone");
	bool has_sockets = config->profile == SANDBOX_PROFILE_NODE && config->keep_network;
	int has_seccomp = sandbox_seccomp(config->profile, has_sockets, why);
	if (has_seccomp < 0)
		return has_seccomp;
	report.has_seccomp = has_seccomp == 1;
	*ret_report = report;
	return 0;
}

int sandbox_die_with_parent(int parent_pid)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == parent_pid ? 0 : -ESRCH;
}
