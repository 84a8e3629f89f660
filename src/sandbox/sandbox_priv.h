/*
 * The three mechanisms behind sandbox_enter(), each in a file of its own.
 *
 * Sanitizers: a program built with AddressSanitizer or ThreadSanitizer looks at /proc/self, starts
 * a tracing thread for leak checks and a symbolizer for reports. In such builds (and only there)
 * the profiles allow the system calls for that, and /proc may be read.
 */
#pragma once

#include "sandbox/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_HAS_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_HAS_SANITIZER
#define SANDBOX_HAS_SANITIZER 0
#endif

/* Restricts the file system, and what newer kernels can (TCP, signals, abstract sockets). 0: the
 * kernel has no Landlock; 1: done; negative errno. */
int sandbox_landlock(const struct sandbox_config *config, struct eos_why *why) EOS_MUST_CHECK;

/* Restricts the system calls. HAS_SOCKETS: the profile may make sockets. 0: the kernel has no
 * seccomp; 1: done; negative errno. */
int sandbox_seccomp(enum sandbox_profile profile, bool has_sockets,
		    struct eos_why *why) EOS_MUST_CHECK;

/* What a profile says about system calls; sandbox_profiles.c. Lists end with NULL; names that the
 * machine's processor does not have are skipped. */
struct sandbox_rules {
	bool is_allow_list;		/* else everything else is allowed */
	const char *const *const *sets; /* lists of names to allow or to deny, ended by NULL */
};

const struct sandbox_rules *sandbox_rules(enum sandbox_profile profile);
/* In sanitizer builds, what every profile allows too; else an empty list. */
extern const char *const sandbox_sanitizer_calls[];
extern const char *const sandbox_socket_calls[];
