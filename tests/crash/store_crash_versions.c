/*
 * The part of store_crash.c about a bucket with versions: what the child does to it, and what of it
 * must be there afterwards. A key's versions are in the model as they are in the listing: from the
 * newest, with their numbers, delete markers among them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crash/store_crash_priv.h"

#define VERSIONS_MAX  64u
#define VERSIONS_FEW  12u
#define VERSIONS_KEYS 3u

struct version {
	uint64_t id;
	uint64_t seed, size; /* seed 0: a delete marker */
};

struct versions {
	unsigned count;
	struct version all[VERSIONS_MAX];
};

static struct versions models[VERSION_THREADS][VERSIONS_KEYS];
static bool is_pending[VERSION_THREADS];
static struct message pending[VERSION_THREADS];

static void key_name(unsigned thread, unsigned key, char out[32])
{
	snprintf(out, 32, "version%u/%u", thread, key);
}

static int take_version(void *ctx, const struct store_list_entry *entry)
{
	struct versions *found = ctx;
	if (found->count == VERSIONS_MAX)
		return -E2BIG;
	found->all[found->count++] = (struct version){
		.id = entry->info->version,
		.seed = !entry->info->is_delete_marker,
		.size = entry->info->size,
	};
	return 0;
}

static int list(struct store *store, const char *key, struct versions *ret_versions)
{
	struct store_list_query query = {
		.prefix = key, .prefix_len = strlen(key), .limit = VERSIONS_MAX};
	bool more;
	ret_versions->count = 0;
	return store_version_list(store, CRASH_VERSIONED, &query, STORE_VERSION_LATEST,
				  take_version, ret_versions, &more);
}

/* The child's side: one change, which M gets to know before it is made. */
int crash_versions_step(struct store *store, uint64_t *random, struct message *m,
			void (*tell)(const struct message *m))
{
	struct versions found;
	struct store_removed removed;
	struct store_removal removal = {.version = STORE_VERSION_LATEST};
	char key[32];
	m->key = (uint8_t)(crash_mix(random) % VERSIONS_KEYS);
	key_name(m->thread, m->key, key);
	int err = list(store, key, &found);
	if (err < 0)
		return err;
	uint64_t choice = crash_mix(random) % 10;
	bool is_full = found.count >= VERSIONS_FEW;
	m->what = choice < 5 && !is_full   ? VERSION_PUT
		  : choice < 7 && !is_full ? VERSION_DELETE
					   : VERSION_REMOVE;
	if (m->what == VERSION_REMOVE && found.count == 0)
		m->what = VERSION_PUT;
	m->seed = 1 + crash_mix(random) / 2;
	m->size = 1 + crash_mix(random) % (crash_mix(random) % 2 == 0 ? 300 : 4 * INLINE_MAX);
	m->sequence = 0;
	if (m->what == VERSION_REMOVE)
		m->sequence = removal.version = found.all[crash_mix(random) % found.count].id;
	tell(m);
	if (m->what == VERSION_PUT)
		return crash_put(store, CRASH_VERSIONED, key, m->seed, m->size, &m->sequence);
	err = store_object_delete(store, CRASH_VERSIONED, key, strlen(key), &removal, &removed);
	if (err == 0)
		m->sequence = removed.version;
	return err;
}

/* The model after M, which made or removed version M->sequence. */
static void apply(struct versions *v, const struct message *m)
{
	if (m->what != VERSION_REMOVE) {
		if (v->count == VERSIONS_MAX)
			crash_die("too many versions");
		memmove(&v->all[1], &v->all[0], v->count * sizeof(v->all[0]));
		v->all[0] = (struct version){.id = m->sequence};
		if (m->what == VERSION_PUT) {
			v->all[0].seed = m->seed;
			v->all[0].size = m->size;
		}
		v->count++;
		return;
	}
	unsigned kept = 0;
	for (unsigned i = 0; i < v->count; i++)
		if (v->all[i].id != m->sequence)
			v->all[kept++] = v->all[i];
	if (kept + 1 != v->count)
		crash_die("a version was removed that was not there");
	v->count = kept;
}

void crash_versions_take(const struct message *m)
{
	is_pending[m->thread] = !m->is_result;
	pending[m->thread] = *m;
	if (!m->is_result)
		return;
	if (m->result != 0)
		crash_die("versions %u, operation %u: error %d", m->thread, m->what, m->result);
	apply(&models[m->thread][m->key], m);
}

static bool matches(struct store *store, const char *key, const struct versions *found,
		    const struct versions *model)
{
	if (found->count != model->count)
		return false;
	for (unsigned i = 0; i < found->count; i++) {
		const struct version *a = &found->all[i], *b = &model->all[i];
		struct content content = {0};
		if (a->id != b->id || a->size != b->size || (a->seed == 0) != (b->seed == 0))
			return false;
		if (a->seed != 0 && crash_look(store, CRASH_VERSIONED, key, a->id, &content) < 0)
			crash_die("%s: a version is listed and not there", key);
		if (content.seed != b->seed)
			return false;
	}
	return true;
}

/* Checks all versions, and adds what they count. */
void crash_versions_check(struct store *store, struct recount *recount)
{
	for (unsigned thread = 0; thread < VERSION_THREADS; thread++) {
		for (unsigned k = 0; k < VERSIONS_KEYS; k++) {
			struct versions *model = &models[thread][k], found;
			struct message *m = &pending[thread];
			char key[32];
			key_name(thread, k, key);
			if (list(store, key, &found) < 0)
				crash_die("%s: listing failed", key);
			bool is_same = matches(store, key, &found, model);
			if (!is_same && is_pending[thread] && m->key == k) {
				/* Cut off: nobody was told the number of what it made. */
				if (m->what != VERSION_REMOVE && found.count > 0)
					m->sequence = found.all[0].id;
				apply(model, m);
				is_same = matches(store, key, &found, model);
			}
			if (!is_same)
				crash_die("%s: an acknowledged version is missing, or another",
					  key);
			for (unsigned i = 0; i < found.count; i++) {
				recount->objects += found.all[i].seed != 0;
				recount->bytes += found.all[i].size;
			}
		}
		is_pending[thread] = false;
	}
}
