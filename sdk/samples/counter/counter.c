/*
 * counter: a function that stays and answers HTTP. All calls come to one instance, whose memory
 * lives on between them: it counts.
 *
 *     curl http://127.0.0.1:9800/counter
 */
#include <stdio.h>
#include <stdlib.h>

#include "edgeos.h"

EDGEOS_RINGS(4, 4, 8192)

static unsigned long calls;

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_open() < 0)
		abort();
}

EDGEOS_EXPORT(edgeos_message) void edgeos_message(uint32_t conn, void *buf, uint32_t len)
{
	char answer[80];
	int answer_len =
		snprintf(answer, sizeof(answer), "Content-Type: text/plain\n\n%lu\n", ++calls);

	(void)buf; /* the request's environment and body; what they say does not matter here */
	(void)len;
	/* Fails when the call is over already, and then nobody waits for it. */
	edgeos_send(conn, answer, (uint32_t)answer_len, EDGEOS_NO_WAIT);
}
