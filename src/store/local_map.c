/*
 * LMDB maps its file, so each page that somebody has read counts as this process's memory for as
 * long as it is mapped, though it is the kernel's cache that holds it: a node that has listed its
 * buckets once would look as large as its metadata, and be the first to be killed when memory runs
 * out. So now and then everything is unmapped page by page (MADV_DONTNEED); what is read again
 * comes back from the cache with a minor fault, which maps the 16 pages around it.
 *
 * How much is mapped nobody says cheaply. But each page was mapped by a fault, and the kernel
 * counts these: when there were enough since the last time, it is time again. The count is that of
 * the whole process, so it may come early.
 *
 * Where the map begins is no part of LMDB's interface, either; each page has its number in it.
 */
#include "store/local_map_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "store/local_priv.h"

EOS_COUNTER(unmapped_total, "store.map_unmapped_total",
	    "Times that metadata.mdb was taken out of the node's memory, which then was too much.")

/* 16 MiB, if each fault maps all that it may: fault_around_bytes is 64 KiB. */
#define FAULTS_MAX 256
/* Asking the kernel costs about a tenth of a look-up. */
#define READS_BETWEEN 64u

static long faults(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_minflt : 0;
}

int local_map_find(struct local *local)
{
	struct local_map *map = &local->map;
	const void *state = NULL;
	MDB_envinfo info;
	MDB_stat stat;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	/* Nothing is written yet: the page stays where it is. */
	err = local_state_find(local, txn, &state);
	mdb_txn_abort(txn);
	if (err == 0)
		err = local_error(mdb_env_stat(local->env, &stat));
	if (err == 0)
		err = local_error(mdb_env_info(local->env, &info));
	if (err < 0)
		return err;
	const char *page = (const char *)((uintptr_t)state & ~((uintptr_t)stat.ms_psize - 1));
	uint64_t number;
	memcpy(&number, page, sizeof(number));
	/* Open has looked at the pages; nobody shall be unmapped by a mistake all the same. */
	if (number > info.me_last_pgno)
		return -EBADMSG;
	map->start = (char *)(uintptr_t)page - number * stat.ms_psize;
	map->bytes = info.me_mapsize;
	atomic_init(&map->faults, faults());
	return 0;
}

static void unmap(struct local_map *map, long now)
{
	atomic_store_explicit(&map->faults, now, memory_order_relaxed);
	/* What it refuses stays mapped, which is no harm. */
	if (madvise(map->start, map->bytes, MADV_DONTNEED) == 0)
		eos_counter_add(&unmapped_total, 1);
}

void local_map_note_read(struct local *local)
{
	struct local_map *map = &local->map;
	if (map->start == NULL ||
	    atomic_fetch_add_explicit(&map->reads, 1, memory_order_relaxed) % READS_BETWEEN != 0)
		return;
	long now = faults();
	if (now - atomic_load_explicit(&map->faults, memory_order_relaxed) > FAULTS_MAX)
		unmap(map, now);
}
