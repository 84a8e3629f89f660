/*
 * The meta commands: mg, md, ma, mn, me; ms is in a file of its own. An answer is a code of two
 * letters and flags in the order in which they were asked for. What flags do is done in that order,
 * too: "t T30" tells the time that was there, "T30 t" the new one.
 */
#include "meta.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 24 /* bytes of one, with its end */

/* --- answering --- */

/* What needs no item. */
static void put_request_flag(struct talk *talk, const struct meta *meta, const struct word *flag)
{
	if (flag->text[0] == 'O')
		talk_printf(talk, " %.*s", (int)flag->len, flag->text);
	else if (flag->text[0] == 'k')
		meta_put_key(talk, meta->key, meta->key_len, meta->is_base64);
}

void meta_put_code(struct talk *talk, const struct meta *meta, const char *code)
{
	talk_puts(talk, code);
	for (unsigned i = meta->flags_at; i < meta->count; i++)
		put_request_flag(talk, meta, &meta->words[i]);
	talk_puts(talk, "\r\n");
}

static void put_left(struct talk *talk, const struct item *item)
{
	if (item->expires == 0)
		talk_puts(talk, " t-1");
	else
		talk_printf(talk, " t%u", item->expires - proto_now);
}

static void put_head(struct talk *talk, const struct meta *meta, uint32_t len)
{
	if (meta->with_value)
		talk_printf(talk, "VA %u", len);
	else
		talk_puts(talk, "HD");
}

/* --- mg --- */

static void put_item_flag(struct talk *talk, const struct item *item, char letter)
{
	switch (letter) {
	case 'c':
		talk_printf(talk, " c%llu", (unsigned long long)item->cas);
		break;
	case 'f':
		talk_printf(talk, " f%u", item->flags);
		break;
	case 'h':
		talk_printf(talk, " h%d", item->was_fetched);
		break;
	case 'k':
		meta_put_key(talk, item->data, item->key_len, item->is_binary);
		break;
	case 'l':
		talk_printf(talk, " l%u", proto_now - item->used);
		break;
	case 's':
		talk_printf(talk, " s%u", item->value_len);
		break;
	case 't':
		put_left(talk, item);
		break;
	default:
		break;
	}
}

static struct item *vivify(const struct meta *meta)
{
	struct item *item = item_new(meta->key, meta->key_len, 0, proto_now);
	if (item == NULL)
		return NULL;
	item->is_binary = meta->is_base64;
	item_link(item, meta->new_cas, proto_now);
	return item;
}

/* Answers and does what the flags say; true: who asked is to make the item anew. */
static bool use_flags(struct talk *talk, const struct meta *meta, struct item *item, bool was_made)
{
	bool wins = false;
	for (unsigned i = meta->flags_at; i < meta->count; i++) {
		const struct word *flag = &meta->words[i];
		switch (flag->text[0]) {
		case 'T':
			item->expires = meta->touch;
			break;
		case 'N':
			wins |= was_made;
			if (was_made)
				item->expires = meta->vivified;
			break;
		case 'R':
			wins |= !item->has_winner && !was_made && item->expires != 0 &&
				item->expires < meta->recache;
			break;
		case 'O':
			put_request_flag(talk, meta, flag);
			break;
		default:
			put_item_flag(talk, item, flag->text[0]);
			break;
		}
	}
	return wins;
}

/* As the original counts: a hit that touches is no get, and what was made is a hit. */
static void count_get(const struct meta *meta, bool is_hit)
{
	bool is_touch = is_hit && meta->touches;
	*(is_touch ? &proto_stats.cmd_touch : &proto_stats.cmd_get) += 1;
	*(is_touch ? &proto_stats.touch_hits
	  : is_hit ? &proto_stats.get_hits
		   : &proto_stats.get_misses) += 1;
}

