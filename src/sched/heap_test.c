#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macros.h"
#include "sched/heap.h"

#define NODES 600u

static unsigned check_ranks(const struct sched_heap_node *node)
{
	if (node == NULL)
		return 0;
	unsigned left = check_ranks(node->left), right = check_ranks(node->right);
	assert_true(left >= right);
	assert_int_equal(node->rank, right + 1);
	for (unsigned i = 0; i < 2; i++) {
		const struct sched_heap_node *child = i == 0 ? node->left : node->right;
		if (child == NULL)
			continue;
		assert_ptr_equal(child->parent, node);
		assert_true(child->key > node->key ||
			    (child->key == node->key && child->order > node->order));
	}
	return node->rank;
}

static void check(const struct sched_heap *heap)
{
	assert_true(heap->first == NULL || heap->first->parent == NULL);
	(void)check_ranks(heap->first);
}

/* The first of those that are in the heap, the slow way. */
static struct sched_heap_node *find_first(struct sched_heap_node *nodes)
{
	struct sched_heap_node *first = NULL;
	for (unsigned i = 0; i < NODES; i++) {
		struct sched_heap_node *node = &nodes[i];
		if (sched_heap_has(node) &&
		    (first == NULL || node->key < first->key ||
		     (node->key == first->key && node->order < first->order)))
			first = node;
	}
	return first;
}

static void stays_in_order(void **state)
{
	static struct sched_heap_node nodes[NODES];
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct sched_heap heap;
		unsigned random = seed;
		sched_heap_init(&heap);
		for (unsigned i = 0; i < NODES; i++)
			sched_heap_node_init(&nodes[i]);
		for (unsigned step = 0; step < 4000; step++) {
			struct sched_heap_node *node = &nodes[(unsigned)rand_r(&random) % NODES];
			if (!sched_heap_has(node))
				sched_heap_add(&heap, node, (unsigned)rand_r(&random) % 50);
			else if (rand_r(&random) % 4 == 0)
				sched_heap_remove(&heap, heap.first);
			else
				sched_heap_remove(&heap, node);
			if (heap.first != find_first(nodes))
				fail_msg("seed %u step %u", seed, step);
			if (step % 64 == 0)
				check(&heap);
		}
		while (heap.first != NULL) {
			assert_ptr_equal(heap.first, find_first(nodes));
			sched_heap_remove(&heap, heap.first);
		}
	}
}

static void equal_keys_keep_their_order(void **state)
{
	struct sched_heap heap;
	struct sched_heap_node nodes[8] = {0};
	sched_heap_init(&heap);
	for (unsigned i = 0; i < 8; i++)
		sched_heap_add(&heap, &nodes[i], 5);
	sched_heap_remove(&heap, &nodes[0]);
	sched_heap_remove(&heap, &nodes[3]);
	sched_heap_add_back(&heap, &nodes[0]);
	sched_heap_add(&heap, &nodes[3], 5);
	static const unsigned order[] = {0, 1, 2, 4, 5, 6, 7, 3};
	for (unsigned i = 0; i < 8; i++) {
		assert_ptr_equal(heap.first, &nodes[order[i]]);
		sched_heap_remove(&heap, heap.first);
		assert_false(sched_heap_has(&nodes[order[i]]));
	}
	assert_null(heap.first);
}

/* Rising, falling and equal keys are the shapes that make trees deep. */
static void right_spines_stay_short(void **state)
{
	static struct sched_heap_node nodes[1u << 16];
	for (unsigned shape = 0; shape < 3; shape++) {
		struct sched_heap heap;
		sched_heap_init(&heap);
		for (unsigned i = 0; i < EOS_ARRAY_SIZE(nodes); i++) {
			uint64_t keys[] = {i, EOS_ARRAY_SIZE(nodes) - i, 7};
			sched_heap_add(&heap, &nodes[i], keys[shape]);
		}
		for (unsigned i = 0; i < EOS_ARRAY_SIZE(nodes); i += 2)
			sched_heap_remove(&heap, &nodes[i]);
		for (unsigned i = 1; i < EOS_ARRAY_SIZE(nodes); i += 2) {
			unsigned length = 0;
			for (struct sched_heap_node *n = &nodes[i]; n != NULL; n = n->right)
				length++;
			assert_int_equal(length, nodes[i].rank);
			assert_in_range(length, 1, 16);
		}
		while (heap.first != NULL)
			sched_heap_remove(&heap, heap.first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_in_order),
		cmocka_unit_test(equal_keys_keep_their_order),
		cmocka_unit_test(right_spines_stay_short),
	};
	return cmocka_run_group_tests_name("sched_heap", tests, NULL, NULL);
}
