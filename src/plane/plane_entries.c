/*
 * The chains that were applied: from a manifest and its images to a template of src/chain with its
 * ports and sockets; and where what leaves them goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

#define DEATHS_NS (50 * EOS_NS_PER_MS) /* between two lines about them */

struct plane_entry *plane_entry_find(struct plane *plane, const char *name)
{
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		if (strcmp(entry->manifest->name, name) == 0)
			return entry;
	}
	return NULL;
}

/* --- applying --- */

static int find_port(const struct plane *plane, const char *what, const char *name,
		     uint16_t *ret_port, struct eos_why *why)
{
	*ret_port = PLANE_NOWHERE;
	if (name[0] == '\0')
		return 0;
	if (strcmp(name, PLANE_KERNEL_PORT_NAME) == 0) {
		*ret_port = PLANE_KERNEL;
		return 0;
	}
	for (unsigned i = 0; i < plane->config.ports_count; i++) {
		if (strcmp(plane->config.ports[i].name, name) == 0) {
			*ret_port = (uint16_t)i;
			return 0;
		}
	}
	return eos_why(why, -ENODEV, "%s: the node has no port \"%s\"", what, name);
}

static int find_ports(const struct plane *plane, struct plane_entry *entry, struct eos_why *why)
{
	const struct plane_manifest *manifest = entry->manifest;
	const char *client =
		manifest->has_endpoint ? manifest->endpoint.port : manifest->match.port;
	/* Ways out of endpoints are addresses. */
	int err = find_port(plane, manifest->has_endpoint ? "endpoint" : "match", client,
			    &entry->ports[0], why);
	if (err == 0)
		err = find_port(plane, "out", manifest->out, &entry->ports[1], why);
	for (unsigned i = 0; err == 0 && i < manifest->next_count; i++)
		err = find_port(plane, "next", manifest->next[i].port, &entry->ports[2 + i], why);
	for (unsigned i = 1; err == 0 && i < 2 + manifest->next_count; i++) {
		if (entry->ports[i] == PLANE_KERNEL)
			err = eos_why(why, -EINVAL,
				      "%s%s: frames cannot leave by the kernel's sockets",
				      i == 1 ? "out" : "next: ",
				      i == 1 ? "" : manifest->next[i - 2].name);
	}
	if (err == 0 && manifest->has_endpoint && entry->ports[0] != PLANE_KERNEL &&
	    plane->config.ports[entry->ports[0]].addresses_count == 0)
		err = eos_why(why, -EINVAL, "endpoint: port \"%s\" has no addresses", client);
	return err;
}

static uint32_t mtu_of(const struct plane *plane, uint16_t port)
{
	/* With an Ethernet header. */
	return port < plane->ports_count ? plane_port_mtu(plane, port) + 14 : 0;
}

/* Has this core instances of it? */
static bool has_instances(const struct plane *plane, const struct plane_entry *entry)
{
	const struct plane_manifest *manifest = entry->manifest;
	if (entry->ports[0] == PLANE_KERNEL || manifest->isolation == CHAIN_PER_TENANT)
		return plane->core == entry->home;
	return manifest->isolation != CHAIN_FIXED ||
	       plane_fixed_here(plane, entry->home, manifest->fixed_count) > 0;
}

/* This core's part of limits.chains: all, or one of equal parts, together not less. */
static uint32_t chains_max_here(const struct plane *plane, const struct plane_entry *entry)
{
	uint32_t max = entry->manifest->chains_max, cores = plane->cores_count;
	return entry->ports[0] == PLANE_KERNEL ? max : (max + cores - 1) / cores;
}

