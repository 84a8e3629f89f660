/*
 * A meta command's line, read: a command, a key, and flags of one letter, some with a token behind
 * it. Flags that a command does not know are fine if another one knows them.
 */
#pragma once

#include "proto.h"

#define META_WORDS_MAX 19u /* as the original takes */

struct meta {
	struct word words[WORDS_MAX];
	unsigned count, flags_at;
	char key[KEY_MAX];
	uint32_t key_len;
	uint32_t flags; /* of the client */
	char mode;	/* 0: none given */
	bool is_quiet, is_base64, with_value, keeps_use, invalidates;
	bool has_cas, touches, vivifies;
	bool has_bad_flag; /* what is wrong is a flag, not the opaque token's length */
	uint64_t cas, new_cas, delta, initial;
	/* Times, as expiry_of() has them. */
	uint32_t touch, vivified, recache;
};

/* NULL, or what is wrong. META->count is right even so. */
const char *meta_read(struct meta *meta, const char *line, uint32_t len, unsigned flags_at);
/* KEY; and as an answer's flag, with " b" if it IS_BASE64. */
void meta_put_name(struct talk *talk, const char *key, uint32_t key_len, bool is_base64);
void meta_put_key(struct talk *talk, const char *key, uint32_t key_len, bool is_base64);
void meta_put_code(struct talk *talk, const struct meta *meta, const char *code);
void meta_set(struct talk *talk, struct meta *meta, const char *wrong);
