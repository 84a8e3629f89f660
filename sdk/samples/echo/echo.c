/*
 * echo: a function that stays. Each message goes back to where it came from; once a second, if
 * there were any, it says in its log how many.
 *
 * What to send first, and to whom, is the other side's affair: two of these that are connected to
 * each other hand one message to and fro for ever.
 */
#include <stdio.h>
#include <stdlib.h>

#include "edgeos.h"

#define REPORT	  0u /* the timer's number */
#define REPORT_NS 1000000000u

EDGEOS_RINGS(16, 16, 2048)

static unsigned long echoed, lost;

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_open() < 0)
		abort();
}

EDGEOS_EXPORT(edgeos_message) void edgeos_message(uint32_t conn, void *buf, uint32_t len)
{
	/* Who sends without taking the answers shall not keep the others waiting. */
	if (edgeos_send(conn, buf, len, EDGEOS_NO_WAIT) < 0)
		lost++;
	else
		echoed++;
	if (echoed + lost == 1)
		edgeos_timer_set(REPORT, REPORT_NS);
}

EDGEOS_EXPORT(edgeos_timer) void edgeos_timer(uint32_t id)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%lu echoed, %lu lost", echoed, lost);

	(void)id;
	edgeos_log(lost > 0 ? EDGEOS_WARNING : EDGEOS_INFO, line, (uint32_t)len);
	echoed = lost = 0;
}
