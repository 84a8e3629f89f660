#include "link/link_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"

const struct link_config link_config_default = {
	.fwps_max = LINK_FWPS_MAX,
	.pool_low = 16,
	.pool_high = 64,
	.quantum_ns = EOS_NS_PER_MS,
	.init_timeout_ns = EOS_NS_PER_S,
};

static const char *const names[] = {
	"fwps_max", "pool_low", "pool_high", "quantum_ns", "init_timeout_ns", "is_edf",
};
#define NAMES_COUNT EOS_ARRAY_SIZE(names)

void link_config_format(const struct link_config *config, char out[LINK_CONFIG_TEXT_SIZE])
{
	const uint64_t values[NAMES_COUNT] = {
		config->fwps_max,   config->pool_low,	     config->pool_high,
		config->quantum_ns, config->init_timeout_ns, config->is_edf,
	};
	size_t len = 0;
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		int n = snprintf(out + len, LINK_CONFIG_TEXT_SIZE - len, "%s%s=%" PRIu64,
				 i > 0 ? "," : "", names[i], values[i]);
		EOS_ASSERT(n > 0 && len + (size_t)n < LINK_CONFIG_TEXT_SIZE);
		len += (size_t)n;
	}
}

int link_config_check(const struct link_config *config)
{
	bool is_good = config->fwps_max >= 1 && config->fwps_max <= LINK_FWPS_MAX &&
		       config->pool_high >= 1 && config->pool_low <= config->pool_high &&
		       config->pool_high <= config->fwps_max &&
		       config->quantum_ns >= LINK_QUANTUM_NS_MIN &&
		       config->quantum_ns <= LINK_QUANTUM_NS_MAX &&
		       config->init_timeout_ns >= LINK_INIT_TIMEOUT_NS_MIN &&
		       config->init_timeout_ns <= LINK_INIT_TIMEOUT_NS_MAX;
	return is_good ? 0 : -EINVAL;
}

int link_config_parse(const char *text, struct link_config *ret_config)
{
	uint64_t values[NAMES_COUNT];
	char copy[LINK_CONFIG_TEXT_SIZE];
	if (eos_str_copy(copy, sizeof(copy), text) < 0)
		return -EINVAL;
	char *rest = copy;
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		char *item = strsep(&rest, ",");
		size_t len = strlen(names[i]);
		if (item == NULL || strncmp(item, names[i], len) != 0 || item[len] != '=' ||
		    eos_parse_u64(item + len + 1, &values[i]) < 0)
			return -EINVAL;
	}
	if (rest != NULL || values[0] > UINT32_MAX || values[1] > UINT32_MAX ||
	    values[2] > UINT32_MAX || values[5] > 1)
		return -EINVAL;
	struct link_config config = {
		.fwps_max = (uint32_t)values[0],
		.pool_low = (uint32_t)values[1],
		.pool_high = (uint32_t)values[2],
		.quantum_ns = values[3],
		.init_timeout_ns = values[4],
		.is_edf = values[5] == 1,
	};
	int err = link_config_check(&config);
	if (err == 0)
		*ret_config = config;
	return err;
}
