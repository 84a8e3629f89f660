/*
 * Images in the cell. One place in images[] for each, its index is the image's id in the protocol.
 *
 *   FREE ──join──► OPENING ──worker──► OPENED ──cell ready──► LOADING ──LOADED──► LOADED
 *    ▲                │ error                                    │ error             │ unused and
 *    └────────────────┴──────────────────────────────────────────┴───────────────────┘ place needed
 *
 * When the cell dies, what calls wait for is opened again (the file may be the same, the sealed
 * copy was closed when it was sent); the rest is forgotten. An image under which cell after cell
 * dies is given up.
 *
 * An image is looked for from the place that its hash names on, so the common case is one
 * comparison.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/supervisor_priv.h"

struct open_job {
	struct eos_job job;
	struct supervisor *supervisor;
	struct supervisor_image *entry;
	struct func *func; /* a reference */
	struct image *image;
	int err;
	struct eos_why why;
};

static void set_state(struct supervisor_image *entry, enum supervisor_image_state state)
{
	entry->state = state;
	entry->since_ns = eos_now_ns();
}

static uint32_t id_of(const struct supervisor *supervisor, const struct supervisor_image *entry)
{
	return (uint32_t)(entry - supervisor->images);
}

/* The place is free; nobody waits. */
static void forget(struct supervisor_image *entry)
{
	EOS_ASSERT(entry->running == 0 && entry->check == NULL &&
		   (entry->state == SUPERVISOR_IMAGE_FREE || eos_list_is_empty(&entry->waiting)));
	func_unref(entry->func);
	image_close(entry->image);
	*entry = (struct supervisor_image){.state = SUPERVISOR_IMAGE_FREE};
}

/* Ends whoever waits for ENTRY, and forgets it. */
static void give_up(struct supervisor_image *entry, enum func_outcome outcome, int err,
		    const char *text, size_t text_len)
{
	struct eos_list waiting;
	char cut[sizeof(((struct func_call *)0)->text)];
	snprintf(cut, sizeof(cut), "%.*s", (int)EOS_MIN(text_len, sizeof(cut)), text);
	if (entry->check != NULL) {
		supervisor_check_finish(entry->check, err, text, text_len);
		entry->check = NULL;
	}
	/* First the place, then the calls: their ends may start others that want this image. */
	eos_list_init(&waiting);
	struct eos_list *link;
	while ((link = eos_list_take(&entry->waiting)) != NULL)
		eos_list_add_tail(&waiting, link);
	forget(entry);
	while (!eos_list_is_empty(&waiting))
		supervisor_call_end(EOS_CONTAINER_OF(waiting.next, struct supervisor_call, link),
				    outcome, cut);
}

static struct supervisor_image *find(struct supervisor *supervisor, const uint8_t *sha256)
{
	for (unsigned i = 0; i < LINK_IMAGES_MAX; i++) {
		struct supervisor_image *entry =
			&supervisor->images[(sha256[0] + i) % LINK_IMAGES_MAX];
		if (entry->state != SUPERVISOR_IMAGE_FREE && entry->check == NULL &&
		    memcmp(entry->module_sha256, sha256, sizeof(entry->module_sha256)) == 0)
			return entry;
	}
	return NULL;
}

/* A free place, from START on, or that of the image that was not used for the longest time. */
static struct supervisor_image *take_place(struct supervisor *supervisor, unsigned start)
{
	struct supervisor_image *oldest = NULL;
	for (unsigned i = 0; i < LINK_IMAGES_MAX; i++) {
		struct supervisor_image *entry = &supervisor->images[(start + i) % LINK_IMAGES_MAX];
		if (entry->state == SUPERVISOR_IMAGE_FREE)
			return entry;
		if (entry->state == SUPERVISOR_IMAGE_LOADED && entry->running == 0 &&
		    entry->check == NULL && eos_list_is_empty(&entry->waiting) &&
		    (oldest == NULL || entry->used < oldest->used))
			oldest = entry;
	}
	if (oldest == NULL)
		return NULL;
	struct link_unload unload = {
		.header.kind = LINK_UNLOAD,
		.image_id = id_of(supervisor, oldest),
	};
	supervisor_send(supervisor, &unload, sizeof(unload), NULL, 0);
	forget(oldest);
	return oldest;
}

