/*
 * Write handlers that an element calls while packets pass: COUNT_CALL, END_CALL.
 *
 * A call is "ELEMENT.HANDLER [VALUE]", as seen from the element. "stop", which ends Click's driver,
 * is taken and does nothing: there is no driver. A call that leads to itself ends there.
 */
#pragma once

#include <click.h>

#define CLICK_CALL_PATH_MAX  300u
#define CLICK_CALL_VALUE_MAX 256u

struct click_call {
	char path[CLICK_CALL_PATH_MAX]; /* empty: nothing is to be called */
	char value[CLICK_CALL_VALUE_MAX];
	bool is_set, is_running, is_refused;
};

/* "NUMBER CALL": the number, decimal. Behind it and the blanks; NULL: there is none. */
const char *click_call_number(const char *text, uint64_t *ret);
/* Sets CALL to TEXT; all elements are configured. False: told why, and CALL is as it was. */
bool click_call_set(struct click_call *call, struct click_element *element, const char *text,
		    struct click_args *args);
/* Calls; what the handler refuses is logged, the first time. NULL, or a call that was not set:
 * nothing. */
void click_call_run(struct click_call *call, struct click_router *router);
