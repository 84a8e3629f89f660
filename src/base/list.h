/*
 * A circular doubly linked list of nodes embedded in their owners. An empty head points at itself;
 * a node that is in no list does too, so removing it twice is harmless. No locks of its own.
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"

struct eos_list {
	struct eos_list *prev, *next;
};

static inline void eos_list_init(struct eos_list *list)
{
	list->prev = list->next = list;
}

static inline bool eos_list_is_empty(const struct eos_list *list)
{
	return list->next == list;
}

static inline void eos_list_add_tail(struct eos_list *list, struct eos_list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

static inline void eos_list_remove(struct eos_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	eos_list_init(node);
}

/* The first node, removed, or NULL. */
static inline struct eos_list *eos_list_take(struct eos_list *list)
{
	if (eos_list_is_empty(list))
		return NULL;
	struct eos_list *node = list->next;
	eos_list_remove(node);
	return node;
}

/* NODE may be removed in the body. */
#define EOS_LIST_FOR_EACH(node, list)                                                              \
	for (struct eos_list *node = (list)->next, *node##_next = node->next; node != (list);      \
	     node = node##_next, node##_next = node->next)
