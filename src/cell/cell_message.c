/*
 * What edged says to the cell: decoded by link_proto.c, applied here. edged is trusted with more
 * than a guest is, but a message that makes no sense in the cell's state ends the link all the
 * same: going on from a state that one side does not understand is worse than a restart.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/file.h"
#include "cell/cell_priv.h"
#include "image/image.h"

/* Takes the descriptor that came for IMAGE_ID. */
static int take_image_fd(struct cell *cell, uint32_t image_id, int *ret_fd)
{
	uint64_t tag;
	int fd;
	int err = link_receive_fd(cell->link, &fd, &tag);
	if (err < 0)
		return err == -EAGAIN ? -EBADMSG : err;
	if (tag != image_id) {
		eos_close(fd);
		return -EBADMSG;
	}
	*ret_fd = fd;
	return 0;
}

/* Verifies and maps; what is wrong with the image is edged's answer, not our failure. */
static int load_image(struct cell *cell, int fd, struct fwp_image **ret_image, struct eos_why *why)
{
	struct image *image;
	size_t count;
	const struct fwp_import *imports = wasi_imports(&count);
	int err = image_open(fd, cell->public_key, &image, why);
	if (err < 0)
		return err;
	err = fwp_image_load(image, imports, count, ret_image, why);
	if (err == 0 && !fwp_image_has_export(*ret_image, "_start", ":")) {
		*ret_image = fwp_image_unref(*ret_image);
		err = eos_why(why, -ENOSYS, "it exports no function _start without parameters");
	}
	image_close(image);
	return err;
}

void cell_flush_loaded(struct cell *cell)
{
	EOS_ASSERT(cell->has_loaded);
	int err = link_send(cell->link, &cell->loaded, sizeof(cell->loaded), cell->loaded_text,
			    cell->loaded.header.payload_len);
	if (err == -EAGAIN)
		return;
	if (err < 0)
		cell->err = err;
	cell->has_loaded = false;
}

static int apply_load(struct cell *cell, const struct link_message *message)
{
	uint32_t id = message->load.image_id;
	int fd;
	struct eos_why why = {""};
	struct fwp_image *image = NULL;
	if (id >= LINK_IMAGES_MAX || cell->images[id].image != NULL)
		return -EBADMSG;
	int err = take_image_fd(cell, id, &fd);
	if (err < 0)
		return err;
	err = load_image(cell, fd, &image, &why);
	eos_close(fd);
	cell->images[id].image = image;
	if (err < 0 && why.text[0] == '\0')
		eos_why(&why, err, "%s", strerror(-err));
	snprintf(cell->loaded_text, sizeof(cell->loaded_text), "%s", why.text);
	cell->loaded = (struct link_loaded){
		.header = {.kind = LINK_LOADED, .payload_len = (uint32_t)strlen(cell->loaded_text)},
		.image_id = id,
		.err = err,
	};
	cell->has_loaded = true;
	cell_flush_loaded(cell);
	return 0;
}

static int apply_unload(struct cell *cell, const struct link_message *message)
{
	uint32_t id = message->unload.image_id;
	if (id >= LINK_IMAGES_MAX || cell->images[id].image == NULL)
		return -EBADMSG;
	cell_functions_unload(cell, cell->images[id].image);
	cell->images[id].image = fwp_image_unref(cell->images[id].image);
	return 0;
}

/* Replies and cancellations may cross a DONE: then there is no such call any more. */
static int apply_reply(struct cell *cell, const struct link_message *message)
{
	struct cell_call *call = cell_call_find(cell, message->file_reply.call_id);
	return call != NULL ? cell_call_reply(call, message) : 0;
}

static int apply_cancel(struct cell *cell, const struct link_message *message)
{
	struct cell_call *call = cell_call_find(cell, message->cancel.call_id);
	if (call != NULL)
		cell_call_kill(call, LINK_CANCELLED);
	return 0;
}

static int apply(struct cell *cell, const struct link_message *message)
{
	switch (message->header.kind) {
	case LINK_LOAD:
		return apply_load(cell, message);
	case LINK_UNLOAD:
		return apply_unload(cell, message);
	case LINK_INVOKE:
		return cell_call_start(cell, message);
	case LINK_FILE_REPLY:
		return apply_reply(cell, message);
	case LINK_CANCEL:
		return apply_cancel(cell, message);
	default:
		return -EBADMSG;
	}
}

int cell_receive(struct cell *cell, unsigned messages_max)
{
	for (unsigned i = 0; i < messages_max && !cell->has_loaded; i++) {
		struct link_message message;
		int64_t len = link_receive(cell->link, cell->message, sizeof(cell->message));
		if (len <= 0)
			return len < 0 ? (int)len : (int)i;
		int err = link_decode_to_cell(cell->message, (size_t)len, &message);
		if (err == 0)
			err = apply(cell, &message);
		if (err < 0)
			return err;
	}
	return (int)messages_max;
}

void cell_images_free(struct cell *cell)
{
	for (size_t i = 0; i < LINK_IMAGES_MAX; i++)
		cell->images[i].image = fwp_image_unref(cell->images[i].image);
}
