/*
 * TLS in front of functions: they see what clients meant to say, and never a key.
 *
 * A connection's session (src/crypto/tls.h) is between its socket and everything else: what is
 * received goes through it before it is delivered; what a function sends waits unsealed, and a
 * record of it is sealed when the socket takes one. All of that is done on the loop's own stack: an
 * FWP's, on which functions' calls run, is too small for it.
 *
 * A handshake takes the time of hundreds of packets, so that only some steps of them are done in
 * one look at the sockets; the others are there in the next one. How many of one address may be
 * under way is limited, as is the time and the bytes that each may take.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "plane/plane_priv.h"
#include "plane/plane_protocol.h"

#define HANDSHAKES_PER_LOOK 4u
#define HANDSHAKES_SHARE    4u	/* of the table's places, an address may use one in so many … */
#define HANDSHAKES_ALWAYS   16u /* … and so many in any case */
#define SEALED_MAX	    (64u << 10)

static_assert((int)PLANE_TLS_FILES == (int)TLS_PARTS && PLANE_PROTOCOLS_MAX == TLS_PROTOCOLS_MAX &&
		      PLANE_PROTOCOL_MAX == TLS_PROTOCOL_MAX,
	      "the files are those of the server, in its order");

/* --- the server --- */

static int read_file(int fd, struct eos_buf *out, struct eos_why *why)
{
	size_t len;
	int err = plane_document_check(fd, &len);
	if (err < 0)
		return eos_why(why, err, "is not a sealed file in memory");
	if (len > PLANE_PEM_MAX)
		return eos_why(why, -EINVAL, "has more than %u bytes", PLANE_PEM_MAX);
	err = eos_buf_reserve(out, len + 1);
	if (err == 0)
		err = eos_pread_full(fd, out->data, len, 0);
	if (err < 0)
		return eos_why(why, err, "%s", strerror(-err));
	out->len = len;
	return 0;
}

static void forget(struct eos_buf *file)
{
	if (file->data != NULL)
		explicit_bzero(file->data, file->cap);
	eos_buf_fini(file);
}

static void name_file(const struct plane_tls_config *tls, unsigned file, struct eos_why *why)
{
	eos_why_prefix(why, "endpoint: tls: %s: %s", plane_tls_file_key((enum plane_tls_file)file),
		       tls->files[file]);
}

static void warn_of_age(const struct plane_manifest *manifest, const struct tls_server *server)
{
	const char *file = manifest->endpoint.tls.files[PLANE_TLS_CERTIFICATE];
	int64_t end = tls_server_not_after(server), now = (int64_t)time(NULL);
	if (end < now)
		eos_log(EOS_LOG_WARN, "plane",
			"event=certificate_expired chain=%s file=\"%s\" days=%lld", manifest->name,
			file, (long long)((now - end) / 86400));
}

static int digest_files(const struct eos_buf *files, uint8_t ret_digest[CRYPTO_SHA256_SIZE])
{
	struct crypto_hash *hash;
	int err = crypto_hash_new(CRYPTO_SHA256, &hash);
	if (err < 0)
		return err;
	for (unsigned i = 0; err == 0 && i < PLANE_TLS_FILES; i++) {
		err = crypto_hash_update(hash, &files[i].len, sizeof(files[i].len));
		if (err == 0 && files[i].len > 0)
			err = crypto_hash_update(hash, files[i].data, files[i].len);
	}
	if (err == 0)
		err = crypto_hash_final(hash, ret_digest);
	crypto_hash_free(hash);
	return err;
}

static int make_server(const struct plane_manifest *manifest, const struct eos_buf *files,
		       struct tls_server **ret_server, struct eos_why *why)
{
	const struct plane_tls_config *tls = &manifest->endpoint.tls;
	const char *protocols[PLANE_PROTOCOLS_MAX];
	struct tls_server_config config = {
		.protocols = protocols,
		.protocols_count = tls->protocols_count,
		.scope = manifest->name,
	};
	enum tls_part part;
	for (unsigned i = 0; i < PLANE_TLS_FILES; i++)
		config.pem[i] = (struct tls_text){files[i].data, files[i].len};
	for (unsigned i = 0; i < tls->protocols_count; i++)
		protocols[i] = tls->protocols[i];
	int err = tls_server_new(&config, ret_server, &part, why);
	if (err < 0)
		name_file(tls, part, why);
	return err;
}

int plane_tls_open(const struct plane_manifest *manifest, const int *fds,
		   struct tls_server **ret_server, uint8_t ret_digest[CRYPTO_SHA256_SIZE],
		   struct eos_why *why)
{
	const struct plane_tls_config *tls = &manifest->endpoint.tls;
	struct eos_buf files[PLANE_TLS_FILES] = {{0}};
	int err = 0;
	for (unsigned i = 0; err == 0 && i < PLANE_TLS_FILES; i++) {
		if (tls->files[i][0] == '\0')
			continue;
		err = read_file(*fds++, &files[i], why);
		/* An empty one would be none at all. */
		if (err == 0 && files[i].len == 0)
			err = eos_why(why, -EINVAL, "is empty");
		if (err < 0)
			name_file(tls, i, why);
	}
	if (err == 0)
		err = digest_files(files, ret_digest);
	if (err == 0)
		err = make_server(manifest, files, ret_server, why);
	if (err == 0)
		warn_of_age(manifest, *ret_server);
	for (unsigned i = 0; i < PLANE_TLS_FILES; i++)
		forget(&files[i]);
	return err;
}

