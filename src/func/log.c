/*
 * The functions' logs: a ring of lines for each function, in memory.
 *
 * Lines keep the bytes that the function wrote; what is not printable is replaced when a log is
 * read, because it is the reader's terminal that must be protected.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "func/func.h"

struct line {
	uint64_t time_ns; /* wall clock */
	size_t len;
	char text[];
};

struct ring {
	struct eos_list link; /* in func_log.rings, the one written last at the end */
	char name[FUNC_NAME_MAX + 1];
	unsigned count, first; /* lines[first] is the oldest */
	struct line *lines[FUNC_LOG_LINES_MAX];
};

struct func_log {
	pthread_mutex_t lock; /* guards all */
	struct eos_list rings;
	unsigned rings_count;
};

int func_log_new(struct func_log **ret_log)
{
	struct func_log *log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	pthread_mutex_init(&log->lock, NULL);
	eos_list_init(&log->rings);
	*ret_log = log;
	return 0;
}

static void free_ring(struct func_log *log, struct ring *ring)
{
	eos_list_remove(&ring->link);
	log->rings_count--;
	for (unsigned i = 0; i < FUNC_LOG_LINES_MAX; i++)
		free(ring->lines[i]);
	free(ring);
}

struct func_log *func_log_free(struct func_log *log)
{
	if (log == NULL)
		return NULL;
	EOS_LIST_FOR_EACH (node, &log->rings)
		free_ring(log, EOS_CONTAINER_OF(node, struct ring, link));
	pthread_mutex_destroy(&log->lock);
	free(log);
	return NULL;
}

/* From the one written last: a function that writes much is found at once. */
static struct ring *find_ring_locked(struct func_log *log, const char *name)
{
	for (struct eos_list *node = log->rings.prev; node != &log->rings; node = node->prev) {
		struct ring *ring = EOS_CONTAINER_OF(node, struct ring, link);
		if (strcmp(ring->name, name) == 0)
			return ring;
	}
	return NULL;
}

static struct ring *take_ring_locked(struct func_log *log, const char *name)
{
	struct ring *ring = find_ring_locked(log, name);
	if (ring == NULL) {
		ring = calloc(1, sizeof(*ring));
		if (ring == NULL || eos_str_copy(ring->name, sizeof(ring->name), name) < 0) {
			free(ring);
			return NULL;
		}
		eos_list_init(&ring->link);
		if (log->rings_count == FUNC_LOG_RINGS_MAX)
			free_ring(log, EOS_CONTAINER_OF(log->rings.next, struct ring, link));
		log->rings_count++;
	}
	eos_list_remove(&ring->link);
	eos_list_add_tail(&log->rings, &ring->link);
	return ring;
}

static void add_line_locked(struct ring *ring, uint64_t time_ns, const char *text, size_t len)
{
	struct line *line = malloc(sizeof(*line) + len);
	if (line == NULL)
		return;
	line->time_ns = time_ns;
	line->len = len;
	memcpy(line->text, text, len);
	unsigned slot = (ring->first + ring->count) % FUNC_LOG_LINES_MAX;
	if (ring->count == FUNC_LOG_LINES_MAX) {
		free(ring->lines[slot]);
		ring->first = (ring->first + 1) % FUNC_LOG_LINES_MAX;
	} else {
		ring->count++;
	}
	ring->lines[slot] = line;
}

void func_log_append(struct func_log *log, const char *function, const char *text, size_t len)
{
	if (len == 0)
		return;
	uint64_t now = eos_wall_ns();
	pthread_mutex_lock(&log->lock);
	struct ring *ring = take_ring_locked(log, function);
	while (ring != NULL && len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end == NULL ? len : (size_t)(end - text);
		size_t part = EOS_MIN(line, (size_t)FUNC_LOG_LINE_BYTES);
		add_line_locked(ring, now, text, part);
		/* The line break goes with the last part of its line. */
		part += part == line && end != NULL;
		text += part;
		len -= part;
	}
	pthread_mutex_unlock(&log->lock);
}

/* Length of the printable character at TEXT, or 0. The C1 controls (U+0080 to U+009F) steer
 * terminals as ESC does. */
static size_t printable_length(const char *text, size_t left)
{
	unsigned char c = (unsigned char)text[0];
	if (c < 0x80)
		return c == '\t' || (c >= 0x20 && c != 0x7f);
	if (c == 0xc2 && left > 1 && (unsigned char)text[1] < 0xa0)
		return 0;
	for (size_t n = 2; n <= 4 && n <= left; n++) {
		if (eos_utf8_is_valid(text, n))
			return n;
	}
	return 0;
}

static void put_line(struct eos_buf *buf, const struct line *line)
{
	char time[EOS_ISO8601_SIZE];
	eos_format_iso8601(line->time_ns, time);
	eos_buf_puts(buf, time);
	eos_buf_puts(buf, " ");
	size_t plain = 0; /* bytes before I that are printable and not yet written */
	for (size_t i = 0; i < line->len;) {
		size_t n = printable_length(line->text + i, line->len - i);
		if (n == 0) {
			eos_buf_append(buf, line->text + i - plain, plain);
			eos_buf_puts(buf, "?");
			plain = 0;
			i++;
			continue;
		}
		plain += n;
		i += n;
	}
	eos_buf_append(buf, line->text + line->len - plain, plain);
	eos_buf_puts(buf, "\n");
}

int func_log_read(struct func_log *log, const char *function, struct eos_buf *buf)
{
	pthread_mutex_lock(&log->lock);
	const struct ring *ring = find_ring_locked(log, function);
	for (unsigned i = 0; ring != NULL && i < ring->count; i++)
		put_line(buf, ring->lines[(ring->first + i) % FUNC_LOG_LINES_MAX]);
	pthread_mutex_unlock(&log->lock);
	return eos_buf_failed(buf) ? -ENOMEM : 0;
}
