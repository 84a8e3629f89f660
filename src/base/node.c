/*
 * The tree of a document: building, finding, decoding.
 *
 * Invariants: 1. every node hangs below the root at a depth of at most EOS_DOC_DEPTH_MAX; 2. texts
 * and keys have no NUL inside and are UTF-8; 3. a finished map's keys are all different.
 */
#include "base/node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/node_priv.h"
#include "base/str.h"

#define ARENA_BLOCK 16384
#define PATH_SIZE   160

struct eos_node_arena_block {
	struct eos_node_arena_block *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

static void *arena_take(struct eos_doc *doc, size_t size)
{
	size = EOS_ALIGN_UP(size, _Alignof(max_align_t));
	struct eos_node_arena_block *block = doc->blocks;
	if (block == NULL || block->size - block->used < size) {
		size_t room = EOS_MAX(size, (size_t)ARENA_BLOCK);
		block = malloc(sizeof(*block) + room);
		if (block == NULL)
			return NULL;
		block->used = 0;
		block->size = room;
		block->next = doc->blocks;
		doc->blocks = block;
	}
	void *p = block->bytes + block->used;
	block->used += size;
	return p;
}

char *eos_doc_copy_text(struct eos_doc *doc, const char *text, size_t len)
{
	char *copy = arena_take(doc, len + 1);
	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

int eos_doc_new(const char *name, struct eos_doc **ret_doc)
{
	struct eos_doc *doc = calloc(1, sizeof(*doc));
	if (doc == NULL)
		return -ENOMEM;
	doc->name = eos_doc_copy_text(doc, name, strlen(name));
	if (doc->name == NULL) {
		free(doc);
		return -ENOMEM;
	}
	*ret_doc = doc;
	return 0;
}

struct eos_doc *eos_doc_free(struct eos_doc *doc)
{
	if (doc == NULL)
		return NULL;
	while (doc->blocks != NULL) {
		struct eos_node_arena_block *next = doc->blocks->next;
		free(doc->blocks);
		doc->blocks = next;
	}
	free(doc);
	return NULL;
}

int eos_doc_check_text(const char *name, const char *text, size_t len, struct eos_why *why)
{
	if (len > EOS_DOC_BYTES_MAX)
		return eos_why(why, -EINVAL, "%s: larger than %u bytes", name, EOS_DOC_BYTES_MAX);
	/* Line by line, so that the message can name the line. A line break is never part of a
	 * longer UTF-8 sequence. */
	unsigned line = 1;
	for (size_t at = 0; at < len; line++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end == NULL ? len - at : (size_t)(end - (text + at)) + 1;
		if (memchr(text + at, '\0', n) != NULL)
			return eos_why(why, -EINVAL, "%s:%u: a NUL byte", name, line);
		if (!eos_utf8_is_valid(text + at, n))
			return eos_why(why, -EINVAL, "%s:%u: not UTF-8", name, line);
		at += n;
	}
	return 0;
}

int eos_node_add(struct eos_doc *doc, struct eos_node *parent, enum eos_node_kind kind,
		 unsigned line, struct eos_node **ret_node, struct eos_why *why)
{
	if (doc->nodes == EOS_DOC_NODES_MAX)
		return eos_why(why, -EINVAL, "%s: more than %d values", doc->name,
			       EOS_DOC_NODES_MAX);
	struct eos_node *node = arena_take(doc, sizeof(*node));
	if (node == NULL)
		return eos_why(why, -ENOMEM, "%s: out of memory", doc->name);
	*node = (struct eos_node){
		.doc = doc, .parent = parent, .kind = kind, .line = line, .key = "", .text = ""};
	doc->nodes++;
	if (parent == NULL) {
		doc->root = node;
	} else {
		if (parent->last != NULL)
			parent->last->next = node;
		else
			parent->first = node;
		parent->last = node;
		parent->count++;
	}
	*ret_node = node;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct eos_node *const *x = a;
	const struct eos_node *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);
	if (order == 0)
		order = ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
	return order;
}

static int index_keys(struct eos_node *map, struct eos_why *why)
{
	map->by_key = arena_take(map->doc, map->count * sizeof(map->by_key[0]));
	if (map->by_key == NULL)
		return eos_why(why, -ENOMEM, "%s: out of memory", map->doc->name);
	memcpy(map->by_key, map->children, map->count * sizeof(map->by_key[0]));
	qsort(map->by_key, map->count, sizeof(map->by_key[0]), compare_keys);
	for (size_t i = 1; i < map->count; i++) {
		if (strcmp(map->by_key[i - 1]->key, map->by_key[i]->key) == 0)
			return eos_node_fail(map->by_key[i], why, "the key \"%s\" is there twice",
					     map->by_key[i]->key);
	}
	return 0;
}

int eos_node_finish(struct eos_node *node, struct eos_why *why)
{
	if (node->count == 0)
		return 0;
	node->children = arena_take(node->doc, node->count * sizeof(node->children[0]));
	if (node->children == NULL)
		return eos_why(why, -ENOMEM, "%s: out of memory", node->doc->name);
	size_t i = 0;
	for (struct eos_node *child = node->first; child != NULL; child = child->next)
		node->children[i++] = child;
	EOS_ASSERT(i == node->count);
	return node->kind == EOS_NODE_MAP ? index_keys(node, why) : 0;
}

const struct eos_node *eos_doc_root(const struct eos_doc *doc)
{
	return doc->root;
}

enum eos_node_kind eos_node_kind(const struct eos_node *node)
{
	return node->kind;
}

unsigned eos_node_line(const struct eos_node *node)
{
	return node->line;
}

const char *eos_node_text(const struct eos_node *node)
{
	return node->text;
}

bool eos_node_is_null(const struct eos_node *node)
{
	return node->is_null;
}

size_t eos_node_count(const struct eos_node *node)
{
	return node->count;
}

const struct eos_node *eos_node_at(const struct eos_node *node, size_t index)
{
	EOS_ASSERT(index < node->count);
	return node->children[index];
}

const char *eos_node_key_at(const struct eos_node *node, size_t index)
{
	return eos_node_at(node, index)->key;
}

const struct eos_node *eos_node_get(const struct eos_node *map, const char *key)
{
	if (map->kind != EOS_NODE_MAP)
		return NULL;
	size_t low = 0;
	size_t high = map->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(map->by_key[middle]->key, key);
		if (order == 0)
			return map->by_key[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int eos_node_fail(const struct eos_node *node, struct eos_why *why, const char *fmt, ...)
{
	char text[EOS_WHY_SIZE];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (node->line == 0)
		return eos_why(why, -EINVAL, "%s: %s", node->doc->name, text);
	return eos_why(why, -EINVAL, "%s:%u: %s", node->doc->name, node->line, text);
}

/* "limits.memory", "triggers[0].http.path" into OUT; cut at the front when it is too long. */
static const char *format_path(const struct eos_node *node, char out[PATH_SIZE])
{
	char *begin = out + PATH_SIZE - 1;
	*begin = '\0';
	for (; node->parent != NULL; node = node->parent) {
		char step[PATH_SIZE];
		if (node->parent->kind == EOS_NODE_LIST) {
			size_t index = 0;
			for (const struct eos_node *n = node->parent->first; n != node; n = n->next)
				index++;
			(void)snprintf(step, sizeof(step), "[%zu]", index);
		} else {
			(void)snprintf(step, sizeof(step), "%s%.60s",
				       node->parent->parent == NULL ? "" : ".", node->key);
		}
		size_t len = strlen(step);
		if (len > (size_t)(begin - out))
			break;
		begin -= len;
		memcpy(begin, step, len);
	}
	return begin;
}

int eos_node_check_keys(const struct eos_node *map, const char *const *keys, struct eos_why *why)
{
	char path[PATH_SIZE];
	if (map->kind != EOS_NODE_MAP) {
		const char *where = format_path(map, path);
		return eos_node_fail(map, why, "%s%snot a map of keys and values", where,
				     *where == '\0' ? "" : ": ");
	}
	for (size_t i = 0; i < map->count; i++) {
		const char *const *known = keys;
		while (*known != NULL && strcmp(*known, map->children[i]->key) != 0)
			known++;
		if (*known == NULL)
			return eos_node_fail(map->children[i], why, "unknown key \"%s\"",
					     format_path(map->children[i], path));
	}
	return 0;
}

/* The scalar KEY of MAP. 0: not there; 1: there; -EINVAL: no scalar, or null. */
static int get_scalar(const struct eos_node *map, const char *key, const struct eos_node **ret_node,
		      struct eos_why *why)
{
	char path[PATH_SIZE];
	const struct eos_node *node = eos_node_get(map, key);
	if (node == NULL)
		return 0;
	if (node->kind != EOS_NODE_SCALAR)
		return eos_node_fail(node, why, "%s: a single value is wanted here, not a %s",
				     format_path(node, path),
				     node->kind == EOS_NODE_MAP ? "map" : "list");
	if (node->is_null)
		return eos_node_fail(node, why, "%s: has no value", format_path(node, path));
	*ret_node = node;
	return 1;
}

int eos_node_get_text(const struct eos_node *map, const char *key, const char **value,
		      struct eos_why *why)
{
	const struct eos_node *node;
	int found = get_scalar(map, key, &node, why);
	if (found > 0)
		*value = node->text;
	return found < 0 ? found : 0;
}

struct number_kind {
	const char *name;
	int (*parse)(const char *text, uint64_t *ret_value);
	const struct {
		const char *name;
		uint64_t factor;
	} units[6]; /* for messages, the largest first; the last has the factor 1 */
};

static const struct number_kind plain_number = {"number", eos_parse_u64, {{"", 1}}};
static const struct number_kind size_number = {
	"size (such as 16MiB)",
	eos_parse_size,
	{{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1}}};
static const struct number_kind duration_number = {"duration (such as 250ms or 2s)",
						   eos_parse_duration,
						   {{"h", 3600 * EOS_NS_PER_S},
						    {"m", 60 * EOS_NS_PER_S},
						    {"s", EOS_NS_PER_S},
						    {"ms", EOS_NS_PER_MS},
						    {"us", EOS_NS_PER_US},
						    {"ns", 1}}};

static void format_number(const struct number_kind *kind, uint64_t value, char out[32])
{
	size_t i = 0;
	while (kind->units[i].factor != 1 && (value == 0 || value % kind->units[i].factor != 0))
		i++;
	(void)snprintf(out, 32, "%" PRIu64 "%s", value / kind->units[i].factor,
		       value == 0 ? "" : kind->units[i].name);
}

static int get_number(const struct eos_node *map, const char *key, const struct number_kind *kind,
		      uint64_t min, uint64_t max, uint64_t *value, struct eos_why *why)
{
	const struct eos_node *node;
	int found = get_scalar(map, key, &node, why);
	if (found <= 0)
		return found;
	char path[PATH_SIZE];
	uint64_t number;
	int err = kind->parse(node->text, &number);
	if (err == -EINVAL)
		return eos_node_fail(node, why, "%s: not a %s: \"%.60s\"", format_path(node, path),
				     kind->name, node->text);
	if (err < 0 || number < min || number > max) {
		char low[32];
		char high[32];
		format_number(kind, min, low);
		format_number(kind, max, high);
		return eos_node_fail(node, why, "%s: must be from %s to %s, not %.60s",
				     format_path(node, path), low, high, node->text);
	}
	*value = number;
	return 0;
}

int eos_node_get_u64(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		     uint64_t *value, struct eos_why *why)
{
	return get_number(map, key, &plain_number, min, max, value, why);
}

int eos_node_get_size(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		      uint64_t *bytes, struct eos_why *why)
{
	return get_number(map, key, &size_number, min, max, bytes, why);
}

int eos_node_get_duration(const struct eos_node *map, const char *key, uint64_t min_ns,
			  uint64_t max_ns, uint64_t *ns, struct eos_why *why)
{
	return get_number(map, key, &duration_number, min_ns, max_ns, ns, why);
}

int eos_node_get_bool(const struct eos_node *map, const char *key, bool *value, struct eos_why *why)
{
	const struct eos_node *node;
	int found = get_scalar(map, key, &node, why);
	if (found <= 0)
		return found;
	char path[PATH_SIZE];
	if (strcmp(node->text, "true") == 0)
		*value = true;
	else if (strcmp(node->text, "false") == 0)
		*value = false;
	else
		return eos_node_fail(node, why, "%s: not true or false: \"%.60s\"",
				     format_path(node, path), node->text);
	return 0;
}
