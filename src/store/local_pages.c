/*
 * LMDB 0.9's pages, as its source describes them, on machines of 64 bits, little-endian:
 *
 *     page   number (8) pad (2) flags (2) lower (2) upper (2), then pointers (2 each) up to
 * `lower`; nodes from `upper` to the end of the page. Overflow: number, pad, flags, count of pages
 * (4) node   lo (2) hi (2) flags (2) length of the key (2) key data. In a branch lo, hi and flags
 *            are the number of a page; in a leaf lo and hi are the length of the data
 *     meta   pages 0 and 1, in turns: the newer one counts
 *
 * Invariants that are checked
 *  1. Each of the two meta pages was written by a transaction of its parity, and they by two that
 *     follow one another: so a bit in a number cannot bring an older state back.
 *  2. Pages bear their own number and one kind; pointers lead to nodes that lie side by side and
 *     fill the page from `upper` on; keys ascend, and lie between those of the branches above.
 *  3. No page is used twice, nor used and free.
 *  4. The counts that a table has of its pages, entries and levels are right.
 *  5. Pages behind the end of the file are free: a transaction took them and gave them back, so
 * they were never written. The file may well end before the last page that LMDB has counted. What
 * is left are keys and data of leaves, which records' checksums cover, and bytes in no use.
 */
#include "store/local_pages_priv.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/local_priv.h"

#define PAGE_HEADER   16u
#define NODE_HEADER   8u
#define META_MAGIC    0xBEEFC0DEu
#define META_VERSION  1u
#define KEY_MAX	      511u
#define DEPTH_MAX     32u
#define NO_PAGE	      UINT64_MAX
#define META_PAGES    2u
#define PAGE_SIZE_MIN 512u
#define PAGE_SIZE_MAX 65536u

enum { P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4, P_META = 8 };
enum { NODE_IS_BIG = 1, NODE_IS_TABLE = 2 };
/* Flags of the table of free pages. */
#define TABLE_INTEGER_KEYS   8u
#define FILE_IS_NO_DIRECTORY 0x4000u

struct page_header {
	uint64_t number;
	uint16_t pad, flags, lower, upper;
};
struct table_head {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};
struct meta_head {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct table_head free, main;
	uint64_t last_page, txnid;
};
static_assert(sizeof(struct page_header) == PAGE_HEADER, "LMDB's page");
static_assert(sizeof(struct table_head) == 48, "LMDB's table");
static_assert(sizeof(struct meta_head) == 136, "LMDB's meta page");

struct node {
	const uint8_t *key;
	uint16_t key_len, flags;
	uint64_t child; /* in a branch */
	uint32_t len;	/* in a leaf: of the data */
	const uint8_t *data;
	uint32_t bytes; /* in the page */
};

struct span {
	const uint8_t *key; /* NULL: no bound */
	size_t len;
};

struct walk {
	int fd;
	struct eos_why *why;
	uint32_t page_bytes;
	uint64_t last_page;
	uint64_t file_pages;	    /* whole ones, in the file */
	bool (*goes_on)(void *ctx); /* may be NULL */
	void *ctx;
	uint8_t *used; /* a bit a page */
	uint64_t pages;
	uint8_t *buffers[2 * DEPTH_MAX]; /* a page a level; of the main tree, then of a table's */
	/* The table looked at. */
	bool is_main, is_free;
	unsigned level; /* of its root, in BUFFERS */
	struct table_head head, seen;
};

static int bad(struct walk *w, uint64_t page, const char *what)
{
	return eos_why(w->why, -EBADMSG, "page %" PRIu64 ": %s", page, what);
}

static int mark(struct walk *w, uint64_t page, uint64_t count)
{
	if (page < META_PAGES || page > w->last_page || count > w->last_page - page + 1)
		return bad(w, page, "is not in the file");
	for (uint64_t i = page; i < page + count; i++) {
		uint8_t bit = (uint8_t)(1u << (i % 8));
		if (w->used[i / 8] & bit)
			return bad(w, i, "is used twice");
		w->used[i / 8] |= bit;
	}
	w->pages += count;
	return 0;
}

/* What the page bears is needed, not only its number. */
static int mark_used(struct walk *w, uint64_t page, uint64_t count)
{
	int err = mark(w, page, count);
	if (err == 0 && page + count > w->file_pages)
		err = bad(w, page, "is behind the end of the file");
	return err;
}

static int read_page(struct walk *w, uint64_t page, void *out, size_t len)
{
	int err = eos_pread_full(w->fd, out, len, (off_t)(page * w->page_bytes));
	return err == -ENODATA ? bad(w, page, "is behind the end of the file") : err;
}

