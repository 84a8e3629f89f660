/*
 * What a process that was killed leaves behind: the XDP program that af_xdp attached to an
 * interface, which would take its frames away from everybody and keep the next program off; and
 * sockets in the file system, on which nobody can listen again.
 *
 * Only what nobody uses is removed. Whose program is attached its name tells: libxdp's and DPDK's
 * are known. Whether a process of ours is using it a lock tells: a socket with an abstract name,
 * which is one network namespace's, as interfaces are, and ends with its process.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define ANSWER_BYTES 32768u

static const char *const program_names[] = {"xdp_dispatcher", "xsk_def_prog", "xdp_sock_prog",
					    "xdp_dispatcher_"};

struct link_request {
	struct nlmsghdr head;
	struct ifinfomsg info;
	char attributes[64];
};

static int open_netlink(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	return fd < 0 ? -errno : fd;
}

/* Sends REQUEST and calls ANSWER for each message until the last or until it returns non-zero. */
static int ask(int fd, struct nlmsghdr *request, int (*answer)(struct nlmsghdr *message, void *ctx),
	       void *ctx)
{
	static _Thread_local char buf[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		unsigned left = (unsigned)n;
		for (struct nlmsghdr *m = (struct nlmsghdr *)buf; NLMSG_OK(m, left);
		     m = NLMSG_NEXT(m, left)) {
			if (m->nlmsg_type == NLMSG_DONE)
				return 0;
			if (m->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(m))->error;
			int result = answer(m, ctx);
			if (result != 0)
				return result;
		}
	}
}

static void add_attribute(struct link_request *request, unsigned short type, uint32_t value)
{
	struct rtattr *outer =
		(struct rtattr *)((char *)request + NLMSG_ALIGN(request->head.nlmsg_len));
	if (type == 0) {
		*outer = (struct rtattr){RTA_LENGTH(0), IFLA_XDP | NLA_F_NESTED};
		request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + RTA_LENGTH(0);
		return;
	}
	*outer = (struct rtattr){RTA_LENGTH(sizeof(value)), type};
	memcpy(RTA_DATA(outer), &value, sizeof(value));
	request->head.nlmsg_len =
		NLMSG_ALIGN(request->head.nlmsg_len) + RTA_ALIGN(RTA_LENGTH(sizeof(value)));
}

/* A link's attributes: how XDP is attached, and the program's number. */
struct attached {
	uint8_t mode; /* XDP_ATTACHED_... */
	uint32_t program;
};

static int read_link(struct nlmsghdr *message, void *ctx)
{
	struct attached *attached = ctx;
	if (message->nlmsg_type != RTM_NEWLINK)
		return 0;
	struct ifinfomsg *info = NLMSG_DATA(message);
	int left = (int)IFLA_PAYLOAD(message);
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if ((a->rta_type & NLA_TYPE_MASK) != IFLA_XDP)
			continue;
		int inner_left = (int)RTA_PAYLOAD(a);
		for (struct rtattr *b = RTA_DATA(a); RTA_OK(b, inner_left);
		     b = RTA_NEXT(b, inner_left)) {
			if (b->rta_type == IFLA_XDP_ATTACHED)
				attached->mode = *(const uint8_t *)RTA_DATA(b);
			else if (b->rta_type == IFLA_XDP_PROG_ID)
				memcpy(&attached->program, RTA_DATA(b), sizeof(uint32_t));
		}
	}
	return 1;
}

static int get_attached(int fd, unsigned index, struct attached *ret_attached)
{
	struct link_request request = {
		.head = {NLMSG_LENGTH(sizeof(struct ifinfomsg)), RTM_GETLINK, NLM_F_REQUEST, 1, 0},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index},
	};
	*ret_attached = (struct attached){0};
	int err = ask(fd, &request.head, read_link, ret_attached);
	return err < 0 ? err : 0;
}

static int take_none(struct nlmsghdr *message, void *ctx)
{
	return 0;
}