static uint32_t isolation_of(const struct supervisor_image *entry)
{
	enum func_isolation isolation = entry->check != NULL
						? supervisor_check_isolation(entry->check)
						: entry->func->manifest->isolation;
	return isolation == FUNC_ISOLATION_REQUEST ? LINK_ISOLATION_REQUEST : LINK_ISOLATION_TENANT;
}

/* OPENED → LOADING, if there is a cell to load it. */
static void send_image(struct supervisor *supervisor, struct supervisor_image *entry)
{
	EOS_ASSERT(entry->state == SUPERVISOR_IMAGE_OPENED);
	if (!supervisor_is_ready(supervisor))
		return;
	int fd = entry->check != NULL ? supervisor_check_fd(entry->check) : image_fd(entry->image);
	int err = link_send_fd(supervisor->link, fd, id_of(supervisor, entry));
	if (err < 0) {
		supervisor_cell_condemn(supervisor, "it does not take descriptors");
		return;
	}
	entry->image = image_close(entry->image);
	set_state(entry, SUPERVISOR_IMAGE_LOADING);
	struct link_load load = {
		.header.kind = LINK_LOAD,
		.image_id = id_of(supervisor, entry),
		.isolation = isolation_of(entry),
	};
	supervisor_send(supervisor, &load, sizeof(load), NULL, 0);
}

static void run_open(struct eos_job *worker_job)
{
	struct open_job *job = EOS_CONTAINER_OF(worker_job, struct open_job, job);
	const struct supervisor_config *config = &job->supervisor->config;
	job->err = config->open_image(config->ctx, job->func, &job->image, &job->why);
}

static void finish_open(struct eos_job *worker_job)
{
	struct open_job *job = EOS_CONTAINER_OF(worker_job, struct open_job, job);
	struct supervisor_image *entry = job->entry;
	struct supervisor *supervisor = job->supervisor;
	EOS_ASSERT(entry->state == SUPERVISOR_IMAGE_OPENING);
	if (job->err < 0) {
		const char *text = job->why.text[0] != '\0' ? job->why.text : strerror(-job->err);
		give_up(entry, FUNC_REFUSED, job->err, text, strlen(text));
	} else if (supervisor->is_stopping) {
		image_close(job->image);
		forget(entry);
	} else {
		entry->image = job->image;
		set_state(entry, SUPERVISOR_IMAGE_OPENED);
		send_image(supervisor, entry);
	}
	func_unref(job->func);
	free(job);
}

/* Lets a worker open ENTRY's image. */
static int open_image(struct supervisor *supervisor, struct supervisor_image *entry)
{
	struct open_job *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return -ENOMEM;
	job->job.run = run_open;
	job->job.done = finish_open;
	job->supervisor = supervisor;
	job->entry = entry;
	job->func = func_ref(entry->func);
	set_state(entry, SUPERVISOR_IMAGE_OPENING);
	eos_workers_submit(supervisor->config.image_workers, &job->job);
	return 0;
}

int supervisor_image_join(struct supervisor_call *call)
{
	struct supervisor *supervisor = call->supervisor;
	struct func *func = call->call->func;
	struct supervisor_image *entry = find(supervisor, func->module_sha256);
	if (entry == NULL) {
		entry = take_place(supervisor, func->module_sha256[0]);
		if (entry == NULL)
			return -EMFILE;
		*entry = (struct supervisor_image){.func = func_ref(func)};
		memcpy(entry->module_sha256, func->module_sha256, sizeof(entry->module_sha256));
		eos_list_init(&entry->waiting);
		int err = open_image(supervisor, entry);
		if (err < 0) {
			forget(entry);
			return err;
		}
	}
	call->image = entry;
	entry->used = ++supervisor->uses;
	if (entry->state == SUPERVISOR_IMAGE_LOADED && supervisor_is_ready(supervisor))
		supervisor_call_invoke(call);
	else
		eos_list_add_tail(&entry->waiting, &call->link);
	return 0;
}