static int prepare_template(struct plane *plane, struct plane_entry *entry,
			    struct fwp_image *const *images, struct eos_why *why)
{
	const struct plane_manifest *manifest = entry->manifest;
	bool is_kernels = entry->ports[0] == PLANE_KERNEL;
	struct chain_stage_config stages[CHAIN_STAGES_MAX];
	struct chain_config config = {
		.name = manifest->name,
		.tenant = manifest->tenant,
		.isolation = manifest->isolation,
		.takes_arp = manifest->match.is_any,
		.fixed_count =
			is_kernels ? manifest->fixed_count
				   : plane_fixed_here(plane, entry->home, manifest->fixed_count),
		.chains_max = chains_max_here(plane, entry),
		.idle_ns = manifest->idle_ns,
		.timeout_ns = manifest->timeout_ns,
		.domain = (uint16_t)(entry->ports[0] + 1),
		.out_domain = (uint16_t)(entry->ports[1] + 1),
		.ports = {manifest->has_endpoint ? manifest->endpoint.port : manifest->match.port,
			  manifest->out[0] != '\0'	   ? manifest->out
			  : manifest->out_target.port != 0 ? "out"
							   : NULL},
		.stages = stages,
		.stages_count = manifest->stages_count,
	};
	for (unsigned i = 0; i < manifest->next_count; i++)
		config.ports[2 + i] = manifest->next[i].name;
	for (unsigned i = 0; i < 2 + manifest->next_count && !manifest->has_endpoint; i++)
		config.ports_mtu[i] = mtu_of(plane, entry->ports[i]);
	for (unsigned i = 0; i < manifest->stages_count; i++) {
		const struct plane_stage *stage = &manifest->stages[i];
		stages[i] = (struct chain_stage_config){
			.name = stage->image,
			.image = images[i],
			.limits = {.memory_bytes = manifest->memory_bytes,
				   .stack_bytes = manifest->stack_bytes},
			.settings = stage->settings,
			.settings_count = stage->settings_count,
		};
	}
	return chain_template_prepare(plane->chains, &config, &entry->update, why);
}

static bool has_same_sockets(const struct plane_entry *a, const struct plane_entry *b)
{
	const struct plane_endpoint *x = &a->manifest->endpoint, *y = &b->manifest->endpoint;
	return a->manifest->has_endpoint && b->manifest->has_endpoint && x->is_tcp == y->is_tcp &&
	       x->first == y->first && x->last == y->last && strcmp(x->port, y->port) == 0 &&
	       strcmp(x->address, y->address) == 0;
}

/* The sockets of OLD, whose clients go on, or new ones. */
static int get_sockets(struct plane_entry *entry, struct plane_entry *old, struct eos_why *why)
{
	if (!entry->manifest->has_endpoint || entry->ports[0] != PLANE_KERNEL ||
	    entry->plane->core != entry->home)
		return 0;
	if (old == NULL || !has_same_sockets(entry, old))
		return plane_sockets_open(entry, why);
	return 0;
}

static void hand_over(struct plane_entry *entry, struct plane_entry *old)
{
	if (!has_same_sockets(entry, old) || entry->sockets != NULL)
		return;
	entry->sockets = old->sockets;
	entry->sockets_count = old->sockets_count;
	old->sockets = NULL;
	old->sockets_count = 0;
	for (unsigned i = 0; i < entry->sockets_count; i++)
		entry->sockets[i].entry = entry;
}

static int watch_sockets(struct plane_entry *entry, struct eos_why *why)
{
	for (unsigned i = 0; i < entry->sockets_count; i++) {
		struct plane_socket *socket = &entry->sockets[i];
		/* What comes waits until the chain is there. */
		int err = plane_watch(entry->plane, socket->fd, &socket->watch, 0);
		if (err < 0)
			return eos_why(why, err, "watching a socket: %s", strerror(-err));
	}
	return 0;
}

static void open_for_clients(struct plane_entry *entry)
{
	for (unsigned i = 0; i < entry->sockets_count; i++) {
		struct plane_socket *socket = &entry->sockets[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &socket->watch};
		/* It is in the set, so there is nothing to fail. */
		int err = epoll_ctl(entry->plane->epoll_fd, EPOLL_CTL_MOD, socket->fd, &event);
		EOS_ASSERT(err == 0);
	}
}

