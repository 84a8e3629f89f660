/*
 * Order of applying: everything is checked and built; the folder is written beside the old one and
 * synced; the data plane takes the chain; the folders change places. What a power cut leaves is the
 * old chain or the new one, and after an error of the data plane nothing has changed: if it died or
 * did not answer, so that it may have the new chain, it is started anew and gets the old one.
 */
#include "edged/chains.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "edged/chains_priv.h"
#include "edged/edged.h"
#include "edged/plane_scrapes.h"
#include "plane/plane_client.h"
#include "plane/plane_manifest.h"
#include "plane/plane_protocol.h"

#define CHAINS_DIR    "chains"
#define NEW_PREFIX    ".new-"
#define MANIFEST_FILE "manifest.yaml"
#define SOURCE_FILE   "source"
#define MANIFEST_MAX  (64u << 10)
#define SOURCE_MAX    4096u
#define FILES_MAX     (CHAIN_STAGES_MAX + PLANE_TLS_FILES)

static_assert(FILES_MAX <= PLANE_FDS_MAX, "a descriptor for each of them");

/* --- folders --- */

static void remove_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		eos_close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		(void)unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* What is to be applied: built, and as it came. */
struct built {
	struct plane_manifest *manifest;
	struct image *images[CHAIN_STAGES_MAX];
	/* For the data plane: the images' (theirs), and of TLS' files (owned). */
	int fds[FILES_MAX];
	unsigned images_count, count;
	const void *const *files; /* borrowed: modules, then TLS' files */
	const size_t *files_len;
};

/* How file I of a chain with so many stages is called. */
static void name_file(unsigned i, unsigned stages_count, char *out, size_t size)
{
	if (i < stages_count)
		snprintf(out, size, "%u.wasm", i);
	else
		snprintf(out, size, "%s.pem",
			 plane_tls_file_key((enum plane_tls_file)(i - stages_count)));
}

static int write_files(int fd, const char *source, const char *manifest, size_t manifest_len,
		       const struct built *built)
{
	char name[32];
	int err = eos_replace_file(fd, MANIFEST_FILE, manifest, manifest_len, 0600);
	if (err == 0)
		err = eos_replace_file(fd, SOURCE_FILE, source, strlen(source), 0600);
	for (unsigned i = 0; err == 0 && i < built->count; i++) {
		name_file(i, built->images_count, name, sizeof(name));
		err = eos_replace_file(fd, name, built->files[i], built->files_len[i], 0600);
	}
	return err;
}

static int write_folder(int dir_fd, const char *name, const char *source, const char *manifest,
			size_t manifest_len, const struct built *built)
{
	remove_folder(dir_fd, name);
	if (mkdirat(dir_fd, name, 0700) < 0)
		return -errno;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : write_files(fd, source, manifest, manifest_len, built);
	eos_close(fd);
	if (err < 0)
		remove_folder(dir_fd, name);
	return err;
}

/* NEW_NAME takes NAME's place, durably. */
static int put_folder(int dir_fd, const char *new_name, const char *name)
{
	if (renameat2(dir_fd, new_name, dir_fd, name, RENAME_EXCHANGE) < 0 &&
	    (errno != ENOENT || renameat(dir_fd, new_name, dir_fd, name) < 0))
		return -errno;
	if (fsync(dir_fd) < 0)
		return -errno;
	/* The old one, if there was one; only now that it cannot come back. */
	remove_folder(dir_fd, new_name);
	return 0;
}

/* --- applying --- */

static void built_fini(struct built *built)
{
	for (unsigned i = built->images_count; i < built->count; i++)
		eos_close(built->fds[i]);
	for (unsigned i = 0; i < built->images_count; i++)
		image_close(built->images[i]);
	plane_manifest_free(built->manifest);
}

static int decode(const char *name, const char *source, const char *text, size_t len,
		  struct plane_manifest **ret_manifest, struct eos_why *why)
{
	struct eos_doc *doc;
	int err = eos_doc_parse_yaml(source, text, len, &doc, why);
	if (err < 0)
		return err;
	err = plane_manifest_decode(eos_doc_root(doc), ret_manifest, why);
	eos_doc_free(doc);
	if (err == 0 && strcmp((*ret_manifest)->name, name) != 0) {
		err = eos_why(why, -EINVAL, "%s: its chain is \"%s\", not \"%s\"", source,
			      (*ret_manifest)->name, name);
		*ret_manifest = plane_manifest_free(*ret_manifest);
	}
	return err;
}

