/*
 * Applying and removing a chain on all cores, or on none: each core in turn prepares its part,
 * which may fail and changes nothing; when all have, each in turn changes over, which cannot fail.
 *
 * The manifest is core 0's entry's. So core 0 is the first to prepare and the last to change over,
 * remove or give up.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "plane/plane_cores.h"
#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

struct work {
	struct plane_manifest *manifest;
	struct fwp_image *const *images;
	const char *name;
	unsigned home;
	struct tls_server *tls; /* NULL: none, or taken by the entry of its home */
	const struct plane_identity *identity;
	struct plane_entry *entries[PLANE_CORES_MAX]; /* by core; prepared */
	struct eos_why *why;
};

unsigned plane_fixed_here(const struct plane *plane, unsigned home, uint32_t count)
{
	unsigned cores = plane->cores_count;
	/* Instances are dealt out to the cores in turn, beginning at home. */
	unsigned turn = (plane->core + cores - home) % cores;
	return turn < count ? (count - turn + cores - 1) / cores : 0;
}

/* Everything that it does, it does on one core. */
static bool is_bound(const struct plane_entry *entry)
{
	return entry->ports[0] == PLANE_KERNEL || entry->manifest->isolation == CHAIN_PER_TENANT;
}

/* Where the fewest others are at home. Core 0, which has more to do, comes last. */
static unsigned choose_home(struct plane *plane, const char *name)
{
	unsigned counts[PLANE_CORES_MAX] = {0}, home = plane->cores_count - 1;
	const struct plane_entry *old = plane_entry_find(plane, name);
	if (old != NULL)
		return old->home;
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		const struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		counts[entry->home] += is_bound(entry);
	}
	for (unsigned i = plane->cores_count; i-- > 0;)
		home = counts[i] < counts[home] ? i : home;
	return home;
}

static int prepare(struct plane *plane, void *ctx)
{
	struct work *work = ctx;
	struct plane_entry **entry = &work->entries[plane->core];
	int err = plane_entry_prepare(plane, work->manifest, work->home, work->images, entry,
				      work->why);
	if (err < 0)
		return err;
	(*entry)->identity = *work->identity;
	if (plane->core == work->home) {
		(*entry)->tls = work->tls;
		work->tls = NULL;
	}
	return 0;
}

/* 1: that was all. */
static int renew(struct plane *plane, void *ctx)
{
	const struct work *work = ctx;
	struct plane_entry *old = plane_entry_find(plane, work->name);
	return old != NULL && plane_entry_renew(old, work->tls, work->identity) ? 1 : 0;
}

static int commit(struct plane *plane, void *ctx)
{
	struct work *work = ctx;
	plane_entry_commit(work->entries[plane->core]);
	return 0;
}

static int abandon(struct plane *plane, void *ctx)
{
	struct work *work = ctx;
	plane_entry_abandon(work->entries[plane->core]);
	return 0;
}

static int remove_entry(struct plane *plane, void *ctx)
{
	struct work *work = ctx;
	return plane_entry_remove(plane, work->name);
}

/* On the first COUNT cores, core 0 last. */
static void finish(struct plane *plane, unsigned count, plane_core_fn fn, struct work *work)
{
	while (count-- > 0) {
		int err = plane_cores_ask(plane, count, fn, work);
		EOS_ASSERT(err == 0);
	}
}

int plane_apply(struct plane *plane, struct plane_manifest *manifest,
		struct fwp_image *const *images, struct tls_server *tls,
		const struct plane_identity *identity, struct eos_why *why)
{
	struct work work = {
		.manifest = manifest,
		.images = images,
		.name = manifest->name,
		.home = choose_home(plane, manifest->name),
		.tls = tls,
		.identity = identity,
		.why = why,
	};
	unsigned count = 0;
	int err = 0;
	if (tls != NULL && plane_cores_ask(plane, work.home, renew, &work) > 0) {
		plane_manifest_free(manifest);
		return 0;
	}
	for (; err == 0 && count < plane->cores_count; count += err == 0)
		err = plane_cores_ask(plane, count, prepare, &work);
	finish(plane, count, err == 0 ? commit : abandon, &work);
	if (err < 0)
		plane_manifest_free(manifest);
	tls_server_unref(work.tls);
	return err;
}

int plane_remove(struct plane *plane, const char *name)
{
	struct work work = {.name = name};
	if (plane_entry_find(plane, name) == NULL)
		return -ENOENT;
	finish(plane, plane->cores_count, remove_entry, &work);
	return 0;
}