/* --- connections --- */

/* How many handshakes of STREAM's address are under way. */
static unsigned count_alike(const struct plane_stream *stream)
{
	unsigned count = 0;
	EOS_LIST_FOR_EACH (node, &stream->plane->streams.waits[PLANE_HANDSHAKE]) {
		const struct plane_stream *other =
			EOS_CONTAINER_OF(node, struct plane_stream, waits);
		count += memcmp(other->address, stream->address, sizeof(other->address)) == 0;
	}
	return count;
}

bool plane_tls_begin(struct plane_stream *stream, uint64_t now_ns)
{
	uint32_t most = EOS_MAX(stream->plane->streams.count / HANDSHAKES_SHARE, HANDSHAKES_ALWAYS);
	if (count_alike(stream) >= most) {
		stream->entry->stats.tls_refused++;
		return false;
	}
	if (tls_session_new(stream->entry->tls, &stream->tls) < 0) {
		stream->entry->stats.tls_failed++;
		return false;
	}
	plane_stream_wait(stream, PLANE_HANDSHAKE, now_ns);
	return true;
}

/* True: STREAM's handshake may take its step in this look at the sockets. */
static bool may_step(const struct plane_stream *stream, uint64_t now_ns)
{
	struct plane_streams *streams = &stream->plane->streams;
	if (tls_session_is_open(stream->tls))
		return true;
	if (streams->looked_ns != now_ns) {
		streams->looked_ns = now_ns;
		streams->handshakes = 0;
	}
	return streams->handshakes++ < HANDSHAKES_PER_LOOK;
}

static void handshake_done(struct plane_stream *stream)
{
	plane_stream_wait_no_more(stream);
	stream->entry->stats.tls_handshakes++;
	stream->entry->stats.tls_resumed += tls_session_info(stream->tls)->was_resumed;
}

static void break_off(struct plane_stream *stream)
{
	stream->entry->stats.tls_failed += !tls_session_is_open(stream->tls);
	stream->is_broken = true;
}

/* An alert, if there is one, is worth a try. */
static void send_alert(struct plane_stream *stream)
{
	struct eos_buf *sealed = tls_session_output(stream->tls);
	if (sealed->len > 0)
		(void)!send(stream->fd, sealed->data, sealed->len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* All that the session makes of what was put. */
static void open_sealed(struct plane_stream *stream, uint64_t now_ns)
{
	struct plane_streams *streams = &stream->plane->streams;
	size_t room = EOS_MIN(sizeof(streams->chunk),
			      (size_t)chain_template_packet_max(stream->entry->template));
	for (;;) {
		bool was_open = tls_session_is_open(stream->tls);
		long n = tls_session_read(stream->tls, streams->chunk, room);
		if (!was_open && tls_session_is_open(stream->tls))
			handshake_done(stream);
		if (n == 0)
			return;
		if (n < 0 && n != -EPIPE) {
			break_off(stream);
			send_alert(stream);
			return;
		}
		stream->is_ended = n < 0;
		/* Who is not wanted any more by his function is not heard. */
		if (!stream->is_closing && !stream->is_broken)
			plane_stream_deliver(stream, n < 0 ? 0 : (size_t)n, now_ns);
		if (n < 0)
			return;
	}
}

bool plane_tls_receive(struct plane_stream *stream, uint64_t now_ns)
{
	struct plane_streams *streams = &stream->plane->streams;
	if (!may_step(stream, now_ns))
		return false;
	ssize_t n = recv(stream->fd, streams->wire, sizeof(streams->wire), MSG_DONTWAIT);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		/* Cut off: nobody has said that it ends. */
		break_off(stream);
		return false;
	}
	tls_session_put(stream->tls, streams->wire, (size_t)n);
	open_sealed(stream, now_ns);
	return (size_t)n == sizeof(streams->wire);
}

void plane_tls_seal(struct plane_stream *stream)
{
	struct eos_buf *sealed = tls_session_output(stream->tls);
	while (!stream->is_broken && stream->sent < stream->out.len && sealed->len < SEALED_MAX &&
	       tls_session_is_open(stream->tls)) {
		size_t len = EOS_MIN(stream->out.len - stream->sent, (size_t)TLS_RECORD_MAX);
		if (tls_session_write(stream->tls, stream->out.data + stream->sent, len) < 0)
			stream->is_broken = true;
		else
			stream->sent += len;
	}
}

int plane_tls_info(const struct plane_stream *stream, enum chain_info what, const char **ret_text)
{
	const struct tls_info *info = stream->tls == NULL ? NULL : tls_session_info(stream->tls);
	if (info == NULL)
		return -ENOENT;
	const char *const texts[] = {
		[CHAIN_INFO_TLS] = info->version,
		[CHAIN_INFO_SERVER_NAME] = info->server_name,
		[CHAIN_INFO_PROTOCOL] = info->protocol,
		[CHAIN_INFO_CLIENT] = info->client,
	};
	if (texts[what][0] == '\0')
		return -ENOENT;
	*ret_text = texts[what];
	return 0;
}
