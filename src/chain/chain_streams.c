/*
 * What stages ask for of streams: to end them, wholly or one way, and what is known of them. Who
 * has the streams decides; here is who asks.
 */
#include <errno.h>
#include <string.h>

#include "chain/chain_priv.h"

static struct chain_output stream_output(const struct chain_fwp *c, uint32_t port, uint32_t peer)
{
	return (struct chain_output){
		.template = c->chain->template,
		.chain = chain_identity(c->chain),
		.port = port,
		.kind = CHAIN_STREAM,
		.peer = peer,
		.is_current_peer = chain_is_current_peer(chain_chains(c), c, peer),
		.stage = c->index,
	};
}

int chain_stream_close(struct chain_fwp *c, uint32_t peer)
{
	if (c->is_init)
		return -EBADF;
	struct chains *chains = chain_chains(c);
	const struct chain_output output = stream_output(c, CHAIN_CLIENT, peer);
	if (chains->ops->close == NULL)
		return -EBADF;
	return chains->ops->close(chains->ctx, &output);
}

int chain_stream_shut(struct chain_fwp *c, uint32_t port, uint32_t peer, uint32_t how)
{
	if (how > CHAIN_ABI_SHUT_BREAK)
		return -EINVAL;
	if (c->is_init || port >= CHAIN_ABI_PORTS_MAX || c->chain->version->mtu[port] == 0)
		return -EBADF;
	struct chains *chains = chain_chains(c);
	const struct chain_output output = stream_output(c, port, peer);
	if (chains->ops->shut == NULL)
		return -EBADF;
	return chains->ops->shut(chains->ctx, &output, (enum chain_shut)how);
}

int chain_stream_info(struct chain_fwp *c, uint32_t peer, uint32_t what, uint32_t address,
		      uint32_t size)
{
	if (what < CHAIN_ABI_INFO_TLS || what > CHAIN_ABI_INFO_CLIENT)
		return -EINVAL;
	if (c->is_init)
		return -EBADF;
	if (chain_copy_look(c->fwp, address, size) == NULL)
		return -EFAULT;
	struct chains *chains = chain_chains(c);
	const struct chain_output output = stream_output(c, CHAIN_CLIENT, peer);
	const char *text;
	int err = chains->ops->info == NULL
			  ? -EBADF
			  : chains->ops->info(chains->ctx, &output, (enum chain_info)what, &text);
	if (err < 0)
		return err;
	size_t len = strnlen(text, CHAIN_ABI_INFO_MAX);
	err = chain_copy_to(c->fwp, address, text, (uint32_t)EOS_MIN(len, (size_t)size));
	return err < 0 ? err : (int)len;
}