static void run_get(struct talk *talk, struct meta *meta)
{
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	bool was_made = item == NULL && meta->vivifies;
	if (was_made)
		item = vivify(meta);
	count_get(meta, item != NULL);
	if (item == NULL) {
		if (!meta->is_quiet)
			meta_put_code(talk, meta, "EN");
		return;
	}
	put_head(talk, meta, item->value_len);
	bool wins = use_flags(talk, meta, item, was_made);
	if (item->has_winner)
		talk_puts(talk, " Z");
	if (item->is_stale)
		talk_puts(talk, " X");
	if (wins || (item->is_stale && !item->has_winner)) {
		talk_puts(talk, " W");
		item->has_winner = true;
	}
	talk_puts(talk, "\r\n");
	if (meta->with_value)
		talk_put(talk, item_value(item), item->value_len + 2);
	if (!meta->keeps_use)
		item_touch(item, proto_now);
}

/* --- md --- */

static void run_delete(struct talk *talk, struct meta *meta)
{
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	bool is_other = item != NULL && meta->has_cas && item->cas != meta->cas;
	if (item == NULL || is_other) {
		/* This is said also to who wants it quiet. */
		proto_stats.delete_misses++;
		meta_put_code(talk, meta, is_other ? "EX" : "NF");
		return;
	}
	if (meta->invalidates) {
		if (meta->touches)
			item->expires = meta->touch;
		item->is_stale = true;
		item->has_winner = false;
		item->cas = meta->new_cas != 0 ? meta->new_cas : items_new_cas(item);
	} else {
		proto_stats.delete_hits++;
		items_remove(item);
	}
	if (!meta->is_quiet)
		meta_put_code(talk, meta, "HD");
}

/* --- ma --- */

/* Where there is none yet. */
static struct item *begin_number(const struct meta *meta, const char *text, uint32_t len)
{
	struct item *item = item_new(meta->key, meta->key_len, len, proto_now);
	if (item == NULL)
		return NULL;
	memcpy(item_value(item), text, len);
	item->is_binary = meta->is_base64;
	item_link(item, meta->new_cas, proto_now);
	return item;
}

static void put_number(struct talk *talk, const struct meta *meta, struct item *item,
		       const char *text, bool was_made)
{
	put_head(talk, meta, (uint32_t)strlen(text));
	for (unsigned i = meta->flags_at; i < meta->count; i++) {
		const struct word *flag = &meta->words[i];
		switch (flag->text[0]) {
		case 'T':
			item->expires = meta->touch;
			break;
		case 'N':
			if (was_made)
				item->expires = meta->vivified;
			break;
		case 't':
			put_left(talk, item);
			break;
		case 'c':
			put_item_flag(talk, item, 'c');
			break;
		default:
			put_request_flag(talk, meta, flag);
			break;
		}
	}
	talk_puts(talk, "\r\n");
	if (meta->with_value)
		talk_printf(talk, "%s\r\n", text);
}

/* The new number, as TEXT; NULL: CODE is the answer, and with flags if it is short. */
static struct item *calculate(struct meta *meta, bool is_decrement, char text[NUMBER_MAX],
			      bool *ret_was_made, const char **code)
{
	uint64_t value = meta->initial;
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	bool was_there = item != NULL;
	*ret_was_made = !was_there;
	uint64_t *hits = is_decrement ? &proto_stats.decr_hits : &proto_stats.incr_hits;
	uint64_t *misses = is_decrement ? &proto_stats.decr_misses : &proto_stats.incr_misses;
	if (!was_there && !meta->vivifies) {
		*misses += 1;
		*code = "NF";
		return NULL;
	}
	*code = "EX";
	if (was_there && item->value_len > 0 && meta->has_cas && meta->cas != 0 &&
	    item->cas != meta->cas)
		return NULL;
	*code = "CLIENT_ERROR cannot increment or decrement non-numeric value";
	if (was_there && !count_item(item, !is_decrement, meta->delta, &value))
		return NULL;
	*hits += was_there;
	uint32_t len = (uint32_t)snprintf(text, NUMBER_MAX, "%llu", (unsigned long long)value);
	*code = "SERVER_ERROR out of memory";
	item = was_there ? item_replace_number(item, text, len) : begin_number(meta, text, len);
	if (item != NULL && was_there && meta->new_cas != 0)
		item->cas = meta->new_cas;
	return item;
}

