/*
 * The tree behind base/node.h, as its two parsers build it.
 *
 * All memory of a document comes from its arena and goes with it. Children are chained while a
 * container is open; eos_node_finish() then makes the arrays that lookups use and finds duplicates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"

struct eos_node_arena_block;

struct eos_doc {
	const char *name;
	struct eos_node *root;
	size_t nodes;
	struct eos_node_arena_block *blocks;
};

struct eos_node {
	struct eos_doc *doc;
	const struct eos_node *parent;
	enum eos_node_kind kind;
	unsigned line; /* from 1; 0: not known */
	bool is_null;
	const char *key;  /* "" outside maps */
	const char *text; /* "" unless a scalar */
	size_t count;
	struct eos_node *first, *last, *next; /* the chain of children, and in the parent's */
	struct eos_node **children;	      /* in the document's order */
	struct eos_node **by_key;	      /* maps: the same, sorted */
};

int eos_doc_new(const char *name, struct eos_doc **ret_doc) EOS_MUST_CHECK;
/* -EINVAL: beyond the bounds that hold for both formats (size, NUL, UTF-8), and WHY says where. */
int eos_doc_check_text(const char *name, const char *text, size_t len,
		       struct eos_why *why) EOS_MUST_CHECK;
/* LEN bytes of TEXT with a NUL behind them, or NULL. */
char *eos_doc_copy_text(struct eos_doc *doc, const char *text, size_t len);
/* A node at LINE behind PARENT's other children (NULL: the root). -EINVAL: too many; -ENOMEM. */
int eos_node_add(struct eos_doc *doc, struct eos_node *parent, enum eos_node_kind kind,
		 unsigned line, struct eos_node **ret_node, struct eos_why *why) EOS_MUST_CHECK;
/* No more children. -EINVAL: a duplicate key; -ENOMEM. */
int eos_node_finish(struct eos_node *node, struct eos_why *why) EOS_MUST_CHECK;
