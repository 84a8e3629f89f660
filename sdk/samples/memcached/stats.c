#include <stdlib.h>
#include <string.h>

#include "proto.h"

static void put(struct talk *talk, const char *name, uint64_t value)
{
	talk_printf(talk, "STAT %s %llu\r\n", name, (unsigned long long)value);
}

static void put_general(struct talk *talk)
{
	const struct items_stats *items = items_stats();
	put(talk, "pid", 1);
	put(talk, "uptime", proto_now);
	put(talk, "time", proto_epoch + proto_now);
	talk_puts(talk, "STAT version " VERSION "\r\n");
	put(talk, "pointer_size", 8 * sizeof(void *));
	put(talk, "curr_connections", proto_stats.connections_now);
	put(talk, "total_connections", proto_stats.connections);
	put(talk, "cmd_get", proto_stats.cmd_get);
	put(talk, "cmd_set", proto_stats.cmd_set);
	put(talk, "cmd_flush", proto_stats.cmd_flush);
	put(talk, "cmd_touch", proto_stats.cmd_touch);
	put(talk, "cmd_meta", proto_stats.cmd_meta);
	put(talk, "get_hits", proto_stats.get_hits);
	put(talk, "get_misses", proto_stats.get_misses);
	put(talk, "get_expired", items->expired);
	put(talk, "delete_misses", proto_stats.delete_misses);
	put(talk, "delete_hits", proto_stats.delete_hits);
	put(talk, "incr_misses", proto_stats.incr_misses);
	put(talk, "incr_hits", proto_stats.incr_hits);
	put(talk, "decr_misses", proto_stats.decr_misses);
	put(talk, "decr_hits", proto_stats.decr_hits);
	put(talk, "cas_misses", proto_stats.cas_misses);
	put(talk, "cas_hits", proto_stats.cas_hits);
	put(talk, "cas_badval", proto_stats.cas_badval);
	put(talk, "touch_hits", proto_stats.touch_hits);
	put(talk, "touch_misses", proto_stats.touch_misses);
	put(talk, "bytes_read", proto_stats.bytes_read);
	put(talk, "bytes_written", proto_stats.bytes_written);
	put(talk, "limit_maxbytes", items_limit());
	put(talk, "threads", 1);
	put(talk, "bytes", items->bytes);
	put(talk, "curr_items", items->count);
	put(talk, "total_items", items->total);
	put(talk, "evicted_unfetched", items->unfetched);
	put(talk, "evictions", items->evictions);
}

static void put_settings(struct talk *talk)
{
	put(talk, "maxbytes", items_limit());
	put(talk, "item_size_max", VALUE_MAX);
	talk_puts(talk, "STAT evictions on\r\n"
			"STAT cas_enabled yes\r\n"
			"STAT flush_enabled yes\r\n"
			"STAT auth_enabled_sasl no\r\n"
			"STAT num_threads 1\r\n");
}

void put_stats(struct talk *talk, const struct word *which)
{
	if (which->len == 0) {
		put_general(talk);
	} else if (word_is(which, "settings")) {
		put_settings(talk);
	} else if (word_is(which, "reset")) {
		uint64_t now = proto_stats.connections_now;
		memset(&proto_stats, 0, sizeof(proto_stats));
		proto_stats.connections_now = now;
		talk_puts(talk, "RESET\r\n");
		return;
	} else if (word_is(which, "items")) {
		/* All items are of one class here. */
		const struct items_stats *items = items_stats();
		if (items->count > 0) {
			put(talk, "items:1:number", items->count);
			put(talk, "items:1:mem_requested", items->bytes);
			put(talk, "items:1:evicted", items->evictions);
		}
	} else if (word_is(which, "slabs")) {
		put(talk, "active_slabs", 0);
		put(talk, "total_malloced", items_stats()->bytes);
	} else if (!word_is(which, "sizes") && !word_is(which, "conns")) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	talk_puts(talk, "END\r\n");
}
