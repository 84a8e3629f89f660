/*
 * What functions do with their TCP connections: send, close, half-close, ask. All of it inside of a
 * delivery, on the stack of an FWP, so connections are only marked here.
 */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "plane/plane_priv.h"

static struct plane_stream *find(struct plane *plane, const struct chain_output *output)
{
	struct plane_streams *streams = &plane->streams;
	struct plane_stream *stream = &streams->all[output->peer % streams->count];
	if (output->peer == 0 || stream->number != output->peer ||
	    !plane_may_send(output, stream->entry, &stream->owner))
		return NULL;
	return stream;
}

static void break_later(struct plane_stream *stream)
{
	stream->is_broken = true;
	plane_stream_unsettle(stream);
}

static void shut_later(struct plane_stream *stream)
{
	stream->must_shut = true;
	plane_stream_unsettle(stream);
}

int plane_streams_send(struct plane *plane, const struct chain_output *output)
{
	struct plane_stream *stream = find(plane, output), *to = stream;
	int err = stream == NULL || stream->is_closing || stream->is_broken ? -EBADF : 0;
	if (err == 0 && output->port != CHAIN_CLIENT) {
		to = plane_upstream_find(stream, output->port);
		/* For telling somebody that nothing comes nobody is called. */
		if (to == NULL && output->is_last && output->len == 0)
			return 0;
		err = plane_upstream_get(stream, output, &to);
	}
	if (err == 0 && output->len > 0)
		err = plane_stream_put(to, output->data, output->len);
	/* Not even its maker knows of the gap that there would be. */
	if (err == -EAGAIN && output->is_verdict)
		break_later(stream);
	if (err == 0 && output->is_last)
		shut_later(to);
	return err;
}

int plane_streams_close(struct plane *plane, const struct chain_output *output)
{
	struct plane_stream *stream = find(plane, output);
	if (stream == NULL)
		return -EBADF;
	stream->is_closing = true;
	plane_stream_unsettle(stream);
	return 0;
}

int plane_streams_shut(struct plane *plane, const struct chain_output *output, enum chain_shut how)
{
	struct plane_stream *stream = find(plane, output);
	if (stream != NULL && output->port != CHAIN_CLIENT)
		stream = plane_upstream_find(stream, output->port);
	if (stream == NULL)
		return -EBADF;
	switch (how) {
	case CHAIN_SHUT_SEND:
		shut_later(stream);
		break;
	case CHAIN_SHUT_ALL:
		stream->is_closing = true;
		plane_stream_unsettle(stream);
		break;
	case CHAIN_SHUT_BREAK:
		/* Its maker knows. */
		stream->is_closing = stream->must_reset = true;
		break_later(stream);
		break;
	}
	return 0;
}

int plane_streams_info(struct plane *plane, const struct chain_output *output, enum chain_info what,
		       const char **ret_text)
{
	const struct plane_stream *stream = find(plane, output);
	return stream == NULL ? -EBADF : plane_tls_info(stream, what, ret_text);
}

/* --- a stage that died --- */

/* One of OWNER's, or NULL. */
static const struct plane_stream *find_one_of(const struct plane_streams *streams,
					      const struct plane_entry *entry, uint64_t owner)
{
	const struct plane_stream *current = streams->current;
	if (current != NULL && current->entry == entry)
		return current->client != NULL ? current->client : current;
	EOS_LIST_FOR_EACH (node, &streams->used) {
		const struct plane_stream *stream =
			EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry == entry && stream->owner == owner)
			return stream;
	}
	return NULL;
}

/* Who was not answered yet has no owner; whose he is then shows from one who is like him. */
static bool belongs_to(const struct plane_stream *stream, uint64_t owner,
		       const struct plane_stream *like)
{
	if (stream == like || stream->owner != 0)
		return stream == like || stream->owner == owner;
	if (stream->entry->manifest->isolation == CHAIN_PER_TENANT)
		return true;
	return stream->entry->manifest->isolation == CHAIN_PER_CLIENT && like != NULL &&
	       stream->local_port == like->local_port &&
	       memcmp(stream->address, like->address, sizeof(stream->address)) == 0;
}

void plane_streams_break(struct plane *plane, const struct plane_entry *entry, uint64_t chain)
{
	const struct plane_stream *like = find_one_of(&plane->streams, entry, chain + 1);
	EOS_LIST_FOR_EACH (node, &plane->streams.used) {
		struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry != entry || stream->client != NULL || !stream->was_seen ||
		    !belongs_to(stream, chain + 1, like))
			continue;
		stream->was_seen = false; /* by who died */
		break_later(stream);
	}
}