/* The node that the pointer number INDEX leads to. */
static int get_node(struct walk *w, const uint8_t *data, unsigned index, struct node *ret_node)
{
	struct page_header head;
	uint16_t at, words[4];
	struct node node = {0};
	memcpy(&head, data, sizeof(head));
	memcpy(&at, data + PAGE_HEADER + 2 * index, sizeof(at));
	if (at < head.upper || at % 2 != 0 || (uint32_t)at + NODE_HEADER > w->page_bytes)
		return bad(w, head.number, "a pointer leads outside");
	memcpy(words, data + at, sizeof(words));
	node.key = data + at + NODE_HEADER;
	node.key_len = words[3];
	node.data = node.key + node.key_len;
	uint64_t bytes = NODE_HEADER + (uint64_t)node.key_len;
	if (head.flags == P_BRANCH) {
		node.child = words[0] | (uint64_t)words[1] << 16 | (uint64_t)words[2] << 32;
	} else {
		node.len = words[0] | (uint32_t)words[1] << 16;
		node.flags = words[2];
		bytes += node.flags == NODE_IS_BIG ? sizeof(uint64_t) : node.len;
	}
	if (node.key_len > KEY_MAX || at + bytes > w->page_bytes)
		return bad(w, head.number, "a node is too long");
	node.bytes = (uint32_t)(bytes + (bytes & 1));
	*ret_node = node;
	return 0;
}