static int build_stages(struct edged *edged, struct built *built, struct eos_why *why)
{
	const struct aot_config config = edged_aot_config(edged);
	for (unsigned i = 0; i < built->manifest->stages_count; i++) {
		int err = aot_build(&config, built->manifest->stages[i].image, built->files[i],
				    built->files_len[i], &built->images[i], why);
		if (err < 0)
			return err;
		built->fds[i] = image_fd(built->images[i]);
		built->count = ++built->images_count;
	}
	return 0;
}

/* The data plane checks them: only there a key is more than bytes. */
static int open_tls_files(struct built *built, unsigned count, struct eos_why *why)
{
	while (built->count < count) {
		size_t len = built->files_len[built->count];
		if (len > PLANE_PEM_MAX)
			return eos_why(why, -EINVAL, "tls: a file has more than %u bytes",
				       PLANE_PEM_MAX);
		int fd = plane_document_new(built->files[built->count], len);
		if (fd < 0)
			return eos_why(why, fd, "tls: %s", strerror(-fd));
		built->fds[built->count++] = fd;
	}
	return 0;
}

static int build(struct edged *edged, const char *name, const char *source, const char *text,
		 size_t len, unsigned count, struct built *built, struct eos_why *why)
{
	int err = decode(name, source, text, len, &built->manifest, why);
	if (err < 0)
		return err;
	if (plane_manifest_files(built->manifest) != count)
		return eos_why(why, -EINVAL, "%s: %u stages and files of TLS, but %u came with it",
			       source, plane_manifest_files(built->manifest), count);
	err = build_stages(edged, built, why);
	return err < 0 ? err : open_tls_files(built, count, why);
}

static int put_locked(struct edged_chains *chains, const char *name, const char *source,
		      const char *manifest, size_t manifest_len, const struct built *built,
		      struct eos_why *why)
{
	char new_name[sizeof(NEW_PREFIX) + CHAIN_NAME_MAX];
	snprintf(new_name, sizeof(new_name), NEW_PREFIX "%s", name);
	int err = write_folder(chains->dir_fd, new_name, source, manifest, manifest_len, built);
	if (err < 0)
		return eos_why(why, err, "%s: keeping it: %s", name, strerror(-err));
	err = plane_client_apply(chains->client, source, manifest, manifest_len, built->fds,
				 built->count, why);
	if (err < 0) {
		remove_folder(chains->dir_fd, new_name);
		return err;
	}
	err = put_folder(chains->dir_fd, new_name, name);
	return err < 0 ? eos_why(why, err,
				 "%s: it runs, but keeping it failed, so that it is gone after a "
				 "restart: %s",
				 name, strerror(-err))
		       : 0;
}

static struct edged_chains *chains_of(struct edged *edged, struct eos_why *why)
{
	if (edged->chains == NULL)
		eos_why(why, -ENOSYS,
			"the node has no data plane: its configuration needs the key plane");
	return edged->chains;
}

int edged_chain_apply(void *ctx, const char *name, const char *source, const char *manifest,
		      size_t manifest_len, const void *const *files, const size_t *files_len,
		      unsigned count, struct eos_why *why)
{
	struct edged *edged = ctx;
	struct edged_chains *chains = chains_of(edged, why);
	struct built built = {.files = files, .files_len = files_len};
	if (chains == NULL)
		return -ENOSYS;
	/* What is taken now must be readable when it is applied again. */
	if (source[0] == '\0' || strlen(source) > SOURCE_MAX)
		return eos_why(why, -EINVAL, "source: expected 1 to %u bytes", SOURCE_MAX);
	if (count > FILES_MAX || manifest_len > MANIFEST_MAX)
		return eos_why(why, -EINVAL, "%s: more than %u stages or %u bytes", source,
			       CHAIN_STAGES_MAX, MANIFEST_MAX);
	int err = build(edged, name, source, manifest, manifest_len, count, &built, why);
	if (err == 0) {
		pthread_mutex_lock(&chains->lock);
		err = edged_chains_check_name_locked(chains, name, why);
		if (err == 0)
			err = put_locked(chains, name, source, manifest, manifest_len, &built, why);
		pthread_mutex_unlock(&chains->lock);
	}
	built_fini(&built);
	return err;
}

