/*
 * Documents from outside: YAML and JSON read into one tree of nodes.
 *
 * A node is a map, a list or a scalar, and knows the line it came from, so that whoever decodes it
 * can name file and line. The decoding helpers below all report in that form:
 * "downsample.yaml:7: limits.memory: not a size: "lots"".
 *
 * A document is immutable after parsing; nodes and their texts are borrowed until eos_doc_free().
 * Bounds: EOS_DOC_BYTES_MAX bytes, EOS_DOC_DEPTH_MAX levels, EOS_DOC_NODES_MAX nodes; YAML
 * aliases are refused (they make small documents explode). Duplicate keys are refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define EOS_DOC_BYTES_MAX (4u << 20)
#define EOS_DOC_DEPTH_MAX 32
#define EOS_DOC_NODES_MAX 100000

struct eos_doc;
struct eos_node;

enum eos_node_kind { EOS_NODE_SCALAR, EOS_NODE_LIST, EOS_NODE_MAP };

/*
 * Parses TEXT. NAME stands in messages for the document ("downsample.yaml"). An empty YAML
 * document is an empty map. -EINVAL: not well formed or beyond a bound, and WHY says where;
 * -ENOMEM.
 */
int eos_doc_parse_yaml(const char *name, const char *text, size_t len, struct eos_doc **ret_doc,
		       struct eos_why *why) EOS_MUST_CHECK;
/* The same for JSON; numbers, booleans and null become scalars with their text. */
int eos_doc_parse_json(const char *name, const char *text, size_t len, struct eos_doc **ret_doc,
		       struct eos_why *why) EOS_MUST_CHECK;
struct eos_doc *eos_doc_free(struct eos_doc *doc);
const struct eos_node *eos_doc_root(const struct eos_doc *doc);

enum eos_node_kind eos_node_kind(const struct eos_node *node);
unsigned eos_node_line(const struct eos_node *node);
/* A scalar's text, never NULL, no NUL inside; "" for other kinds. */
const char *eos_node_text(const struct eos_node *node);
/* True for a scalar that is null, ~ or empty and was not quoted. */
bool eos_node_is_null(const struct eos_node *node);
/* Children of a map or list. */
size_t eos_node_count(const struct eos_node *node);
const struct eos_node *eos_node_at(const struct eos_node *node, size_t index);
/* The key of a map's child; "" in lists. */
const char *eos_node_key_at(const struct eos_node *node, size_t index);
/* NULL: not a map, or no such key. */
const struct eos_node *eos_node_get(const struct eos_node *map, const char *key);

/* Writes "NAME:LINE: " and the text, and returns -EINVAL. */
int eos_node_fail(const struct eos_node *node, struct eos_why *why, const char *fmt, ...)
	EOS_PRINTF(3, 4);
/* -EINVAL unless MAP is a map whose keys are all among KEYS (ended by NULL); names the stranger. */
int eos_node_check_keys(const struct eos_node *map, const char *const *keys,
			struct eos_why *why) EOS_MUST_CHECK;

/*
 * Typed fields of a map. A missing key leaves *VALUE as it is (the default) and returns 0;
 * a wrong kind or value: -EINVAL with file and line. Texts are borrowed from the document.
 */
int eos_node_get_text(const struct eos_node *map, const char *key, const char **value,
		      struct eos_why *why) EOS_MUST_CHECK;
int eos_node_get_u64(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		     uint64_t *value, struct eos_why *why) EOS_MUST_CHECK;
int eos_node_get_size(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		      uint64_t *bytes, struct eos_why *why) EOS_MUST_CHECK;
int eos_node_get_duration(const struct eos_node *map, const char *key, uint64_t min_ns,
			  uint64_t max_ns, uint64_t *ns, struct eos_why *why) EOS_MUST_CHECK;
int eos_node_get_bool(const struct eos_node *map, const char *key, bool *value,
		      struct eos_why *why) EOS_MUST_CHECK;
