/*
 * A chain's manifest: whose packets it gets, which stages they pass, where they leave. Decoded from
 * YAML, checked whole before anything is changed. docs/chains.md lists the keys.
 *
 * A chain has either `match` (frames that come by a port) or `endpoint` (payloads of UDP or TCP,
 * for which the data plane, or the kernel, does everything below).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"
#include "chain/chain.h"

#define PLANE_PORT_NAME_MAX    31u
#define PLANE_IMAGE_NAME_MAX   255u
#define PLANE_SETTINGS_MAX     64u /* of one stage */
#define PLANE_SETTING_BYTES    1024u
#define PLANE_ENDPOINT_PORTS   4096u /* in one range */
#define PLANE_KERNEL_PORT_NAME "kernel"
#define PLANE_PROTOCOLS_MAX    8u  /* of ALPN */
#define PLANE_PROTOCOL_MAX     32u /* bytes of the name of one */
#define PLANE_PEM_MAX	       (256u << 10)

/* Which frames; what is not said does not matter. Addresses as in struct flow_packet. */
struct plane_match {
	char port[PLANE_PORT_NAME_MAX + 1];
	bool is_any;	    /* frames that are not IP, or malformed, too */
	uint8_t proto;	    /* of IP; 0: any */
	bool has_fragments; /* fragments too */
	uint8_t source[16], target[16];
	uint8_t source_bits, target_bits;				       /* of 128; 0: any */
	uint16_t source_port, source_port_last, target_port, target_port_last; /* 0: any */
};

/* The files that TLS needs, which travel with the manifest in this order. */
enum plane_tls_file { PLANE_TLS_CERTIFICATE, PLANE_TLS_KEY, PLANE_TLS_CLIENT_CA, PLANE_TLS_FILES };

struct plane_tls_config {
	/* Names, relative to the manifest; a client CA's may be "": clients need no certificate. */
	char files[PLANE_TLS_FILES][PLANE_IMAGE_NAME_MAX + 1];
	unsigned protocols_count;
	char protocols[PLANE_PROTOCOLS_MAX][PLANE_PROTOCOL_MAX + 1];
};

/* Where a TCP endpoint's way out leads to. */
struct plane_target {
	uint8_t address[16];
	uint16_t port; /* 0: nowhere */
};

struct plane_endpoint {
	char port[PLANE_PORT_NAME_MAX + 1]; /* "kernel": the kernel's sockets */
	char address[64];		    /* kernel sockets'; "": all of the node's */
	bool is_tcp, has_tls;
	uint16_t first, last; /* port numbers */
	struct plane_tls_config tls;
};

struct plane_stage {
	char image[PLANE_IMAGE_NAME_MAX + 1]; /* the file's name, relative to the manifest */
	unsigned settings_count;
	struct chain_setting settings[PLANE_SETTINGS_MAX];
	char *texts[2 * PLANE_SETTINGS_MAX]; /* owned: theirs */
};

struct plane_next {
	char name[PLANE_PORT_NAME_MAX + 1];
	char port[PLANE_PORT_NAME_MAX + 1]; /* of a chain of frames */
	struct plane_target target;	    /* of an endpoint */
};

struct plane_manifest {
	char name[CHAIN_NAME_MAX + 1], tenant[CHAIN_NAME_MAX + 1];
	bool has_endpoint;
	struct plane_match match;
	struct plane_endpoint endpoint;
	enum chain_isolation isolation;
	uint32_t fixed_count, chains_max;
	uint64_t idle_ns, timeout_ns, memory_bytes, stack_bytes;
	char out[PLANE_PORT_NAME_MAX + 1]; /* "": nowhere, or to OUT_TARGET */
	struct plane_target out_target;
	unsigned next_count, stages_count;
	struct plane_next next[CHAIN_NEXT_MAX];
	struct plane_stage stages[CHAIN_STAGES_MAX];
};

/* -EINVAL with file and line; -ENOMEM. */
int plane_manifest_decode(const struct eos_node *root, struct plane_manifest **ret_manifest,
			  struct eos_why *why) EOS_MUST_CHECK;
struct plane_manifest *plane_manifest_free(struct plane_manifest *manifest);
/* How many files come with it: the stages' modules, then those of TLS. */
unsigned plane_manifest_files(const struct plane_manifest *manifest);
/* The key in the manifest that names FILE. */
const char *plane_tls_file_key(enum plane_tls_file file);

/* Does MATCH want this packet, which came by its port? */
bool plane_match_takes(const struct plane_match *match, const struct flow_packet *packet);
