/*
 * Who is called for an element, where any class may be named. Guests of one configuration have a
 * file that `edgeos build` makes instead.
 */
#include "dispatch.h"

struct click_packet *click_dispatch_take(struct click_element *element, unsigned port,
					 struct click_packet *packet)
{
	return click_class_take(element->more->class, element, port, packet);
}

struct click_packet *click_dispatch_pass(struct click_element *element, struct click_packet *packet)
{
	return click_class_pass(element->more->class, element, packet);
}

struct click_packet *click_dispatch_give(struct click_element *element, unsigned port)
{
	return click_class_give(element->more->class, element, port);
}

bool click_dispatch_run_task(struct click_element *element)
{
	return click_class_run_task(element->more->class, element);
}

void click_dispatch_run_timer(struct click_element *element)
{
	click_class_run_timer(element->more->class, element);
}