bool edged_chains_is_kept(const struct edged_chains *chains, const char *name)
{
	struct stat info;
	/* Names come from outside: only what could be a chain's is looked for. */
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
	       strlen(name) <= CHAIN_NAME_MAX &&
	       fstatat(chains->dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

int edged_chain_remove(void *ctx, const char *name, struct eos_why *why)
{
	struct edged *edged = ctx;
	struct edged_chains *chains = chains_of(edged, why);
	if (chains == NULL)
		return -ENOSYS;
	pthread_mutex_lock(&chains->lock);
	int err = edged_chains_is_kept(chains, name)
			  ? 0
			  : edged_chains_check_name_locked(chains, name, why);
	if (err == 0 && !edged_chains_is_kept(chains, name))
		err = eos_why(why, -ENOENT, "no chain \"%s\"", name);
	if (err == 0) {
		char gone[sizeof(NEW_PREFIX) + CHAIN_NAME_MAX];
		snprintf(gone, sizeof(gone), NEW_PREFIX "%s", name);
		remove_folder(chains->dir_fd, gone);
		/* Durably gone first: a data plane that dies meanwhile does not get it again. */
		if (renameat(chains->dir_fd, name, chains->dir_fd, gone) < 0 ||
		    fsync(chains->dir_fd) < 0)
			err = eos_why(why, -errno, "%s: %s", name, strerror(errno));
		else
			err = plane_client_remove(chains->client, name, why);
		remove_folder(chains->dir_fd, gone);
		/* One that does not run, or is to be started anew, gets what is kept only. */
		if (err == -EAGAIN || err == -EINVAL || err == -ETIMEDOUT)
			err = 0;
	}
	pthread_mutex_unlock(&chains->lock);
	return err;
}

int edged_chain_state(void *ctx, const char *name, struct eos_buf *buf, struct eos_why *why)
{
	struct edged *edged = ctx;
	struct edged_chains *chains = chains_of(edged, why);
	if (chains == NULL)
		return -ENOSYS;
	if (name != NULL && !edged_chains_is_kept(chains, name) &&
	    !edged_chains_is_function(chains, name))
		return eos_why(why, -ENOENT, "no chain \"%s\"", name);
	return plane_client_state(chains->client, name, buf, why);
}

void edged_metrics(void *ctx, struct ctl_metrics_query *query)
{
	struct edged *edged = ctx;
	if (edged->chains == NULL)
		query->done(query, "", 0);
	else
		plane_scrapes_ask(edged->chains->scrapes, query);
}

/* --- again --- */

void edged_chains_log(const char *name, const char *text)
{
	eos_log(EOS_LOG_ERROR, "edged", "event=chain_not_applied chain=%s why=\"%s\"", name, text);
}

/* What file NAME holds, if it is there: else 0. */
static int read_more(int fd, const char *name, size_t max, struct eos_buf *file)
{
	int err = eos_read_file(fd, name, max, file);
	if (err == -ENOENT)
		return 0;
	return err < 0 ? err : 1;
}

/* FILES: as many as there are, in their order. */
static int read_kept(int fd, struct eos_buf *source, struct eos_buf *manifest,
		     struct eos_buf files[FILES_MAX], unsigned *ret_count)
{
	char name[32];
	unsigned count = 0;
	int err = eos_read_file(fd, MANIFEST_FILE, MANIFEST_MAX, manifest), more = 1;
	if (err == 0)
		err = eos_read_file(fd, SOURCE_FILE, SOURCE_MAX, source);
	while (err == 0 && more > 0 && count < CHAIN_STAGES_MAX) {
		name_file(count, CHAIN_STAGES_MAX, name, sizeof(name));
		more = read_more(fd, name, FUNC_MODULE_MAX, &files[count]);
		count += more > 0;
		err = EOS_MIN(more, 0);
	}
	more = 1;
	for (unsigned i = 0; err == 0 && more > 0 && i < PLANE_TLS_FILES; i++) {
		name_file(i, 0, name, sizeof(name));
		more = read_more(fd, name, PLANE_PEM_MAX, &files[count]);
		count += more > 0;
		err = EOS_MIN(more, 0);
	}
	*ret_count = count;
	return err;
}

static void forget_file(struct eos_buf *file)
{
	/* It may be a private key. */
	if (file->data != NULL)
		explicit_bzero(file->data, file->cap);
	eos_buf_fini(file);
}

static int apply_kept(struct edged_chains *chains, const char *name, int fd, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf source = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf manifest = {0};
	struct eos_buf files[FILES_MAX] = {{0}};
	const void *datas[FILES_MAX];
	size_t lens[FILES_MAX];
	struct built built = {.files = datas, .files_len = lens};
	unsigned count = 0;
	int err = read_kept(fd, &source, &manifest, files, &count);
	for (unsigned i = 0; i < FILES_MAX; i++) {
		datas[i] = files[i].data;
		lens[i] = files[i].len;
	}
	if (err < 0)
		eos_why(why, err, "reading it: %s", strerror(-err));
	else
		err = build(chains->edged, name, source.data, manifest.data, manifest.len, count,
			    &built, why);
	if (err == 0)
		err = plane_client_apply(chains->client, source.data, manifest.data, manifest.len,
					 built.fds, built.count, why);
	built_fini(&built);
	for (unsigned i = 0; i < FILES_MAX; i++)
		forget_file(&files[i]);
	return err;
}

static void apply_folder(struct edged_chains *chains, const char *name)
{
	struct eos_why why = {""};
	int fd = openat(chains->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : apply_kept(chains, name, fd, &why);
	eos_close(fd);
	if (err < 0)
		edged_chains_log(name, why.text[0] != '\0' ? why.text : strerror(-err));
}

/* The data plane has a new worker, which has no chains. */
static void apply_all(void *ctx)
{
	struct edged_chains *chains = ctx;
	pthread_mutex_lock(&chains->lock);
	int fd = openat(chains->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		eos_close(fd);
		edged_chains_log("*", strerror(errno));
	} else {
		for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
			if (strncmp(entry->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0)
				remove_folder(chains->dir_fd, entry->d_name);
			else if (entry->d_name[0] != '.')
				apply_folder(chains, entry->d_name);
		}
		closedir(dir);
	}
	edged_chains_serve_all_locked(chains);
	pthread_mutex_unlock(&chains->lock);
}

/* --- life --- */

static int open_dir(struct edged_chains *chains, struct eos_why *why)
{
	int data_fd = chains->edged->data_fd;
	bool is_there = mkdirat(data_fd, CHAINS_DIR, 0700) < 0 && errno == EEXIST;
	if (!is_there && fsync(data_fd) < 0)
		return eos_why(why, -errno, CHAINS_DIR ": %s", strerror(errno));
	chains->dir_fd = openat(data_fd, CHAINS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return chains->dir_fd < 0 ? eos_why(why, -errno, CHAINS_DIR ": %s", strerror(errno)) : 0;
}

int edged_chains_new(struct edged *edged, struct edged_chains **ret_chains, struct eos_why *why)
{
	char program[4096];
	*ret_chains = NULL;
	if (!edged->config.has_plane)
		return 0;
	int err = eos_find_program("edge-plane", program, sizeof(program));
	if (err < 0)
		return eos_why(why, err,
			       "edge-plane: not found beside edged (it is built where "
			       "DPDK is there)");
	struct edged_chains *chains = calloc(1, sizeof(*chains));
	if (chains == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	chains->edged = edged;
	chains->dir_fd = -1;
	pthread_mutex_init(&chains->lock, NULL);
	const struct plane_client_config config = {
		.program = program,
		.config = edged->config.text.data,
		.config_len = edged->config.text.len,
		.public_key = edged->key.public_key,
		.started = apply_all,
		.ctx = chains,
	};
	err = open_dir(chains, why);
	if (err == 0)
		err = plane_client_new(&config, &chains->client, why);
	if (err < 0) {
		edged_chains_free(chains);
		return err;
	}
	*ret_chains = chains;
	return 0;
}

static int get_state(void *ctx, struct eos_buf *buf, struct eos_why *why)
{
	struct edged_chains *chains = ctx;
	return plane_client_state(chains->client, NULL, buf, why);
}

int edged_chains_start(struct edged_chains *chains, struct eos_why *why)
{
	if (chains == NULL)
		return 0;
	const struct plane_scrapes_config scrapes = {
		.loop = chains->edged->loop,
		.get_state = get_state,
		.ctx = chains,
	};
	int err = plane_scrapes_new(&scrapes, &chains->scrapes);
	if (err == 0)
		err = plane_client_start(chains->client);
	return err < 0 ? eos_why(why, err, "the data plane's threads: %s", strerror(-err)) : 0;
}

void edged_chains_stop(struct edged_chains *chains)
{
	if (chains != NULL && chains->client != NULL)
		plane_client_stop(chains->client);
}

struct edged_chains *edged_chains_free(struct edged_chains *chains)
{
	if (chains == NULL)
		return NULL;
	edged_chains_stop(chains);
	plane_scrapes_free(chains->scrapes);
	plane_client_free(chains->client);
	eos_close(chains->dir_fd);
	pthread_mutex_destroy(&chains->lock);
	free(chains);
	return NULL;
}
