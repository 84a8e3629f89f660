/* What the host of the bench "message" tells its guests. */
#pragma once

#include <stdint.h>

#define MESSAGE_BYTES_MAX 65536u

struct message_config {
	uint32_t conn; /* handle of the other one */
	uint32_t bytes;
	uint32_t is_first; /* who sends before it receives */
};
