/*
 * What has to be said to the kernel about an interface that a port is on. It is said in ways that
 * end with the process, where there is one: an interface that a killed process had made promiscuous
 * by its flags would stay so.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

bool nic_interface_exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

static bool get_is_up(int fd, struct ifreq *request)
{
	return ioctl(fd, SIOCGIFFLAGS, request) == 0 &&
	       (request->ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

bool nic_interface_is_up(const char *name)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	bool is_up = get_is_up(fd, &request);
	(void)eos_close(fd);
	return is_up;
}

bool nic_interface_held_is_up(int hold)
{
	struct sockaddr_ll address = {0};
	socklen_t len = sizeof(address);
	struct ifreq request = {0};
	/* The kernel takes it away from its sockets when it goes, whatever comes later. */
	if (getsockname(hold, (struct sockaddr *)&address, &len) < 0 || address.sll_ifindex <= 0)
		return false;
	request.ifr_ifindex = address.sll_ifindex;
	return ioctl(hold, SIOCGIFNAME, &request) == 0 && get_is_up(hold, &request);
}

int nic_interface_set_mtu(const char *name, uint16_t mtu, struct eos_why *why)
{
	struct ifreq request = {0};
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return eos_why(why, -errno, "socket: %s", strerror(errno));
	int err = 0;
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		err = eos_why(why, -errno, "%s: %s", name, strerror(errno));
	else if (request.ifr_mtu != mtu) {
		request.ifr_mtu = mtu;
		if (ioctl(fd, SIOCSIFMTU, &request) < 0)
			err = eos_why(why, -ENOTSUP, "%s: an MTU of %u: %s", name, mtu,
				      strerror(errno));
	}
	(void)eos_close(fd);
	return err;
}

static int let_in(int fd, int index, unsigned short type, const uint8_t *mac)
{
	struct packet_mreq request = {.mr_ifindex = index, .mr_type = type};
	if (mac != NULL) {
		request.mr_alen = 6;
		memcpy(request.mr_address, mac, 6);
	}
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) < 0
		       ? -errno
		       : 0;
}

int nic_interface_hold(const char *name, const uint8_t *mac, bool is_promiscuous)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_ifindex = (int)if_nametoindex(name)};
	/* Protocol 0: no frames come out of this one. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Bound to 0 it would be to all. */
	int err = address.sll_ifindex == 0 ? -ENODEV : 0;
	if (err == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	if (err == 0)
		err = let_in(fd, address.sll_ifindex,
			     is_promiscuous ? PACKET_MR_PROMISC : PACKET_MR_ALLMULTI, NULL);
	if (err == 0 && mac != NULL)
		err = let_in(fd, address.sll_ifindex, PACKET_MR_UNICAST, mac);
	if (err < 0)
		(void)eos_close(fd);
	return err < 0 ? err : fd;
}
