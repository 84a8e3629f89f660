#include "sched/heap.h"

#include "base/assert.h"

static unsigned rank_of(const struct sched_heap_node *node)
{
	return node == NULL ? 0 : node->rank;
}

static bool goes_before(const struct sched_heap_node *a, const struct sched_heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

/* The child with the greater rank goes left. */
static void settle(struct sched_heap_node *node)
{
	if (rank_of(node->left) < rank_of(node->right)) {
		struct sched_heap_node *left = node->left;
		node->left = node->right;
		node->right = left;
	}
	node->rank = rank_of(node->right) + 1;
}

/* As deep as both right spines together: 128 frames for 2^64 nodes. */
static struct sched_heap_node *merge(struct sched_heap_node *a, struct sched_heap_node *b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	if (goes_before(b, a)) {
		struct sched_heap_node *first = b;
		b = a;
		a = first;
	}
	a->right = merge(a->right, b);
	a->right->parent = a;
	settle(a);
	return a;
}

void sched_heap_init(struct sched_heap *heap)
{
	*heap = (struct sched_heap){0};
}

void sched_heap_node_init(struct sched_heap_node *node)
{
	*node = (struct sched_heap_node){0};
}

void sched_heap_add_back(struct sched_heap *heap, struct sched_heap_node *node)
{
	EOS_DCHECK(node->rank == 0);
	node->left = node->right = node->parent = NULL;
	node->rank = 1;
	if (heap->first == NULL) {
		heap->first = node;
		return;
	}
	heap->first = merge(heap->first, node);
	heap->first->parent = NULL;
}

void sched_heap_add(struct sched_heap *heap, struct sched_heap_node *node, uint64_t key)
{
	node->key = key;
	node->order = heap->arrivals++;
	sched_heap_add_back(heap, node);
}

void sched_heap_remove(struct sched_heap *heap, struct sched_heap_node *node)
{
	EOS_DCHECK(node->rank != 0);
	struct sched_heap_node *parent = node->parent, *rest = node->left;
	node->rank = 0;
	/* A missing child is always the right one. */
	if (node->right != NULL)
		rest = merge(rest, node->right);
	if (rest != NULL)
		rest->parent = parent;
	if (parent == NULL)
		heap->first = rest;
	else if (parent->left == node)
		parent->left = rest;
	else
		parent->right = rest;
	/* Each step that changes a rank comes from a right child and makes a rank one greater than
	 * the last, so there are no more steps than the root's rank. */
	for (unsigned old = 0; parent != NULL; parent = parent->parent) {
		old = parent->rank;
		settle(parent);
		if (parent->rank == old)
			break;
	}
}
