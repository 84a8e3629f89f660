/*
 * How a cell is set up: one argument of its command line, written by edged and read by the cell.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

#define LINK_FWPS_MAX		 512u
#define LINK_QUANTUM_NS_MIN	 UINT64_C(200000)
#define LINK_QUANTUM_NS_MAX	 UINT64_C(100000000)
#define LINK_INIT_TIMEOUT_NS_MIN UINT64_C(1000000)
#define LINK_INIT_TIMEOUT_NS_MAX UINT64_C(60000000000)

struct link_config {
	uint32_t fwps_max; /* alive at once, 1 to LINK_FWPS_MAX */
	/* Places for FWPs, of each function: so many are made ready while the cell is idle, and so
	 * many keep their pages when an FWP has left. low <= high <= fwps_max, high >= 1. */
	uint32_t pool_low, pool_high;
	uint64_t quantum_ns;	  /* how long an FWP runs while others of its class are ready */
	uint64_t init_timeout_ns; /* running time of a function's initialisation */
	bool is_edf;		  /* earliest deadline first instead of classes */
};
extern const struct link_config link_config_default;

#define LINK_CONFIG_TEXT_SIZE 192
/* "fwps_max=512,pool_low=…" into OUT. */
void link_config_format(const struct link_config *config, char out[LINK_CONFIG_TEXT_SIZE]);
/* Everything must be there and in range. -EINVAL. */
int link_config_parse(const char *text, struct link_config *ret_config) EOS_MUST_CHECK;
/* -EINVAL: a value is out of range. */
int link_config_check(const struct link_config *config) EOS_MUST_CHECK;
