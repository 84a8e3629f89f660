/*
 * The control socket: requests of edged, each with one reply, in order. A request that cannot be
 * fulfilled gets an error in words and changes nothing; one that is not well formed ends the data
 * plane, as its owner is not what it should be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/node.h"
#include "image/image.h"
#include "plane/plane_priv.h"
#include "plane/plane_protocol.h"
#include "plane/plane_request.h"

#define REPLY_MS 1000

/* A request with what came along. */
struct asked {
	struct plane_request request;
	int fds[PLANE_FDS_MAX];
	unsigned fds_count;
};

static int reply(struct plane *plane, uint64_t id, const char *error, int document, size_t len)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0};
	struct eos_json json = eos_json_begin(&buf);
	eos_json_open(&json, NULL, '{');
	eos_json_u64(&json, "id", id);
	eos_json_text(&json, "error", error);
	eos_json_u64(&json, "len", len);
	eos_json_close(&json, '}');
	if (eos_buf_failed(&buf))
		return -ENOMEM;
	return plane_message_send(plane->control_fd, buf.data, buf.len, &document,
				  document >= 0 ? 1 : 0, REPLY_MS);
}

/* --- apply --- */

static void images_free(struct fwp_image **images, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fwp_image_unref(images[i]);
}

/* What a chain is to be made of. */
struct parts {
	struct fwp_image *images[CHAIN_STAGES_MAX];
	unsigned images_count;
	struct crypto_hash *hash; /* of what is taken for the same chain */
	struct plane_identity identity;
	struct tls_server *tls;
};

static int load_image(const struct plane *plane, int fd, struct parts *parts, struct eos_why *why)
{
	struct image *image;
	struct fwp_image **loaded = &parts->images[parts->images_count];
	size_t count;
	const struct fwp_import *imports = chain_imports(&count);
	int err = image_open(fd, plane->public_key, &image, why);
	/* That is a word for another version's images, too, which do not break this protocol. */
	if (err < 0)
		return err == -EPROTO ? -EINVAL : err;
	err = fwp_image_load(image, imports, count, loaded, why);
	if (err == 0)
		err = crypto_hash_update(parts->hash, image_info(image)->module_sha256,
					 sizeof(image_info(image)->module_sha256));
	image_close(image);
	if (err == 0 && !fwp_image_has_export(*loaded, "edgeos_packet", "ii:i")) {
		*loaded = fwp_image_unref(*loaded);
		err = eos_why(why, -EINVAL, "is no packet function: it exports no edgeos_packet()");
	}
	return err;
}

static int load_parts(const struct plane *plane, const struct asked *asked,
		      const struct plane_manifest *manifest, struct parts *parts,
		      struct eos_why *why)
{
	const char *text = asked->request.manifest;
	int err = crypto_hash_new(CRYPTO_SHA256, &parts->hash);
	if (err == 0)
		err = crypto_hash_update(parts->hash, text, strlen(text) + 1);
	for (unsigned i = 0; err == 0 && i < manifest->stages_count; i++) {
		err = load_image(plane, asked->fds[i], parts, why);
		if (err < 0)
			eos_why_prefix(why, "%s", manifest->stages[i].image);
		parts->images_count += err == 0;
	}
	if (err == 0)
		err = crypto_hash_final(parts->hash, parts->identity.chain);
	if (err == 0 && manifest->endpoint.has_tls)
		err = plane_tls_open(manifest, asked->fds + manifest->stages_count, &parts->tls,
				     parts->identity.tls, why);
	return err;
}

static int apply_manifest(struct plane *plane, const struct asked *asked,
			  struct plane_manifest *manifest, struct eos_why *why)
{
	struct parts parts = {.images_count = 0};
	if (asked->fds_count != plane_manifest_files(manifest)) {
		plane_manifest_free(manifest);
		return -EPROTO;
	}
	int err = load_parts(plane, asked, manifest, &parts, why);
	if (err == 0)
		err = plane_entry_apply(plane, manifest, parts.images, parts.tls, &parts.identity,
					why);
	else
		plane_manifest_free(manifest);
	crypto_hash_free(parts.hash);
	images_free(parts.images, parts.images_count);
	return err;
}

static int apply(struct plane *plane, const struct asked *asked, struct eos_why *why)
{
	const char *text = asked->request.manifest;
	struct eos_doc *doc;
	struct plane_manifest *manifest;
	int err = eos_doc_parse_yaml(asked->request.name, text, strlen(text), &doc, why);
	if (err < 0)
		return err;
	err = plane_manifest_decode(eos_doc_root(doc), &manifest, why);
	eos_doc_free(doc);
	return err < 0 ? err : apply_manifest(plane, asked, manifest, why);
}

/* --- the others --- */

static int remove_chain(struct plane *plane, const char *name, struct eos_why *why)
{
	int err = plane_entry_remove(plane, name);
	return err < 0 ? eos_why(why, err, "no chain \"%s\"", name) : 0;
}

static int send_state(struct plane *plane, const struct plane_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0};
	struct eos_why why = {""};
	const char *name = request->name;
	uint64_t id = request->id;
	if (name == NULL) {
		plane_status_put(plane, &buf);
	} else if (plane_status_put_chain(plane, name, &buf) < 0) {
		eos_why(&why, -ENOENT, "no chain \"%s\"", name);
		return reply(plane, id, why.text, -1, 0);
	}
	if (eos_buf_failed(&buf))
		return reply(plane, id, "no memory", -1, 0);
	int fd = plane_document_new(buf.data, buf.len);
	if (fd < 0)
		return reply(plane, id, strerror(-fd), -1, 0);
	int err = reply(plane, id, NULL, fd, buf.len);
	eos_close(fd);
	return err;
}

static int answer(struct plane *plane, const struct asked *asked)
{
	const struct plane_request *request = &asked->request;
	struct eos_why why = {""};
	if (request->op == PLANE_REQUEST_STATE)
		return send_state(plane, request);
	int err = request->op == PLANE_REQUEST_APPLY ? apply(plane, asked, &why)
						     : remove_chain(plane, request->name, &why);
	if (err == -EPROTO)
		return err;
	const char *text = why.text[0] != '\0' ? why.text : strerror(-err);
	return reply(plane, request->id, err < 0 ? text : NULL, -1, 0);
}

static int take_request(struct plane *plane, struct eos_buf *buf)
{
	struct asked asked;
	int err = plane_message_receive(plane->control_fd, buf, asked.fds, &asked.fds_count);
	if (err < 0)
		return err;
	err = plane_request_decode(buf->data, buf->len, &asked.request);
	if (err == 0) {
		err = answer(plane, &asked);
		plane_request_fini(&asked.request);
	}
	plane_fds_close(asked.fds, asked.fds_count);
	return err;
}

void plane_control_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
			 uint64_t now_ns)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0};
	(void)watch;
	(void)events;
	(void)now_ns;
	int err = take_request(plane, &buf);
	if (err == 0 || err == -EAGAIN)
		return;
	plane->must_stop = true;
	plane->stop_err = err == -EPIPE ? 0 : err;
}

int plane_control_hello(struct plane *plane)
{
	static const char hello[] = "{\"ready\":1}";
	return plane_message_send(plane->control_fd, hello, sizeof(hello) - 1, NULL, 0, REPLY_MS);
}
