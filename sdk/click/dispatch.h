/*
 * Who is called for an element. Natively that is looked up in its class (dispatch.c). In guests it
 * is a switch over the classes that the configuration names, which `edgeos build` writes: their
 * functions are constants there, so calls are direct, can be inlined, and need none of an
 * instance's tables of functions, which would be cold for each of thousands of clients.
 */
#pragma once

#include "click.h"

/* PACKET for input PORT of ELEMENT: NULL: it has it, or it is gone; otherwise it goes on from
 * output 0. */
struct click_packet *click_dispatch_take(struct click_element *element, unsigned port,
					 struct click_packet *packet);
/* What becomes of PACKET in an element that is pulled through. */
struct click_packet *click_dispatch_pass(struct click_element *element,
					 struct click_packet *packet);
/* A packet from output PORT of an element whose class pulls, or NULL. */
struct click_packet *click_dispatch_give(struct click_element *element, unsigned port);
/* As the class's run_task() and run_timer(), which it has. */
bool click_dispatch_run_task(struct click_element *element);
void click_dispatch_run_timer(struct click_element *element);

/* The same of a class that is known. */
static inline struct click_packet *click_class_pass(const struct click_class *class,
						    struct click_element *element,
						    struct click_packet *packet)
{
	return class->simple != NULL ? class->simple(element, packet) : packet;
}

static inline struct click_packet *click_class_take(const struct click_class *class,
						    struct click_element *element, unsigned port,
						    struct click_packet *packet)
{
	if (class->push != NULL) {
		class->push(element, port, packet);
		return NULL;
	}
	return click_class_pass(class, element, packet);
}

static inline struct click_packet *click_class_give(const struct click_class *class,
						    struct click_element *element, unsigned port)
{
	return class->pull != NULL ? class->pull(element, port) : NULL;
}

static inline bool click_class_run_task(const struct click_class *class,
					struct click_element *element)
{
	return class->run_task != NULL && class->run_task(element);
}

static inline void click_class_run_timer(const struct click_class *class,
					 struct click_element *element)
{
	if (class->run_timer != NULL)
		class->run_timer(element);
}
