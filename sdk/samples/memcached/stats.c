/*
 * "stats", in the words of the original. What there is not here is told as 0, for programs that
 * look for it.
 */
#include <stdlib.h>
#include <string.h>

#include "proto.h"

struct named {
	const char *name;
	const uint64_t *value; /* NULL: 0 */
};

static const struct named of_commands[] = {
	{"cmd_get", &proto_stats.cmd_get},
	{"cmd_set", &proto_stats.cmd_set},
	{"cmd_flush", &proto_stats.cmd_flush},
	{"cmd_touch", &proto_stats.cmd_touch},
	{"cmd_meta", &proto_stats.cmd_meta},
	{"get_hits", &proto_stats.get_hits},
	{"get_misses", &proto_stats.get_misses},
	{"delete_misses", &proto_stats.delete_misses},
	{"delete_hits", &proto_stats.delete_hits},
	{"incr_misses", &proto_stats.incr_misses},
	{"incr_hits", &proto_stats.incr_hits},
	{"decr_misses", &proto_stats.decr_misses},
	{"decr_hits", &proto_stats.decr_hits},
	{"cas_misses", &proto_stats.cas_misses},
	{"cas_hits", &proto_stats.cas_hits},
	{"cas_badval", &proto_stats.cas_badval},
	{"touch_hits", &proto_stats.touch_hits},
	{"touch_misses", &proto_stats.touch_misses},
	{"store_too_large", &proto_stats.too_large},
	{"store_no_memory", &proto_stats.no_memory},
	{"auth_cmds", NULL},
	{"auth_errors", NULL},
	{"bytes_read", &proto_stats.bytes_read},
	{"bytes_written", &proto_stats.bytes_written},
};

static const struct named of_threads[] = {
	{"rejected_connections", &proto_stats.rejected},
	{"connection_structures", &proto_stats.connections_now},
	{"response_obj_oom", NULL},
	{"response_obj_count", NULL},
	{"response_obj_bytes", NULL},
	{"read_buf_count", NULL},
	{"read_buf_bytes", NULL},
	{"read_buf_bytes_free", NULL},
	{"read_buf_oom", NULL},
	{"reserved_fds", NULL},
	{"listen_disabled_num", NULL},
	{"time_in_listen_disabled_us", NULL},
	{"idle_kicks", NULL},
	{"conn_yields", NULL},
	{"hash_is_expanding", NULL},
	{"slab_reassign_rescues", NULL},
	{"slab_reassign_chunk_rescues", NULL},
	{"slab_reassign_evictions_nomem", NULL},
	{"slab_reassign_inline_reclaim", NULL},
	{"slab_reassign_busy_items", NULL},
	{"slab_reassign_busy_deletes", NULL},
	{"slab_reassign_running", NULL},
	{"slabs_moved", NULL},
	{"lru_crawler_running", NULL},
	{"lru_crawler_starts", NULL},
	{"lru_maintainer_juggles", NULL},
	{"malloc_fails", &proto_stats.no_memory},
	{"log_worker_dropped", NULL},
	{"log_worker_written", NULL},
	{"log_watcher_skipped", NULL},
	{"log_watcher_sent", NULL},
	{"log_watchers", NULL},
	{"unexpected_napi_ids", NULL},
	{"round_robin_fallback", NULL},
	{"slab_global_page_pool", NULL},
	{"evicted_active", NULL},
	{"crawler_reclaimed", NULL},
	{"crawler_items_checked", NULL},
	{"lrutail_reflocked", NULL},
	{"moves_to_cold", NULL},
	{"moves_to_warm", NULL},
	{"moves_within_lru", NULL},
	{"direct_reclaims", NULL},
	{"lru_bumps_dropped", NULL},
};

static void put(struct talk *talk, const char *name, uint64_t value)
{
	talk_printf(talk, "STAT %s %llu\r\n", name, (unsigned long long)value);
}

static void put_all(struct talk *talk, const struct named *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(talk, all[i].name, all[i].value != NULL ? *all[i].value : 0);
}