static int detach(int fd, unsigned index, uint32_t flags)
{
	struct link_request request = {
		.head = {NLMSG_LENGTH(sizeof(struct ifinfomsg)), RTM_SETLINK,
			 NLM_F_REQUEST | NLM_F_ACK, 2, 0},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index},
	};
	uint32_t start = request.head.nlmsg_len;
	add_attribute(&request, 0, 0);
	add_attribute(&request, IFLA_XDP_FD, UINT32_MAX);
	add_attribute(&request, IFLA_XDP_FLAGS, flags);
	struct rtattr *nest = (struct rtattr *)((char *)&request + NLMSG_ALIGN(start));
	nest->rta_len = (unsigned short)(request.head.nlmsg_len - NLMSG_ALIGN(start));
	return ask(fd, &request.head, take_none, NULL);
}

static int get_program_name(uint32_t id, char *out, size_t size)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	long fd = syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));
	if (fd < 0)
		return -errno;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	long err = syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
	int saved = err < 0 ? -errno : 0;
	(void)eos_close((int)fd);
	if (saved == 0)
		(void)snprintf(out, size, "%.*s", (int)sizeof(info.name), info.name);
	return saved;
}

static int check_program(const char *interface, uint32_t id, struct eos_why *why)
{
	char name[32] = "";
	int err = get_program_name(id, name, sizeof(name));
	if (err < 0)
		return eos_why(why, err, "the XDP program of %s cannot be looked at: %s", interface,
			       strerror(-err));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(program_names); i++) {
		if (strcmp(name, program_names[i]) == 0)
			return 0;
	}
	return eos_why(why, -EBUSY,
		       "%s has an XDP program of somebody else's, \"%s\"; take it away with: "
		       "ip link set %s xdp off",
		       interface, name, interface);
}

int nic_leftover_lock_xdp(const char *interface, struct eos_why *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "edgeos-xdp-%s",
			   interface);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return eos_why(why, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0) {
		int err = errno == EADDRINUSE ? -EBUSY : -errno;
		(void)eos_close(fd);
		return err == -EBUSY
			       ? eos_why(why, err, "another process has %s with AF_XDP", interface)
			       : eos_why(why, err, "lock of %s: %s", interface, strerror(-err));
	}
	return fd;
}

int nic_leftover_xdp(const char *interface, struct eos_why *why)
{
	unsigned index = if_nametoindex(interface);
	struct attached attached;
	if (index == 0)
		return eos_why(why, -ENODEV, "there is no interface %s", interface);
	int fd = open_netlink(NETLINK_ROUTE);
	if (fd < 0)
		return eos_why(why, fd, "netlink: %s", strerror(-fd));
	int err = get_attached(fd, index, &attached);
	if (err < 0)
		err = eos_why(why, err, "%s: is XDP attached? %s", interface, strerror(-err));
	if (err == 0 && attached.mode != XDP_ATTACHED_NONE) {
		err = check_program(interface, attached.program, why);
		if (err == 0)
			err = detach(fd, index,
				     attached.mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE
								       : XDP_FLAGS_DRV_MODE);
		if (err < 0 && err != -EBUSY)
			err = eos_why(why, err, "%s: the old XDP program stays: %s", interface,
				      strerror(-err));
	}
	(void)eos_close(fd);
	return err;
}

int nic_leftover_socket(const char *path, struct eos_why *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : eos_why(why, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return eos_why(why, -EEXIST, "%s is in the way, and no socket", path);
	/* memif's are of packets, vhost's of streams. */
	static const int types[] = {SOCK_SEQPACKET, SOCK_STREAM};
	memcpy(address.sun_path, path, strlen(path));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(types); i++) {
		int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			return eos_why(why, -errno, "socket: %s", strerror(errno));
		int err = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0
				  ? errno
				  : 0;
		(void)eos_close(fd);
		if (err != ECONNREFUSED && err != EPROTOTYPE)
			return eos_why(why, -EBUSY, "%s: another process listens there", path);
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return eos_why(why, -errno, "%s: %s", path, strerror(errno));
	return 0;
}