static int compare(const struct walk *w, struct span a, struct span b)
{
	if (w->is_free) {
		uint64_t x, y;
		memcpy(&x, a.key, sizeof(x));
		memcpy(&y, b.key, sizeof(y));
		return (x > y) - (x < y);
	}
	size_t both = EOS_MIN(a.len, b.len);
	int order = both == 0 ? 0 : memcmp(a.key, b.key, both);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The header, and that the nodes fill the page. */
static int check_layout(struct walk *w, uint64_t page, const uint8_t *data, bool is_leaf)
{
	struct page_header head;
	memcpy(&head, data, sizeof(head));
	if (head.number != page)
		return bad(w, page, "bears another number");
	if (head.flags != (is_leaf ? P_LEAF : P_BRANCH))
		return bad(w, page, "is of another kind");
	if (head.lower < PAGE_HEADER + 2 || head.lower % 2 != 0 || head.upper < head.lower ||
	    head.upper > w->page_bytes)
		return bad(w, page, "its bounds are wrong");
	uint64_t bytes = 0;
	for (unsigned i = 0; i < (head.lower - PAGE_HEADER) / 2u; i++) {
		struct node node;
		int err = get_node(w, data, i, &node);
		if (err < 0)
			return err;
		if (w->is_free && node.key_len != sizeof(uint64_t) && (is_leaf || i > 0))
			return bad(w, page, "a key of the free list is wrong");
		bytes += node.bytes;
	}
	return bytes == w->page_bytes - head.upper ? 0 : bad(w, page, "nodes overlap");
}

/* LEN bytes of data in pages of their own; *RET (if not NULL) gets them, allocated. */
static int check_big(struct walk *w, const struct node *node, uint8_t **ret)
{
	struct {
		uint64_t number;
		uint16_t pad, flags;
		uint32_t count;
	} head;
	uint64_t page;
	memcpy(&page, node->data, sizeof(page));
	if (page < META_PAGES || page > w->last_page)
		return bad(w, page, "is not in the file");
	int err = read_page(w, page, &head, sizeof(head));
	if (err < 0)
		return err;
	uint64_t least = (PAGE_HEADER - 1 + (uint64_t)node->len) / w->page_bytes + 1;
	if (head.number != page || head.flags != P_OVERFLOW || head.count < least)
		return bad(w, page, "is no overflow page, or too short");
	err = mark_used(w, page, head.count);
	w->seen.overflows += head.count;
	if (err < 0 || ret == NULL)
		return err;
	*ret = malloc(EOS_MAX(node->len, 1u));
	if (*ret == NULL)
		return -ENOMEM;
	return eos_pread_full(w->fd, *ret, node->len, (off_t)(page * w->page_bytes + PAGE_HEADER));
}

/* A list of free pages: their count, and their numbers. */
static int check_free(struct walk *w, uint64_t page, const struct node *node)
{
	uint8_t *big = NULL;
	uint64_t count = 0, number;
	int err = node->flags == NODE_IS_BIG ? check_big(w, node, &big) : 0;
	const uint8_t *list = big != NULL ? big : node->data;
	if (err == 0 && node->len >= sizeof(count))
		memcpy(&count, list, sizeof(count));
	if (err == 0 && (node->len < sizeof(count) || count > node->len / sizeof(number) - 1))
		err = bad(w, page, "a list of free pages is wrong");
	for (uint64_t i = 1; err == 0 && i <= count; i++) {
		memcpy(&number, list + i * sizeof(number), sizeof(number));
		err = mark(w, number, 1);
	}
	free(big);
	return err;
}

static int check_table(struct walk *w, const struct table_head *head, uint64_t at);

static int check_leaf_node(struct walk *w, uint64_t page, const struct node *node)
{
	w->seen.entries++;
	if (w->is_main) {
		struct table_head head;
		if (node->flags != NODE_IS_TABLE || node->len != sizeof(head))
			return bad(w, page, "an entry is no table");
		memcpy(&head, node->data, sizeof(head));
		struct table_head saved = w->head, seen = w->seen;
		unsigned level = w->level;
		w->is_main = false;
		w->level = DEPTH_MAX;
		int err = check_table(w, &head, page);
		w->is_main = true;
		w->level = level;
		w->head = saved;
		w->seen = seen;
		return err;
	}
	if ((node->flags & ~NODE_IS_BIG) != 0)
		return bad(w, page, "a node's flags are wrong");
	if (w->is_free)
		return check_free(w, page, node);
	return node->flags == NODE_IS_BIG ? check_big(w, node, NULL) : 0;
}

/* A page at DEPTH of the table, all of whose keys are at or above LOW and below HIGH. */
static int check_page(struct walk *w, uint64_t page, unsigned depth, struct span low,
		      struct span high)
{
	bool is_leaf = depth + 1 == w->head.depth;
	uint8_t **buffer = &w->buffers[w->level + depth];
	if (*buffer == NULL)
		*buffer = malloc(w->page_bytes);
	if (*buffer == NULL)
		return -ENOMEM;
	int err = w->goes_on == NULL || w->goes_on(w->ctx) ? mark_used(w, page, 1) : -EINTR;
	if (err == 0)
		err = read_page(w, page, *buffer, w->page_bytes);
	if (err == 0)
		err = check_layout(w, page, *buffer, is_leaf);
	if (err < 0)
		return err;
	w->seen.leaves += is_leaf;
	w->seen.branches += !is_leaf;
	struct page_header head;
	memcpy(&head, *buffer, sizeof(head));
	unsigned count = (head.lower - PAGE_HEADER) / 2u;
	struct node node, next = {0};
	struct span last = low;
	err = get_node(w, *buffer, 0, &node);
	for (unsigned i = 0; err == 0 && i < count; i++, node = next) {
		/* The first key of a branch stands for all that is lower, whatever it is. */
		bool counts = is_leaf || i > 0;
		struct span key = counts ? (struct span){node.key, node.key_len} : low;
		int order = counts && last.key != NULL ? compare(w, last, key) : -1;
		if (order > 0 || (order == 0 && i > (is_leaf ? 0u : 1u)) ||
		    (counts && high.key != NULL && compare(w, key, high) >= 0))
			return bad(w, page, "its keys are out of order");
		struct span end = high;
		if (i + 1 < count) {
			err = get_node(w, *buffer, i + 1, &next);
			end = (struct span){next.key, next.key_len};
		}
		if (err == 0)
			err = is_leaf ? check_leaf_node(w, page, &node)
				      : check_page(w, node.child, depth + 1, key, end);
		last = key;
	}
	return err;
}

/* A table that page AT tells of. */
static int check_table(struct walk *w, const struct table_head *head, uint64_t at)
{
	const struct span none = {NULL, 0};
	w->head = *head;
	w->seen = (struct table_head){0};
	/* In the first table's head stand the size of pages and flags of the whole file. */
	uint16_t flags = head->flags;
	if (w->is_free)
		flags = (uint16_t)((flags & ~FILE_IS_NO_DIRECTORY) ^ TABLE_INTEGER_KEYS);
	if ((!w->is_free && head->pad != 0) || flags != 0)
		return bad(w, at, "a table's flags are wrong");
	if ((head->root == NO_PAGE) != (head->depth == 0) || head->depth > DEPTH_MAX)
		return bad(w, at, "a table's depth is wrong");
	int err = head->root == NO_PAGE ? 0 : check_page(w, head->root, 0, none, none);
	if (err == 0 && (w->seen.branches != head->branches || w->seen.leaves != head->leaves ||
			 w->seen.overflows != head->overflows || w->seen.entries != head->entries))
		err = bad(w, at, "a table's counts are wrong");
	return err;
}

/* The meta of transaction TXNID (0: the newer one), if both agree (invariant 1). -EAGAIN: it was
 * overwritten meanwhile. */
static int choose_meta(struct walk *w, uint64_t txnid, struct meta_head *ret_meta)
{
	struct {
		struct page_header head;
		struct meta_head meta;
	} pages[META_PAGES];
	for (uint64_t i = 0; i < META_PAGES; i++) {
		int err = read_page(w, i, &pages[i], sizeof(pages[i]));
		if (err < 0)
			return err;
		const struct meta_head *meta = &pages[i].meta;
		if (pages[i].head.flags != P_META || pages[i].head.number != i ||
		    meta->magic != META_MAGIC || meta->version != META_VERSION ||
		    meta->free.pad != w->page_bytes)
			return bad(w, i, "is no meta page");
		if (meta->txnid != 0 && meta->txnid % META_PAGES != i)
			return bad(w, i, "was not written by its transaction");
	}
	uint64_t a = pages[0].meta.txnid, b = pages[1].meta.txnid;
	if ((a > b ? a - b : b - a) > 1 && txnid == 0)
		return bad(w, a > b ? 1 : 0, "was not written by the transaction before");
	*ret_meta = a > b ? pages[0].meta : pages[1].meta;
	if (txnid != 0)
		*ret_meta = pages[txnid % META_PAGES].meta;
	return txnid == 0 || ret_meta->txnid == txnid ? 0 : -EAGAIN;
}

/* Invariant 5. */
static int check_end(struct walk *w)
{
	for (uint64_t page = w->file_pages; page <= w->last_page; page++)
		if ((w->used[page / 8] & 1u << page % 8) == 0)
			return bad(w, page, "is behind the end of the file");
	return 0;
}

static int walk_all(struct walk *w, const struct meta_head *meta)
{
	w->last_page = meta->last_page;
	struct stat file;
	if (fstat(w->fd, &file) < 0)
		return -errno;
	w->file_pages = (uint64_t)file.st_size / w->page_bytes;
	if (w->file_pages < META_PAGES || w->last_page < META_PAGES - 1 ||
	    w->last_page >= LOCAL_MAP_BYTES_MAX / w->page_bytes)
		return bad(w, w->last_page, "the last one, is not in the file");
	w->used = calloc(1, w->last_page / 8 + 1);
	if (w->used == NULL)
		return -ENOMEM;
	w->is_main = true;
	int err = check_table(w, &meta->main, 0);
	w->is_main = false;
	w->is_free = true;
	if (err == 0)
		err = check_table(w, &meta->free, 0);
	return err < 0 ? err : check_end(w);
}

int local_pages_check(int fd, uint64_t txnid, bool (*goes_on)(void *ctx), void *ctx,
		      uint64_t *ret_bytes, struct eos_why *why)
{
	struct walk w = {.fd = fd, .why = why, .goes_on = goes_on, .ctx = ctx};
	struct stat file;
	struct meta_head meta;
	uint32_t page_bytes;
	if (fstat(fd, &file) < 0)
		return -errno;
	*ret_bytes = 0;
	if (file.st_size == 0)
		return 0;
	int err = eos_pread_full(fd, &page_bytes, sizeof(page_bytes),
				 PAGE_HEADER + offsetof(struct meta_head, free));
	if (err == 0 && (page_bytes < PAGE_SIZE_MIN || page_bytes > PAGE_SIZE_MAX ||
			 (page_bytes & (page_bytes - 1)) != 0))
		err = -ENODATA;
	if (err == -ENODATA)
		return bad(&w, 0, "is no meta page");
	w.page_bytes = page_bytes;
	if (err == 0)
		err = choose_meta(&w, txnid, &meta);
	if (err == 0)
		err = walk_all(&w, &meta);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(w.buffers); i++)
		free(w.buffers[i]);
	free(w.used);
	if (err == 0)
		*ret_bytes = w.pages * page_bytes;
	return err;
}

int local_pages_check_now(struct local *local, bool (*goes_on)(void *ctx), void *ctx,
			  uint64_t *ret_bytes, struct eos_why *why)
{
	mdb_filehandle_t fd;
	int err = local_error(mdb_env_get_fd(local->env, &fd));
	if (err < 0)
		return err;
	/* It must be overtaken twice while we read two pages. */
	do {
		MDB_txn *txn;
		err = local_read_begin(local, &txn);
		if (err < 0)
			return err;
		err = local_pages_check(fd, mdb_txn_id(txn), goes_on, ctx, ret_bytes, why);
		mdb_txn_abort(txn);
	} while (err == -EAGAIN);
	return err;
}