static struct plane_entry *entry_free(struct plane_entry *entry)
{
	if (entry == NULL)
		return NULL;
	plane_streams_end(entry->plane, entry);
	plane_peers_forget(&entry->plane->peers, entry, 0);
	plane_sockets_close(entry);
	tls_server_unref(entry->tls);
	chain_template_abandon(entry->update);
	if (entry->plane->core == 0)
		plane_manifest_free(entry->manifest);
	free(entry);
	return NULL;
}

bool plane_entry_renew(struct plane_entry *old, struct tls_server *tls,
		       const struct plane_identity *identity)
{
	if (old->tls == NULL || tls == NULL ||
	    memcmp(old->identity.chain, identity->chain, sizeof(identity->chain)) != 0 ||
	    memcmp(old->identity.tls, identity->tls, sizeof(identity->tls)) == 0)
		return false;
	tls_server_unref(old->tls);
	old->tls = tls;
	old->identity = *identity;
	return true;
}

int plane_entry_prepare(struct plane *plane, struct plane_manifest *manifest, unsigned home,
			struct fwp_image *const *images, struct plane_entry **ret_entry,
			struct eos_why *why)
{
	struct plane_entry *old = plane_entry_find(plane, manifest->name);
	struct plane_entry *entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	entry->plane = plane;
	entry->manifest = manifest;
	entry->home = home;
	eos_list_init(&entry->node);
	int err = 0;
	if (old == NULL && plane->entries_count >= PLANE_CHAINS_MAX)
		err = eos_why(why, -ENOSPC, "there are %u chains already", PLANE_CHAINS_MAX);
	if (err == 0)
		err = find_ports(plane, entry, why);
	if (err == 0)
		err = get_sockets(entry, old, why);
	if (err == 0)
		err = watch_sockets(entry, why);
	if (err == 0 && has_instances(plane, entry))
		err = prepare_template(plane, entry, images, why);
	if (err < 0) {
		entry->manifest = NULL;
		entry_free(entry);
		return err;
	}
	*ret_entry = entry;
	return 0;
}

struct plane_entry *plane_entry_abandon(struct plane_entry *entry)
{
	if (entry != NULL)
		entry->manifest = NULL;
	return entry_free(entry);
}

void plane_entry_commit(struct plane_entry *entry)
{
	struct plane *plane = entry->plane;
	const char *name = entry->manifest->name;
	struct plane_entry *old = plane_entry_find(plane, name);
	if (entry->update != NULL) {
		entry->template = chain_template_commit(entry->update);
		entry->update = NULL;
	} else if (old != NULL && old->template != NULL) {
		int err = chain_template_remove(plane->chains, name);
		EOS_ASSERT(err == 0);
	}
	if (old != NULL) {
		entry->stats = old->stats;
		hand_over(entry, old);
		eos_list_remove(&old->node);
		entry_free(old);
	} else {
		plane->entries_count++;
	}
	if (entry->template != NULL)
		chain_template_set_tag(entry->template, (uintptr_t)entry);
	eos_list_add_tail(&plane->entries, &entry->node);
	open_for_clients(entry);
	plane_ports_route(plane);
}

int plane_entry_remove(struct plane *plane, const char *name)
{
	struct plane_entry *entry = plane_entry_find(plane, name);
	if (entry == NULL)
		return -ENOENT;
	if (entry->template != NULL) {
		int err = chain_template_remove(plane->chains, name);
		EOS_ASSERT(err == 0);
	}
	eos_list_remove(&entry->node);
	plane->entries_count--;
	plane_ports_route(plane);
	entry_free(entry);
	return 0;
}

/* --- what leaves --- */

static struct plane_entry *entry_of(const struct chain_output *output)
{
	return (struct plane_entry *)chain_template_tag(output->template);
}

