/*
 * A function's manifest: what it may do, when it runs, within which limits. Decoded from YAML,
 * checked whole before anything is changed. docs/manifest.md lists the keys.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"
#include "func/tenant.h"
#include "store/store.h"

#define FUNC_GRANTS_MAX	      32u
#define FUNC_TRIGGERS_MAX     32u
#define FUNC_CONFIG_MAX	      64u
#define FUNC_PATH_MAX	      255u
#define FUNC_CONFIG_BYTES_MAX 32768u		   /* all "K=V" of a function together */
#define FUNC_CPU_CLASSES      8u		   /* 0 goes first */
#define FUNC_CPU_CLASS	      4u		   /* the default */
#define FUNC_ADDRESS_MAX      45u		   /* of IPv6, in words */
#define FUNC_HOST_CALLS_MAX   UINT32_C(1000000000) /* a second */

enum func_isolation { FUNC_ISOLATION_REQUEST, FUNC_ISOLATION_CLIENT, FUNC_ISOLATION_TENANT };
enum func_access { FUNC_ACCESS_READ = 1, FUNC_ACCESS_WRITE = 2 };
enum func_trigger_kind {
	FUNC_TRIGGER_HTTP,
	FUNC_TRIGGER_OBJECT,
	FUNC_TRIGGER_UDP,
	FUNC_TRIGGER_TCP,
};

struct func_grant {
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	unsigned access; /* enum func_access, or-ed: "read", "write" or "read-write" */
};

struct func_trigger {
	enum func_trigger_kind kind;
	/* HTTP */
	char path[FUNC_PATH_MAX + 1]; /* "/downsample"; matches itself and what is below it */
	unsigned methods;	      /* bits of enum func_method; 0: all */
	/* object */
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char prefix[FUNC_PATH_MAX + 1], suffix[FUNC_PATH_MAX + 1];
	bool on_created, on_removed;
	bool allows_recursion; /* the function's own writes may trigger it */
	/* UDP, TCP */
	uint16_t port;
	char address[FUNC_ADDRESS_MAX + 1]; /* where to listen */
	uint64_t idle_ns; /* after which silence a client's instance goes; 0: never */
};

enum func_method {
	FUNC_METHOD_GET = 1,
	FUNC_METHOD_HEAD = 2,
	FUNC_METHOD_POST = 4,
	FUNC_METHOD_PUT = 8,
	FUNC_METHOD_DELETE = 16,
	FUNC_METHOD_PATCH = 32,
	FUNC_METHOD_OPTIONS = 64,
};

struct func_manifest {
	char name[FUNC_NAME_MAX + 1]; /* a-z 0-9 -, begins with a letter */
	char tenant[FUNC_NAME_MAX + 1];
	char image[FUNC_PATH_MAX + 1]; /* the module's file, relative to the manifest; required */
	/* Its trigger is UDP or TCP, the only one: the data plane runs it, and no cell. */
	bool is_packet;
	enum func_isolation isolation; /* "client" or "tenant" if is_packet, else not "client" */
	uint64_t memory_bytes, stack_bytes, timeout_ns;
	unsigned concurrency_max;
	uint32_t host_calls_per_s; /* of each instance; 0: no limit */
	unsigned cpu_class;	   /* < FUNC_CPU_CLASSES */
	struct func_budget cpu;	   /* of all its instances together */
	unsigned grants_count, triggers_count, config_count;
	struct func_grant grants[FUNC_GRANTS_MAX];
	struct func_trigger triggers[FUNC_TRIGGERS_MAX];
	char *config[FUNC_CONFIG_MAX]; /* "K=V", owned */
	unsigned retry_attempts;
	uint64_t retry_backoff_ns;
	char dead_letter[STORE_BUCKET_NAME_MAX + 1]; /* "" : none */
};

/*
 * -EINVAL with file and line: unknown keys, keys that this version does not support, wrong values,
 * a reserved path, a function that its own writes would trigger (unless `recursion: allow`).
 * -ENOMEM.
 *
 * A trigger needs no grant: its object is given to the function as /event/object.
 */
int func_manifest_decode(const struct eos_node *root, struct func_manifest **ret_manifest,
			 struct eos_why *why) EOS_MUST_CHECK;
struct func_manifest *func_manifest_free(struct func_manifest *manifest);

/*
 * Whether a rule that OWNER ("": the node's operator) has for BUCKET may start the function: 0;
 * -EACCES: it is another tenant's; -ELOOP: the rule is for new objects (IS_FOR_NEW), and the
 * function may write into the bucket or has its dead letters there, so it could call itself without
 * end.
 */
int func_manifest_check_rule(const struct func_manifest *manifest, const char *owner,
			     const char *bucket, bool is_for_new) EOS_MUST_CHECK;

/* The bit of an HTTP method's name, or 0: not one of enum func_method. */
unsigned func_method_parse(const char *name);
/* "GET, HEAD" for METHODS (0: all) into OUT, as the Allow header wants it. */
#define FUNC_METHODS_TEXT_SIZE 64
void func_methods_format(unsigned methods, char out[FUNC_METHODS_TEXT_SIZE]);
