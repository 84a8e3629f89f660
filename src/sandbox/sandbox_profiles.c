/*
 * The system calls of each profile.
 *
 * CELL and RUN work on tenants' programs and on their data: lists of what they need, and any other
 * call kills the process, visibly (SIGSYS). COMPILER and NODE run large programs of others
 * (compilers, libraries), whose needs change with every version: lists of what nobody there
 * needs, which fails with EPERM. Calls with rules for their arguments (clone, ioctl, prctl, fstat)
 * are in sandbox_seccomp.c.
 */
#include <stddef.h>

#include "sandbox/sandbox_priv.h"

static const char *const cell_calls[] = {
	/* descriptors that are open */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "dup", "fcntl",
	"fstat", "ftruncate", "recvmsg", "sendmsg", "recvfrom", "sendto", "shutdown", "poll",
	"ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "memfd_create",
	/* memory */
	"mmap", "munmap", "mprotect", "madvise", "mremap", "brk", "mlock", "munlock", "membarrier",
	/* signals and time */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
	"rt_sigqueueinfo", "rt_tgsigqueueinfo", "rt_sigsuspend", "sigaltstack", "tgkill",
	"timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"setitimer", "restart_syscall",
	/* threads, and what they are */
	"futex", "futex_waitv", "set_robust_list", "set_tid_address", "rseq", "sched_yield",
	"sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
	"gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo",
	"getrusage", "arch_prctl", "getrandom", "exit", "exit_group", NULL};

static const char *const run_calls[] = {
	"openat",     "openat2",	 "open",      "access",	    "faccessat",
	"faccessat2", "newfstatat",	 "stat",      "lstat",	    "statx",
	"statfs",     "fstatfs",	 "readlink",  "readlinkat", "getdents64",
	"mkdirat",    "unlinkat",	 "renameat",  "renameat2",  "linkat",
	"symlinkat",  "utimensat",	 "fallocate", "fadvise64",  "fsync",
	"fdatasync",  "sync_file_range", "preadv",    "pwritev",    "preadv2",
	"pwritev2",   "copy_file_range", "sendfile",  "flock",	    "fchmod",
	"umask",      "getcwd",		 "dup3",      NULL};

static const char *const danger_calls[] = {
	/* other processes' memory and descriptors */
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
	/* the tree of mounts, and ways around names */
	"mount", "umount2", "umount", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
	"fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "name_to_handle_at",
	/* namespaces; clone's flags are in sandbox_seccomp.c */
	"unshare", "setns",
	/* the machine */
	"reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
	"swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday", "clock_settime",
	"clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "syslog",
	"vhangup", "nfsservctl", "lookup_dcookie",
	/* large parts of the kernel that nobody here uses */
	"bpf", "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl",
	"io_uring_setup", "io_uring_enter", "io_uring_register", "vmsplice", "uselib", "_sysctl",
	"remap_file_pages", "move_pages", "migrate_pages", "mbind", "set_mempolicy", NULL};

/* A tool stays in its process group, so that killing the group reaches it. */
static const char *const leave_group_calls[] = {"setsid", "setpgid", NULL};

const char *const sandbox_socket_calls[] = {"socket", "socketpair", NULL};

const char *const sandbox_sanitizer_calls[] = {
#if SANDBOX_HAS_SANITIZER
	"openat", "open",    "readlink", "readlinkat", "getdents64", "newfstatat",
	"stat",	  "lstat",   "clone",	 "fork",       "vfork",	     "wait4",
	"waitid", "ptrace",  "kill",	 "prctl",      "prlimit64",  "pipe",
	"pipe2",  "dup2",    "execve",	 "setrlimit",  "getrlimit",  "process_vm_readv",
	"access", "mincore", "getdents",
#endif
	NULL};

static const char *const *const cell_sets[] = {cell_calls, NULL};
static const char *const *const run_sets[] = {cell_calls, run_calls, NULL};
static const char *const *const compiler_sets[] = {danger_calls, leave_group_calls, NULL};
static const char *const *const node_sets[] = {danger_calls, NULL};

const struct sandbox_rules *sandbox_rules(enum sandbox_profile profile)
{
	static const struct sandbox_rules rules[] = {
		[SANDBOX_PROFILE_CELL] = {true, cell_sets},
		[SANDBOX_PROFILE_RUN] = {true, run_sets},
		[SANDBOX_PROFILE_COMPILER] = {false, compiler_sets},
		[SANDBOX_PROFILE_NODE] = {false, node_sets},
	};
	return (size_t)profile < EOS_ARRAY_SIZE(rules) ? &rules[profile] : NULL;
}
