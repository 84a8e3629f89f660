/*
 * Between the two files that decode a chain's manifest: plane_manifest.c and plane_endpoint.c.
 */
#pragma once

#include "plane/plane_manifest.h"

/* Up to MAX letters, digits, '-' and '_', a letter first? */
bool plane_manifest_is_name(const char *text, size_t max);
/* The name that KEY has, into OUT. -EINVAL. */
int plane_manifest_get_name(const struct eos_node *map, const char *key, bool is_required,
			    char *out, size_t size, struct eos_why *why) EOS_MUST_CHECK;
/* Port numbers: "53", "1000-1999". */
int plane_manifest_get_range(const struct eos_node *map, const char *key, uint16_t *first,
			     uint16_t *last, struct eos_why *why) EOS_MUST_CHECK;
/* ROOT's `endpoint`, with its ways out, whose names are known already. -EINVAL. */
int plane_endpoint_decode(const struct eos_node *root, struct plane_manifest *manifest,
			  struct eos_why *why) EOS_MUST_CHECK;
