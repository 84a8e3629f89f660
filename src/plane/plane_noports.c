/*
 * In the place of plane_ports.c where DPDK is not: there are no ports, only the kernel's sockets.
 */
#include <errno.h>

#include "plane/plane_ports.h"

int plane_ports_open(struct plane *plane, struct eos_why *why)
{
	if (plane->config.ports_count == 0)
		return 0;
	return eos_why(why, -ENOTSUP, "ports: this program was built without DPDK");
}

int plane_ports_join(struct plane *plane, const struct plane *first, struct eos_why *why)
{
	(void)plane;
	(void)first;
	(void)why;
	return 0;
}

void plane_ports_leave(struct plane *plane)
{
	(void)plane;
}

int plane_ports_thread_enter(struct plane *plane)
{
	(void)plane;
	return 0;
}

void plane_ports_thread_leave(struct plane *plane)
{
	(void)plane;
}

void plane_ports_free_frame(struct nic_frame *frame)
{
	(void)frame;
}

void plane_ports_remember(struct plane *plane, uint16_t port, const uint8_t *data, uint32_t len)
{
	(void)plane;
	(void)port;
	(void)data;
	(void)len;
}

void plane_port_count(const struct plane *plane, unsigned port, struct plane_port_counts *counts)
{
	(void)plane;
	(void)port;
	(void)counts;
}

void plane_ports_close(struct plane *plane)
{
	(void)plane;
}

void plane_ports_route(struct plane *plane)
{
	(void)plane;
}

unsigned plane_ports_poll(struct plane *plane, uint64_t now_ns)
{
	(void)plane;
	(void)now_ns;
	return 0;
}

void plane_ports_flush(struct plane *plane)
{
	(void)plane;
}

void plane_ports_wait(struct plane *plane, uint64_t timeout_ns, uint64_t idle_ns)
{
	(void)plane;
	(void)timeout_ns;
	(void)idle_ns;
}

unsigned plane_port_mtu(const struct plane *plane, uint16_t port)
{
	(void)plane;
	(void)port;
	return 0;
}

int plane_ports_send(struct plane *plane, uint16_t port, const struct chain_output *output)
{
	(void)plane;
	(void)port;
	(void)output;
	return -EBADF;
}

int plane_ports_send_datagram(struct plane *plane, const struct plane_peer *peer,
			      const uint8_t *data, uint32_t len)
{
	(void)plane;
	(void)peer;
	(void)data;
	(void)len;
	return -EBADF;
}

void plane_port_put(struct plane *plane, unsigned port, const struct plane_port_counts *counts,
		    struct eos_json *json)
{
	(void)plane;
	(void)port;
	(void)counts;
	(void)json;
}