void supervisor_image_check(struct supervisor *supervisor, struct supervisor_check *check)
{
	static const char none[] = "there is no cell to try it in";
	struct supervisor_image *entry = supervisor_is_ready(supervisor)
						 ? take_place(supervisor, LINK_IMAGES_MAX / 2)
						 : NULL;
	if (entry == NULL) {
		supervisor_check_finish(check, -EAGAIN, none, sizeof(none) - 1);
		return;
	}
	*entry = (struct supervisor_image){.check = check};
	eos_list_init(&entry->waiting);
	set_state(entry, SUPERVISOR_IMAGE_OPENED);
	send_image(supervisor, entry);
}

/* The answer to a check: whatever it is, the image leaves the cell again. */
static void finish_check(struct supervisor *supervisor, struct supervisor_image *entry, int err,
			 struct link_span text)
{
	struct link_unload unload = {
		.header.kind = LINK_UNLOAD,
		.image_id = id_of(supervisor, entry),
	};
	supervisor_check_finish(entry->check, err, text.data, text.len);
	entry->check = NULL;
	if (err == 0)
		supervisor_send(supervisor, &unload, sizeof(unload), NULL, 0);
	forget(entry);
}

int supervisor_image_loaded(struct supervisor *supervisor, const struct link_message *message)
{
	uint32_t id = message->loaded.image_id;
	if (id >= LINK_IMAGES_MAX || supervisor->images[id].state != SUPERVISOR_IMAGE_LOADING)
		return -EBADMSG;
	struct supervisor_image *entry = &supervisor->images[id];
	int err = message->loaded.err;
	struct link_span text = message->payload;
	if (entry->check != NULL) {
		finish_check(supervisor, entry, err, text);
		return 0;
	}
	if (err < 0) {
		eos_log(EOS_LOG_ERROR, "supervisor", "image refused function=%s why=%.*s",
			entry->func->manifest->name, (int)text.len, text.data);
		give_up(entry, FUNC_REFUSED, err, text.data, text.len);
		return 0;
	}
	set_state(entry, SUPERVISOR_IMAGE_LOADED);
	entry->deaths = 0;
	/* The end of one call (its environment is too large) may add others to the list. */
	while (entry->state == SUPERVISOR_IMAGE_LOADED && !eos_list_is_empty(&entry->waiting))
		supervisor_call_invoke(
			EOS_CONTAINER_OF(entry->waiting.next, struct supervisor_call, link));
	return 0;
}

void supervisor_images_send(struct supervisor *supervisor)
{
	for (size_t i = 0; i < LINK_IMAGES_MAX; i++)
		if (supervisor->images[i].state == SUPERVISOR_IMAGE_OPENED)
			send_image(supervisor, &supervisor->images[i]);
}

/* What becomes of an image that was in the dead cell, or on its way there. */
static void lose_image(struct supervisor *supervisor, struct supervisor_image *entry)
{
	static const char lost[] = "the cell ended while it loaded the image";
	EOS_ASSERT(entry->running == 0);
	if (entry->state == SUPERVISOR_IMAGE_LOADING)
		entry->deaths++;
	if (entry->check != NULL || entry->deaths >= SUPERVISOR_LOAD_DEATHS) {
		give_up(entry, FUNC_CELL_LOST, -EAGAIN, lost, sizeof(lost) - 1);
		return;
	}
	if (eos_list_is_empty(&entry->waiting)) {
		forget(entry);
		return;
	}
	if (open_image(supervisor, entry) < 0)
		give_up(entry, FUNC_CELL_LOST, -ENOMEM, lost, sizeof(lost) - 1);
}

void supervisor_images_lost(struct supervisor *supervisor)
{
	for (size_t i = 0; i < LINK_IMAGES_MAX; i++) {
		struct supervisor_image *entry = &supervisor->images[i];
		if (entry->state == SUPERVISOR_IMAGE_LOADING ||
		    entry->state == SUPERVISOR_IMAGE_LOADED ||
		    (entry->state == SUPERVISOR_IMAGE_OPENED && entry->check != NULL))
			lose_image(supervisor, entry);
	}
}

void supervisor_images_free(struct supervisor *supervisor)
{
	for (size_t i = 0; i < LINK_IMAGES_MAX; i++)
		if (supervisor->images[i].state != SUPERVISOR_IMAGE_FREE)
			forget(&supervisor->images[i]);
}
