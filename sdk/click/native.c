/*
 * Where packets that leave go to natively: the host says. Guests have guest.c.
 */
#include "core.h"

void click_host_send(struct click_router *router, unsigned device,
		     const struct click_packet *packet)
{
	router->host->send(router->host->ctx, device, packet);
}