static void put_general(struct talk *talk)
{
	const struct items_stats *items = items_stats();
	put(talk, "pid", 1);
	put(talk, "uptime", proto_now);
	put(talk, "time", proto_epoch + proto_now);
	talk_puts(talk, "STAT version " VERSION "\r\n");
	put(talk, "pointer_size", 8 * sizeof(void *));
	talk_puts(talk, "STAT rusage_user 0.000000\r\nSTAT rusage_system 0.000000\r\n");
	put(talk, "max_connections", CONNECTIONS_MAX);
	put(talk, "curr_connections", proto_stats.connections_now);
	put(talk, "total_connections", proto_stats.connections);
	put_all(talk, of_commands, sizeof(of_commands) / sizeof(of_commands[0]));
	put(talk, "get_expired", items->expired);
	put(talk, "get_flushed", items->flushed);
	put(talk, "limit_maxbytes", items_limit());
	put(talk, "accepting_conns", 1);
	put(talk, "threads", 1);
	put_all(talk, of_threads, sizeof(of_threads) / sizeof(of_threads[0]));
	put(talk, "hash_power_level", (uint64_t)__builtin_ctz(items_buckets()));
	put(talk, "hash_bytes", items_buckets() * sizeof(void *));
	put(talk, "bytes", items->bytes);
	put(talk, "curr_items", items->count);
	put(talk, "total_items", items->total);
	put(talk, "expired_unfetched", items->expired_unfetched);
	put(talk, "evicted_unfetched", items->evicted_unfetched);
	put(talk, "evictions", items->evictions);
	put(talk, "reclaimed", items->reclaimed);
}

static void put_settings(struct talk *talk)
{
	put(talk, "maxbytes", items_limit());
	put(talk, "maxconns", CONNECTIONS_MAX);
	put(talk, "item_size_max", items_item_max());
	talk_puts(talk, "STAT evictions on\r\n"
			"STAT cas_enabled yes\r\n"
			"STAT flush_enabled yes\r\n"
			"STAT dump_enabled yes\r\n"
			"STAT auth_enabled_sasl no\r\n"
			"STAT auth_enabled_ascii no\r\n"
			"STAT num_threads 1\r\n");
}

/* All items are of one class here. */
static void put_items(struct talk *talk)
{
	const struct items_stats *items = items_stats();
	if (items->count == 0)
		return;
	put(talk, "items:1:number", items->count);
	put(talk, "items:1:mem_requested", items->bytes);
	put(talk, "items:1:evicted", items->evictions);
	put(talk, "items:1:evicted_unfetched", items->evicted_unfetched);
	put(talk, "items:1:expired_unfetched", items->expired_unfetched);
	put(talk, "items:1:reclaimed", items->reclaimed);
	put(talk, "items:1:outofmemory", proto_stats.no_memory);
}

static void put_slabs(struct talk *talk)
{
	const struct items_stats *items = items_stats();
	if (items->count > 0) {
		put(talk, "1:chunk_size", items_item_max());
		put(talk, "1:used_chunks", items->count);
		put(talk, "1:mem_requested", items->bytes);
	}
	put(talk, "active_slabs", items->count > 0);
	put(talk, "total_malloced", items->bytes);
}

/* "cachedump CLASS LIMIT": keys, and when they are over. */
static void put_dump(struct talk *talk, const struct word *words, unsigned count)
{
	uint64_t class, limit;
	if (count < 3) {
		talk_puts(talk, "CLIENT_ERROR bad command line\r\n");
		return;
	}
	if (!word_u64(&words[1], &class) || !word_u64(&words[2], &limit)) {
		talk_puts(talk, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	if (class >= CLASSES_MAX) {
		talk_puts(talk, "CLIENT_ERROR Illegal slab id\r\n");
		return;
	}
	const struct item *item = class == 1 ? items_newest() : NULL;
	if (limit == 0)
		limit = DUMP_MAX;
	for (unsigned i = 0; item != NULL && i < DUMP_MAX && limit > 0; i++, item = item->older) {
		if (!item_is_valid(item, proto_now))
			continue;
		talk_puts(talk, "ITEM ");
		talk_put(talk, item->data, item->key_len);
		talk_printf(talk, " [%u b; %llu s]\r\n", item->value_len,
			    item->expires == 0 ? 0
					       : (unsigned long long)proto_epoch + item->expires);
		limit--;
	}
	talk_puts(talk, "END\r\n");
}

void put_stats(struct talk *talk, const struct word *words, unsigned count)
{
	if (count == 0) {
		put_general(talk);
	} else if (word_is(&words[0], "settings")) {
		put_settings(talk);
	} else if (word_is(&words[0], "reset")) {
		uint64_t now = proto_stats.connections_now;
		memset(&proto_stats, 0, sizeof(proto_stats));
		proto_stats.connections_now = now;
		items_reset_stats();
		talk_puts(talk, "RESET\r\n");
		return;
	} else if (word_is(&words[0], "cachedump")) {
		put_dump(talk, words, count);
		return;
	} else if (word_is(&words[0], "items")) {
		put_items(talk);
	} else if (word_is(&words[0], "slabs")) {
		put_slabs(talk);
	} else if (word_is(&words[0], "sizes")) {
		talk_puts(talk, "STAT sizes_status disabled\r\n");
	} else if (!word_is(&words[0], "conns")) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	talk_puts(talk, "END\r\n");
}
