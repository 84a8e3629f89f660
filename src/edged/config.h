/*
 * The node's configuration: one YAML file, every key of which is described in
 * packaging/edgeos.yaml.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/why.h"
#include "func/tenant.h"
#include "link/link_config.h"

#define EDGED_ADDRESS_MAX 64

struct edged_listen {
	char address[EDGED_ADDRESS_MAX]; /* without brackets: "127.0.0.1", "::1" */
	uint16_t port;			 /* 0: any free one */
};

struct edged_config {
	enum eos_log_level log_level;
	struct {
		struct edged_listen listen;
		unsigned connections_max;
		char region[64];
		char domain[256];
		uint64_t lifecycle_interval_ns, lifecycle_day_ns;
	} s3;
	struct {
		struct edged_listen listen;
		unsigned connections_max;
	} functions;
	struct {
		char certificate[512], key[512]; /* paths; "": no TLS */
	} tls;
	struct {
		uint64_t scrub_rate; /* bytes a second, 0: off */
		uint64_t scrub_interval_ns;
		char key[512]; /* the path of the node key; "": in the data directory */
	} store;
	unsigned cells;		 /* how many; 0: by the machine */
	struct link_config cell; /* how each is set up */
	struct func_tenants tenants;
	bool has_plane;	     /* there is a data plane */
	struct eos_buf text; /* then: the file as it is, for the data plane; owned */
};

void edged_config_init(struct edged_config *config);
/* Reads PATH over the defaults. -EINVAL with file and line, or the error of reading it. */
int edged_config_load(struct edged_config *config, const char *path,
		      struct eos_why *why) EOS_MUST_CHECK;
/* "127.0.0.1:9000", "[::1]:9000". -EINVAL. */
int edged_parse_listen(const char *text, struct edged_listen *ret_listen) EOS_MUST_CHECK;
