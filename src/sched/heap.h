/*
 * An intrusive priority queue: nodes embedded in their owners, smallest key first, equal keys in
 * the order in which they came. It is a leftist heap: no memory of its own, so nothing here can
 * fail, and each function takes O(log n) at worst, the first node O(1).
 *
 * A node's rank is the length of the path to the nearest missing child, and a left child's is
 * never less than its brother's: so the right spine of n nodes is no longer than log2(n + 1), and
 * all work is done on right spines.
 *
 * The owner gives places to these structs and reads KEY; the rest belongs to the heap. No locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched_heap_node {
	struct sched_heap_node *left, *right, *parent;
	uint64_t key;
	uint64_t order; /* of arrival; decides between equal keys */
	unsigned rank;	/* 0: in no heap */
};

struct sched_heap {
	struct sched_heap_node *first; /* NULL: empty */
	uint64_t arrivals;
};

/* An empty heap and an unused node are all zeros; these make them so. */
void sched_heap_init(struct sched_heap *heap);
void sched_heap_node_init(struct sched_heap_node *node);
/* NODE is in no heap. */
void sched_heap_add(struct sched_heap *heap, struct sched_heap_node *node, uint64_t key);
/* The same for a node that was removed: it gets its old place, before what came after it. */
void sched_heap_add_back(struct sched_heap *heap, struct sched_heap_node *node);
/* NODE is in HEAP. */
void sched_heap_remove(struct sched_heap *heap, struct sched_heap_node *node);

/* Inline: the scheduler asks several times in each turn. */
static inline bool sched_heap_has(const struct sched_heap_node *node)
{
	return node->rank != 0;
}

/* NODE is in HEAP. The key of one that is alone may be changed in place. */
static inline bool sched_heap_has_only(const struct sched_heap *heap,
				       const struct sched_heap_node *node)
{
	return heap->first == node && node->left == NULL;
}