static void run_arithmetic(struct talk *talk, struct meta *meta)
{
	char text[NUMBER_MAX];
	const char *code;
	bool was_made;
	bool is_decrement = meta->mode == 'D' || meta->mode == '-';
	struct item *item = calculate(meta, is_decrement, text, &was_made, &code);
	/* One that was made is told also to who wants it quiet. */
	if (item != NULL && (was_made || !meta->is_quiet))
		put_number(talk, meta, item, text, was_made);
	else if (item == NULL && code[2] == '\0')
		meta_put_code(talk, meta, code);
	else if (item == NULL)
		talk_printf(talk, "%s\r\n", code);
}

/* What the original tells of a line, of which meta_read() found WRONG, or NULL. */
static const char *told(const struct meta *meta, char letter, const char *wrong)
{
	if (letter != 'g' && meta->has_bad_flag)
		return "CLIENT_ERROR invalid or duplicate flag\r\n";
	if (letter == 'a' && meta->mode != 0 && strchr("I+D-", meta->mode) == NULL)
		return "CLIENT_ERROR invalid mode for ma M token\r\n";
	return wrong;
}

/* --- me --- */

/* LINE up to what counts: of the flags only "b", and only if it is the first. */
static uint32_t debug_len(const char *line, uint32_t len)
{
	struct word words[3];
	unsigned count = split_words(line, len, words, 3);
	if (count < 2)
		return len;
	const struct word *last = &words[count == 3 && word_is(&words[2], "b") ? 2 : 1];
	return (uint32_t)(last->text - line) + last->len;
}

static void run_debug(struct talk *talk, const char *line, uint32_t len)
{
	struct meta meta;
	if (meta_read(&meta, line, debug_len(line, len), 2) != NULL) {
		talk_puts(talk, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	const struct item *item = items_find(meta.key, meta.key_len, proto_now);
	if (item == NULL) {
		talk_puts(talk, "EN\r\n");
		return;
	}
	talk_puts(talk, "ME ");
	meta_put_name(talk, item->data, item->key_len, item->is_binary);
	/* The time left is told as the original does, below zero. */
	talk_printf(talk, " exp=%lld la=%u cas=%llu fetch=%s cls=1 size=%u\r\n",
		    item->expires == 0 ? -1ll : (long long)proto_now - item->expires,
		    proto_now - item->used, (unsigned long long)item->cas,
		    item->was_fetched ? "yes" : "no",
		    (unsigned)(sizeof(*item) + item->key_len + item->value_len + 2));
}

bool meta_command(struct talk *talk, const char *line, uint32_t len)
{
	static const struct {
		char letter;
		void (*run)(struct talk *talk, struct meta *meta);
	} commands[] = {{'g', run_get}, {'d', run_delete}, {'a', run_arithmetic}};
	struct meta meta;
	struct word name;
	(void)split_words(line, len, &name, 1);
	char letter = name.text[1];
	proto_stats.cmd_meta++;
	if (letter == 'n') {
		talk_puts(talk, "MN\r\n");
		return true;
	}
	if (letter == 's') {
		const char *wrong = meta_read(&meta, line, len, 3);
		meta_set(talk, &meta, wrong);
		return true;
	}
	if (letter == 'e') {
		run_debug(talk, line, len);
		return true;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (letter != commands[i].letter)
			continue;
		const char *wrong = meta_read(&meta, line, len, 2);
		wrong = told(&meta, letter, wrong);
		if (wrong == NULL)
			commands[i].run(talk, &meta);
		else
			talk_puts(talk, wrong);
		return true;
	}
	proto_stats.cmd_meta--;
	return false;
}
