/*
 * The meta commands: mg, ms, md, ma, mn, me. A request is a command, a key, and flags of one
 * letter, some with a token behind it; the answer is a code of two letters and flags in the order
 * in which they were asked for.
 */
#include <stdio.h>
#include <string.h>

#include "proto.h"

#define NUMBER_MAX 24 /* bytes of one, with its end */

struct meta {
	struct word words[WORDS_MAX];
	unsigned count, flags_at;
	char key[KEY_MAX];
	uint32_t key_len;
	bool is_quiet, is_base64;
	struct item *item;
};

/* --- reading --- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: not base64, or too long for a key. */
static bool decode_key(struct meta *meta, const struct word *word)
{
	uint32_t len = word->len, bits = 0, have = 0;
	while (len > 0 && word->text[len - 1] == '=' && word->len - len < 2)
		len--;
	if (word->len == 0 || word->len % 4 != 0)
		return false;
	for (uint32_t i = 0; i < len; i++) {
		int digit = base64_digit(word->text[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (meta->key_len == KEY_MAX)
			return false;
		meta->key[meta->key_len++] = (char)(bits >> have);
	}
	return meta->key_len > 0;
}

static const struct word *find_flag(const struct meta *meta, char letter)
{
	for (unsigned i = meta->flags_at; i < meta->count; i++) {
		if (meta->words[i].text[0] == letter)
			return &meta->words[i];
	}
	return NULL;
}

static bool flag_u64(const struct meta *meta, char letter, uint64_t *ret, bool *ret_has)
{
	const struct word *word = find_flag(meta, letter);
	*ret_has = word != NULL;
	if (word == NULL)
		return true;
	struct word token = {word->text + 1, word->len - 1};
	return word_u64(&token, ret);
}

static bool flag_expiry(const struct meta *meta, char letter, uint32_t *ret, bool *ret_has)
{
	const struct word *word = find_flag(meta, letter);
	int64_t given;
	*ret_has = word != NULL;
	if (word == NULL)
		return true;
	struct word token = {word->text + 1, word->len - 1};
	if (!word_i64(&token, &given))
		return false;
	*ret = expiry_of(given);
	return true;
}

/* NULL, or what is wrong. */
static const char *parse(struct meta *meta, const char *line, uint32_t len, unsigned flags_at)
{
	meta->count = split_words(line, len, meta->words, WORDS_MAX);
	meta->flags_at = flags_at;
	if (meta->count < flags_at)
		return "CLIENT_ERROR bad command line format\r\n";
	if (meta->count == WORDS_MAX)
		return "CLIENT_ERROR options flags are too long\r\n";
	for (unsigned i = flags_at; i < meta->count; i++) {
		for (unsigned k = flags_at; k < i; k++) {
			if (meta->words[i].text[0] == meta->words[k].text[0])
				return "CLIENT_ERROR duplicate flag\r\n";
		}
	}
	meta->is_quiet = find_flag(meta, 'q') != NULL;
	meta->is_base64 = find_flag(meta, 'b') != NULL;
	const struct word *opaque = find_flag(meta, 'O');
	if (opaque != NULL && opaque->len - 1 > OPAQUE_MAX)
		return "CLIENT_ERROR opaque token too long\r\n";
	if (meta->is_base64)
		return decode_key(meta, &meta->words[1]) ? NULL
							 : "CLIENT_ERROR error decoding key\r\n";
	if (!is_key(&meta->words[1]))
		return "CLIENT_ERROR bad command line format\r\n";
	meta->key_len = meta->words[1].len;
	memcpy(meta->key, meta->words[1].text, meta->key_len);
	return NULL;
}

/* --- answering --- */

static void put_flag(struct talk *talk, const struct meta *meta, const struct word *flag,
		     const struct item *item)
{
	switch (flag->text[0]) {
	case 'O':
		talk_printf(talk, " %.*s", (int)flag->len, flag->text);
		break;
	case 'k':
		/* With how it is written. */
		talk_printf(talk, " k%.*s%s", (int)meta->words[1].len, meta->words[1].text,
			    meta->is_base64 ? " b" : "");
		break;
	case 'c':
		if (item != NULL)
			talk_printf(talk, " c%llu", (unsigned long long)item->cas);
		break;
	case 'f':
		if (item != NULL)
			talk_printf(talk, " f%u", item->flags);
		break;
	case 'h':
		if (item != NULL)
			talk_printf(talk, " h%d", item->was_fetched);
		break;
	case 'l':
		if (item != NULL)
			talk_printf(talk, " l%u", proto_now - item->used);
		break;
	case 's':
		if (item != NULL)
			talk_printf(talk, " s%u", item->value_len);
		break;
	case 't':
		if (item != NULL && item->expires == 0)
			talk_puts(talk, " t-1");
		else if (item != NULL)
			talk_printf(talk, " t%u", item->expires - proto_now);
		break;
	default:
		break;
	}
}

/* Flags that were asked for, behind a code; ITEM may be NULL: those that need none. */
static void put_flags(struct talk *talk, const struct meta *meta, const struct item *item)
{
	for (unsigned i = meta->flags_at; i < meta->count; i++)
		put_flag(talk, meta, &meta->words[i], item);
}

static void put_code(struct talk *talk, const struct meta *meta, const char *code,
		     const struct item *item)
{
	talk_puts(talk, code);
	put_flags(talk, meta, item);
	talk_puts(talk, "\r\n");
}

static void put_item(struct talk *talk, const struct meta *meta, const struct item *item,
		     const char *value, uint32_t len, const char *marks)
{
	bool with_value = find_flag(meta, 'v') != NULL;
	if (with_value)
		talk_printf(talk, "VA %u", len);
	else
		talk_puts(talk, "HD");
	put_flags(talk, meta, item);
	talk_puts(talk, marks);
	talk_puts(talk, "\r\n");
	if (with_value) {
		talk_put(talk, value, len);
		talk_puts(talk, "\r\n");
	}
}

/* --- mg --- */

/* Marks it as one that somebody is to make anew, and says who. */
static const char *win(struct item *item, bool may_win)
{
	if (item->has_winner)
		return " Z";
	if (!may_win)
		return "";
	item->has_winner = true;
	return " W";
}

static struct item *vivify(const struct meta *meta, uint32_t expires)
{
	struct item *item = item_new(meta->key, meta->key_len, 0, proto_now);
	if (item == NULL)
		return NULL;
	item->expires = expires;
	item->has_winner = true;
	item_link(item, 0, proto_now);
	return item;
}

static void run_get(struct talk *talk, struct meta *meta)
{
	uint32_t touch = 0, vivified = 0, recache = 0;
	bool touches, vivifies, recaches;
	char marks[8] = "";
	if (!flag_expiry(meta, 'T', &touch, &touches) ||
	    !flag_expiry(meta, 'N', &vivified, &vivifies) ||
	    !flag_expiry(meta, 'R', &recache, &recaches)) {
		talk_puts(talk, "CLIENT_ERROR bad token in command line format\r\n");
		return;
	}
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	proto_stats.cmd_get++;
	*(item == NULL ? &proto_stats.get_misses : &proto_stats.get_hits) += 1;
	bool was_made = item == NULL && vivifies;
	if (was_made)
		item = vivify(meta, vivified);
	if (item == NULL) {
		if (!meta->is_quiet)
			put_code(talk, meta, "EN", NULL);
		return;
	}
	if (was_made) {
		strcpy(marks, " W");
	} else if (item->is_stale) {
		bool is_won = item->has_winner;
		(void)win(item, true);
		strcpy(marks, is_won ? " Z X" : " X W");
	} else {
		strcpy(marks, win(item, recaches && item->expires != 0 && item->expires < recache));
	}
	if (touches)
		item->expires = touch;
	/* Without 'q' or with: hits are always answered. */
	put_item(talk, meta, item, item_value(item), item->value_len, marks);
	item_touch(item, proto_now);
}

/* --- ms --- */

static const char *check_set(struct talk *talk, const struct item *old, bool *ret_invalidates)
{
	char mode = (char)talk->set.mode;
	*ret_invalidates = false;
	if (talk->set.has_cas && old == NULL)
		return "NF";
	if (talk->set.has_cas && old->cas != talk->set.cas) {
		/* An older one may still be stored, as stale. */
		if (!talk->set.invalidates || talk->set.cas > old->cas)
			return "EX";
		*ret_invalidates = true;
	}
	if (mode == 'E' && old != NULL)
		return "NS";
	if ((mode == 'R' || mode == 'A' || mode == 'P') && old == NULL && !talk->set.vivifies)
		return "NS";
	return NULL;
}

/* The code of the answer, and what is stored now. */
static const char *store(struct talk *talk, struct item **ret_item)
{
	struct item *item = talk->item;
	char mode = (char)talk->set.mode;
	bool invalidates;
	struct item *old = items_find(item->data, item->key_len, proto_now);
	const char *refused = check_set(talk, old, &invalidates);
	if (refused != NULL)
		return refused;
	if ((mode == 'A' || mode == 'P') && old != NULL) {
		struct item *joined = items_join(item, mode == 'P', proto_now);
		if (joined == NULL)
			return "SERVER_ERROR out of memory storing object";
		item_free(item);
		item = joined;
	} else if (mode == 'A' || mode == 'P') {
		item->expires = talk->set.vivify_expires;
	}
	item->is_stale = invalidates;
	item_link(item, talk->set.new_cas, proto_now);
	talk->item = NULL;
	*ret_item = item;
	return "HD";
}

/* " kKEY b" */
static void put_base64(struct talk *talk, const char *key, uint32_t key_len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	talk_puts(talk, " k");
	for (uint32_t i = 0; i < key_len; i += 3) {
		uint32_t have = key_len - i < 3 ? key_len - i : 3, bits = 0;
		char four[5] = "====";
		for (uint32_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < have ? (uint8_t)key[i + k] : 0);
		for (uint32_t k = 0; k <= have; k++)
			four[k] = digits[bits >> (18 - 6 * k) & 63];
		talk_puts(talk, four);
	}
	talk_puts(talk, " b");
}

static void put_kept(struct talk *talk, const struct item *item, const char *key, uint32_t key_len)
{
	for (const char *letter = talk->set.returns; *letter != '\0'; letter++) {
		if (*letter == 'O')
			talk_printf(talk, " %s", talk->set.opaque);
		else if (*letter == 'k' && talk->set.is_base64)
			put_base64(talk, key, key_len);
		else if (*letter == 'k')
			talk_printf(talk, " k%.*s", (int)key_len, key);
		else if (item != NULL)
			talk_printf(talk, " c%llu", (unsigned long long)item->cas);
	}
}

static void value_is_there(struct talk *talk)
{
	struct item *item = NULL;
	char key[KEY_MAX];
	uint32_t key_len = talk->item->key_len;
	memcpy(key, talk->item->data, key_len);
	proto_stats.cmd_set++;
	const char *code = store(talk, &item);
	if (talk->item != NULL)
		item_free(talk->item);
	if (talk->set.is_quiet && strcmp(code, "HD") == 0)
		return;
	talk_puts(talk, code);
	put_kept(talk, item, key, key_len);
	talk_puts(talk, "\r\n");
}

/* NULL, or what is wrong. */
static const char *parse_set(struct talk *talk, const struct meta *meta, uint32_t *ret_flags,
			     uint32_t *ret_expires)
{
	uint64_t flags = 0;
	bool has;
	memset(&talk->set, 0, sizeof(talk->set));
	talk->set.mode = 'S';
	talk->set.is_meta = true;
	talk->set.is_quiet = meta->is_quiet;
	talk->set.is_base64 = meta->is_base64;
	talk->set.invalidates = find_flag(meta, 'I') != NULL;
	/* Each letter is there once at most. */
	for (unsigned i = meta->flags_at, count = 0; i < meta->count; i++) {
		if (strchr("kOc", meta->words[i].text[0]) != NULL)
			talk->set.returns[count++] = meta->words[i].text[0];
	}
	const struct word *opaque = find_flag(meta, 'O');
	if (opaque != NULL)
		memcpy(talk->set.opaque, opaque->text, opaque->len);
	if (!flag_u64(meta, 'F', &flags, &has) || flags > UINT32_MAX)
		return "CLIENT_ERROR bad command line format\r\n";
	if (!flag_u64(meta, 'C', &talk->set.cas, &talk->set.has_cas) ||
	    !flag_u64(meta, 'E', &talk->set.new_cas, &has) ||
	    !flag_expiry(meta, 'T', ret_expires, &has) ||
	    !flag_expiry(meta, 'N', &talk->set.vivify_expires, &talk->set.vivifies))
		return "CLIENT_ERROR bad token in command line format\r\n";
	*ret_flags = (uint32_t)flags;
	const struct word *mode = find_flag(meta, 'M');
	if (mode == NULL)
		return NULL;
	char letter = mode->len == 2 ? (char)(mode->text[1] & ~0x20) : '\0';
	if (letter == '\0' || strchr("EAPRS", letter) == NULL)
		return "CLIENT_ERROR invalid mode for ms M token\r\n";
	talk->set.mode = (uint8_t)letter;
	return NULL;
}

static void run_set(struct talk *talk, struct meta *meta)
{
	uint64_t len = 0;
	uint32_t flags = 0, expires = 0;
	struct item *item = NULL;
	/* Where the value ends is known from a good length alone. */
	if (meta->count < 3 || !word_u64(&meta->words[2], &len) || len > INT32_MAX - 2) {
		talk_puts(talk, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	const char *wrong = parse_set(talk, meta, &flags, &expires);
	if (wrong == NULL && len > VALUE_MAX)
		wrong = "SERVER_ERROR object too large for cache\r\n";
	if (wrong == NULL) {
		item = item_new(meta->key, meta->key_len, (uint32_t)len, proto_now);
		if (item == NULL)
			wrong = "SERVER_ERROR out of memory storing object\r\n";
	}
	if (wrong != NULL) {
		talk_puts(talk, wrong);
	} else {
		item->flags = flags;
		item->expires = expires;
	}
	talk->set.given_len = (uint32_t)len;
	talk_take_value(talk, item, (uint32_t)len, value_is_there);
}

/* --- md --- */

static void run_delete(struct talk *talk, struct meta *meta)
{
	uint64_t cas = 0;
	uint32_t expires = 0;
	bool has_cas, has_expires;
	if (!flag_u64(meta, 'C', &cas, &has_cas) ||
	    !flag_expiry(meta, 'T', &expires, &has_expires)) {
		talk_puts(talk, "CLIENT_ERROR invalid or duplicate flag\r\n");
		return;
	}
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	*(item == NULL ? &proto_stats.delete_misses : &proto_stats.delete_hits) += 1;
	if (item != NULL && has_cas && item->cas != cas) {
		put_code(talk, meta, "EX", NULL);
		return;
	}
	/* This is said also to who wants it quiet. */
	if (item == NULL) {
		put_code(talk, meta, "NF", NULL);
		return;
	}
	if (find_flag(meta, 'I') != NULL) {
		if (has_expires)
			item->expires = expires;
		item->is_stale = true;
		item->has_winner = false;
		item->cas++;
	} else {
		items_remove(item);
	}
	if (!meta->is_quiet)
		put_code(talk, meta, "HD", NULL);
}

/* --- ma --- */

struct arithmetic {
	uint64_t delta, initial, cas;
	uint32_t vivified, touch;
	bool vivifies, touches, has_cas, is_decrement;
};

static const char *parse_arithmetic(const struct meta *meta, struct arithmetic *a)
{
	bool has;
	*a = (struct arithmetic){.delta = 1};
	if (!flag_u64(meta, 'D', &a->delta, &has) || !flag_u64(meta, 'J', &a->initial, &has) ||
	    !flag_u64(meta, 'C', &a->cas, &a->has_cas) ||
	    !flag_expiry(meta, 'N', &a->vivified, &a->vivifies) ||
	    !flag_expiry(meta, 'T', &a->touch, &a->touches))
		return "CLIENT_ERROR invalid or duplicate flag\r\n";
	const struct word *mode = find_flag(meta, 'M');
	if (mode == NULL)
		return NULL;
	char letter = mode->len == 2 ? mode->text[1] : '\0';
	if (letter == '\0' || strchr("iI+dD-", letter) == NULL)
		return "CLIENT_ERROR invalid mode for ma M token\r\n";
	a->is_decrement = strchr("dD-", letter) != NULL;
	return NULL;
}

/* NULL: *CODE says why. */
static struct item *calculate(struct meta *meta, const struct arithmetic *a, char text[NUMBER_MAX],
			      const char **code)
{
	uint64_t value = a->initial;
	struct item *item = items_find(meta->key, meta->key_len, proto_now);
	*code = "NF";
	if (item == NULL && !a->vivifies)
		return NULL;
	*code = "EX";
	if (item != NULL && a->has_cas && item->cas != a->cas)
		return NULL;
	*code = "CLIENT_ERROR cannot increment or decrement non-numeric value";
	if (item != NULL && !count_item(item, !a->is_decrement, a->delta, &value))
		return NULL;
	uint32_t len = (uint32_t)snprintf(text, NUMBER_MAX, "%llu", (unsigned long long)value);
	*code = "SERVER_ERROR out of memory in incr";
	if (item != NULL) {
		item = item_replace_value(item, text, len);
	} else {
		item = item_new(meta->key, meta->key_len, len, proto_now);
		if (item != NULL) {
			memcpy(item_value(item), text, len);
			item->expires = a->vivified;
			item_link(item, 0, proto_now);
		}
	}
	if (item != NULL && a->touches)
		item->expires = a->touch;
	return item;
}

static void run_arithmetic(struct talk *talk, struct meta *meta)
{
	struct arithmetic a;
	const char *code = parse_arithmetic(meta, &a);
	if (code != NULL) {
		talk_puts(talk, code);
		return;
	}
	bool was_there = items_find(meta->key, meta->key_len, proto_now) != NULL;
	char text[NUMBER_MAX];
	struct item *item = calculate(meta, &a, text, &code);
	uint64_t *hits = a.is_decrement ? &proto_stats.decr_hits : &proto_stats.incr_hits;
	uint64_t *misses = a.is_decrement ? &proto_stats.decr_misses : &proto_stats.incr_misses;
	*(was_there ? hits : misses) += 1;
	if (item == NULL)
		put_code(talk, meta, code, NULL);
	else if (!meta->is_quiet)
		put_item(talk, meta, item, text, (uint32_t)strlen(text), "");
}

/* --- me --- */

static void run_debug(struct talk *talk, struct meta *meta)
{
	const struct item *item = items_find(meta->key, meta->key_len, proto_now);
	if (item == NULL) {
		talk_puts(talk, "EN\r\n");
		return;
	}
	talk_printf(talk, "ME %.*s exp=%lld la=%u cas=%llu fetch=%s cls=1 size=%u\r\n",
		    (int)meta->words[1].len, meta->words[1].text,
		    item->expires == 0 ? -1ll : (long long)item->expires - proto_now,
		    proto_now - item->used, (unsigned long long)item->cas,
		    item->was_fetched ? "yes" : "no",
		    (unsigned)(sizeof(*item) + item->key_len + item->value_len + 2));
}

/* The value behind a set that is not even begun: it is no command. */
static void skip_value(struct talk *talk, const struct meta *meta)
{
	uint64_t len;
	if (meta->count >= 3 && word_u64(&meta->words[2], &len) && len <= INT32_MAX - 2)
		talk_take_value(talk, NULL, (uint32_t)len, NULL);
}

bool meta_command(struct talk *talk, const char *line, uint32_t len)
{
	static const struct {
		char letter;
		unsigned flags_at;
		void (*run)(struct talk *talk, struct meta *meta);
	} commands[] = {
		{'g', 2, run_get},	  {'s', 3, run_set},   {'d', 2, run_delete},
		{'a', 2, run_arithmetic}, {'e', 2, run_debug},
	};
	struct meta meta = {.count = 0};
	if (line[1] == 'n') {
		talk_puts(talk, "MN\r\n");
		return true;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (line[1] != commands[i].letter)
			continue;
		if (len == 2)
			return false;
		const char *wrong = parse(&meta, line, len, commands[i].flags_at);
		proto_stats.cmd_meta++;
		if (wrong == NULL) {
			commands[i].run(talk, &meta);
			return true;
		}
		talk_puts(talk, wrong);
		if (commands[i].letter == 's')
			skip_value(talk, &meta);
		return true;
	}
	return false;
}
