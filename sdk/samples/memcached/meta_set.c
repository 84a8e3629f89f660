/*
 * "ms": a value, stored if its flags allow it.
 */
#include <string.h>

#include "meta.h"

static bool is_joining(const struct talk *talk)
{
	return talk->set.mode == 'A' || talk->set.mode == 'P';
}

/* NULL: it is stored; else the answer. */
static const char *check(struct talk *talk, struct item *old, bool *ret_invalidates)
{
	char mode = (char)talk->set.mode;
	*ret_invalidates = false;
	if (mode == 'E') {
		/* What must not be there has no number to compare. */
		if (old == NULL)
			return NULL;
		item_bump(old, proto_now);
		return "NS";
	}
	if (old == NULL && is_joining(talk))
		return talk->set.vivifies ? NULL : "NS";
	if (old == NULL && talk->set.has_cas) {
		proto_stats.cas_misses++;
		return "NF";
	}
	if (old == NULL)
		return mode == 'R' ? "NS" : NULL;
	if (!talk->set.has_cas)
		return NULL;
	if (is_joining(talk))
		return talk->set.cas == 0 || talk->set.cas == old->cas ? NULL : "EX";
	/* An older one may still be stored, as stale. */
	*ret_invalidates = talk->set.invalidates && talk->set.cas != 0 && talk->set.cas < old->cas;
	bool is_stored = *ret_invalidates || talk->set.cas == old->cas;
	*(is_stored ? &proto_stats.cas_hits : &proto_stats.cas_badval) += 1;
	return is_stored ? NULL : "EX";
}

/* The code of the answer, and what is stored now. */
static const char *store(struct talk *talk, struct item **ret_item)
{
	struct item *item = talk->item;
	bool invalidates;
	struct item *old = items_find(item->data, item->key_len, proto_now);
	const char *refused = check(talk, old, &invalidates);
	if (refused != NULL)
		return refused;
	if (is_joining(talk) && old != NULL) {
		struct item *joined = items_join(item, talk->set.mode == 'P', proto_now);
		if (joined == NULL)
			return "SERVER_ERROR out of memory storing object";
		item_free(item);
		item = joined;
	} else if (is_joining(talk)) {
		item->expires = talk->set.vivify_expires;
	}
	item->is_stale = invalidates;
	item_link(item, talk->set.new_cas, proto_now);
	talk->item = NULL;
	*ret_item = item;
	return "HD";
}

static void value_is_there(struct talk *talk)
{
	struct item *item = NULL;
	char key[KEY_MAX];
	uint32_t key_len = talk->item->key_len;
	bool is_binary = talk->item->is_binary;
	memcpy(key, talk->item->data, key_len);
	proto_stats.cmd_set++;
	const char *code = store(talk, &item);
	if (talk->item != NULL)
		item_free(talk->item);
	if (talk->set.is_quiet && strcmp(code, "HD") == 0)
		return;
	talk_puts(talk, code);
	for (const char *letter = talk->set.returns; code[2] == '\0' && *letter != '\0'; letter++) {
		if (*letter == 'O')
			talk_printf(talk, " %s", talk->set.opaque);
		else if (*letter == 'k')
			meta_put_key(talk, key, key_len, is_binary);
		else
			talk_printf(talk, " c%llu",
				    item == NULL ? 0 : (unsigned long long)item->cas);
	}
	talk_puts(talk, "\r\n");
}

/* What is to be known when the value is there. */
static void keep(struct talk *talk, const struct meta *meta)
{
	memset(&talk->set, 0, sizeof(talk->set));
	talk->set.mode = (uint8_t)(meta->mode == 0 ? 'S' : meta->mode);
	talk->set.is_meta = true;
	talk->set.is_quiet = meta->is_quiet;
	talk->set.invalidates = meta->invalidates;
	talk->set.has_cas = meta->has_cas;
	talk->set.cas = meta->cas;
	talk->set.new_cas = meta->new_cas;
	talk->set.vivifies = meta->vivifies;
	talk->set.vivify_expires = meta->vivified;
	/* Each letter is there once at most. */
	for (unsigned i = meta->flags_at, count = 0; i < meta->count; i++) {
		const struct word *word = &meta->words[i];
		if (strchr("kOc", word->text[0]) != NULL)
			talk->set.returns[count++] = word->text[0];
		if (word->text[0] == 'O')
			memcpy(talk->set.opaque, word->text, word->len);
	}
}

void meta_set(struct talk *talk, struct meta *meta, const char *wrong)
{
	uint64_t len = 0;
	struct item *item = NULL;
	if (meta->count < 2) {
		talk_puts(talk, wrong);
		return;
	}
	/* Where the value ends is known from a good length alone: it is no command, whatever else
	 * is wrong. */
	if (meta->count < 3 || !word_u64(&meta->words[2], &len) || len > INT32_MAX - 2) {
		talk_puts(talk, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	if (!meta->has_bad_flag && meta->mode != 0 && strchr("EAPRS", meta->mode) == NULL)
		wrong = "CLIENT_ERROR invalid mode for ms M token\r\n";
	if (wrong == NULL) {
		const struct word key = {meta->key, meta->key_len};
		bool is_large = item_is_too_large(key.len, meta->flags, len);
		keep(talk, meta);
		if (!is_large)
			item = item_new(key.text, key.len, (uint32_t)len, proto_now);
		if (item == NULL)
			wrong = no_room(&key, is_large, true);
	}
	if (wrong != NULL) {
		talk_puts(talk, wrong);
	} else {
		item->flags = meta->flags;
		item->expires = meta->touch;
		item->is_binary = meta->is_base64;
	}
	talk->set.given_len = (uint32_t)len;
	talk_take_value(talk, item, (uint32_t)len, value_is_there);
}