bool plane_may_send(const struct chain_output *output, const struct plane_entry *entry,
		    uint64_t *owner)
{
	if (entry != entry_of(output))
		return false;
	if (output->is_current_peer)
		*owner = output->chain + 1;
	return *owner == output->chain + 1;
}

static int send_datagram(struct plane *plane, const struct chain_output *output)
{
	struct plane_peer *peer = plane_peers_find(&plane->peers, output->peer);
	if (peer == NULL || !plane_may_send(output, peer->entry, &peer->owner))
		return -EBADF;
	if (peer->socket != NULL)
		return plane_datagrams_send(plane, peer, output->data, output->len);
	return plane_ports_send_datagram(plane, peer, output->data, output->len);
}

static int send_output(void *ctx, const struct chain_output *output)
{
	struct plane *plane = ctx;
	if (output->kind == CHAIN_DATAGRAM)
		return send_datagram(plane, output);
	if (output->kind == CHAIN_STREAM)
		return plane_streams_send(plane, output);
	const struct plane_entry *entry = entry_of(output);
	if (output->port >= 2 + entry->manifest->next_count ||
	    entry->ports[output->port] >= plane->ports_count)
		return -EBADF;
	uint16_t port = entry->ports[output->port];
	if (output->port == CHAIN_OUT)
		plane_ports_remember(plane, port, output->data, output->len);
	return plane_ports_send(plane, port, output);
}

static int close_output(void *ctx, const struct chain_output *output)
{
	return output->kind == CHAIN_STREAM ? plane_streams_close(ctx, output) : -EBADF;
}

static int shut_output(void *ctx, const struct chain_output *output, enum chain_shut how)
{
	return plane_streams_shut(ctx, output, how);
}

static int tell_info(void *ctx, const struct chain_output *output, enum chain_info what,
		     const char **ret_text)
{
	return plane_streams_info(ctx, output, what, ret_text);
}

static void log_line(void *ctx, const struct chain_template *template, unsigned stage,
		     unsigned level, const char *text, size_t len)
{
	(void)ctx;
	static const enum eos_log_level levels[] = {EOS_LOG_ERROR, EOS_LOG_WARN, EOS_LOG_INFO,
						    EOS_LOG_DEBUG};
	eos_log(levels[EOS_MIN(level, EOS_ARRAY_SIZE(levels) - 1)], "chain",
		"says chain=%s stage=%u text=\"%.*s\"", chain_template_name(template), stage,
		(int)EOS_MIN(len, (size_t)1024), text);
}

/* Who lets stages die as fast as he can does not fill the log. */
static void tell_death(struct plane *plane, const char *name, unsigned stage,
		       const struct fwp_death *death, const char *place)
{
	uint64_t now_ns = eos_now_ns();
	if (now_ns - plane->death_told_ns < DEATHS_NS) {
		plane->deaths_untold++;
		return;
	}
	eos_log(EOS_LOG_WARN, "chain",
		"stage_died chain=%s stage=%u reason=\"%s\" place=%s untold=%llu", name, stage,
		death->text, place, (unsigned long long)plane->deaths_untold);
	plane->death_told_ns = now_ns;
	plane->deaths_untold = 0;
}

static void stage_died(void *ctx, const struct chain_template *template, uint64_t chain,
		       unsigned stage, const struct fwp_death *death, const char *place)
{
	struct plane *plane = ctx;
	struct plane_entry *entry = (struct plane_entry *)chain_template_tag(template);
	tell_death(plane, chain_template_name(template), stage, death, place);
	/* What it remembered of connections is gone. */
	if (entry != NULL && entry->manifest->has_endpoint && entry->manifest->endpoint.is_tcp)
		plane_streams_break(plane, entry, chain);
}

const struct chains_ops plane_chains_ops = {
	.send = send_output,
	.close = close_output,
	.shut = shut_output,
	.info = tell_info,
	.log = log_line,
	.died = stage_died,
};
