/*
 * Decoding of a manifest's parts; one file each.
 */
#pragma once

#include "func/manifest.h"

/*
 * MAP is a map whose keys are in KNOWN or in LATER (both ended by NULL; LATER may be NULL). A key
 * of LATER is one that users may meet in examples and that this version cannot honour: it is
 * refused with words that say so.
 */
int func_manifest_check_keys(const struct eos_node *map, const char *const *known,
			     const char *const *later, struct eos_why *why) EOS_MUST_CHECK;
/* The text of KEY, copied into OUT[SIZE]; missing: OUT stays as it is. -EINVAL: too long. */
int func_manifest_get_text(const struct eos_node *map, const char *key, char *out, size_t size,
			   struct eos_why *why) EOS_MUST_CHECK;
/* The same for a bucket's name, checked. IS_REQUIRED: a missing key is an error. */
int func_manifest_get_bucket(const struct eos_node *map, const char *key, bool is_required,
			     char out[STORE_BUCKET_NAME_MAX + 1],
			     struct eos_why *why) EOS_MUST_CHECK;

/* Is one of the triggers `udp` or `tcp`? */
bool func_manifest_names_endpoint(const struct eos_node *root);
/* What such a function has where its manifest says nothing. */
void func_manifest_set_packet_defaults(struct func_manifest *manifest);
/* NODE: what is below the key `udp` or `tcp`. */
int func_manifest_decode_endpoint(const struct eos_node *node, bool is_tcp,
				  struct func_trigger *trigger, struct eos_why *why) EOS_MUST_CHECK;
/* Refuses what the data plane does not do for functions. */
int func_manifest_check_packets(const struct eos_node *root, const struct func_manifest *manifest,
				struct eos_why *why) EOS_MUST_CHECK;

/* The list `triggers`. Knows nothing of grants. */
int func_manifest_decode_triggers(const struct eos_node *list, struct func_manifest *manifest,
				  struct eos_why *why) EOS_MUST_CHECK;
