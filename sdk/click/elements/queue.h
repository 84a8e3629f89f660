/*
 * What sources ask of the queues that they push to: to wait while these are full.
 */
#pragma once

#include "click.h"

/* Is ELEMENT a queue that says when it has room again? */
bool click_queue_tells_room(const struct click_element *element);
bool click_queue_is_full(const struct click_element *element);
/* WAITING's task will be scheduled when a packet was pulled from ELEMENT. False: no memory. */
bool click_queue_wake(struct click_element *element, struct click_element *waiting);
