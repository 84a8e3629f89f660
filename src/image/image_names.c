/*
 * The section of names:
 *
 *     u32 count
 *     count times: u32 offset, u32 size, u32 function, u32 name
 *     text: names, each ended by a zero byte; `name` counts from here
 *
 * image_names_find() runs in signal handlers and so calls nothing but memcpy(). It relies on what
 * image_names_check() proved once: ascending entries, names that start inside of the text, and a
 * text that ends with a zero byte.
 */
#include "image/image_names.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

#define HEAD_BYTES  4u
#define ENTRY_BYTES 16u

static uint32_t load_u32(const uint8_t *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

static void put_u32(struct eos_buf *out, uint32_t value)
{
	uint32_t bytes = htole32(value);
	(void)eos_buf_append(out, &bytes, sizeof(bytes));
}

int image_names_encode(const struct image_name *entries, uint32_t count, struct eos_buf *out)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	size_t start = out->len;
	uint32_t name = 0;
	if (count > (IMAGE_NAMES_BYTES_MAX - HEAD_BYTES) / ENTRY_BYTES)
		return -EFBIG;
	put_u32(out, count);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || entries[i].name != entries[i - 1].name) {
			name = (uint32_t)text.len;
			(void)eos_buf_append(&text, entries[i].name, strlen(entries[i].name) + 1);
		}
		if (text.len > IMAGE_NAMES_BYTES_MAX)
			return -EFBIG;
		put_u32(out, entries[i].offset);
		put_u32(out, entries[i].size);
		put_u32(out, entries[i].function);
		put_u32(out, name);
	}
	if (text.len > 0)
		(void)eos_buf_append(out, text.data, text.len);
	if (eos_buf_failed(out) || eos_buf_failed(&text))
		return -ENOMEM;
	return out->len - start > IMAGE_NAMES_BYTES_MAX ? -EFBIG : 0;
}

uint32_t image_names_count(const void *section, size_t size)
{
	return size < HEAD_BYTES ? 0 : load_u32(section);
}

void image_names_get(const void *section, uint32_t index, struct image_name *ret_name)
{
	const uint8_t *entries = (const uint8_t *)section + HEAD_BYTES;
	const uint8_t *entry = entries + (size_t)index * ENTRY_BYTES;
	const uint8_t *text = entries + (size_t)load_u32(section) * ENTRY_BYTES;
	*ret_name = (struct image_name){
		.offset = load_u32(entry),
		.size = load_u32(entry + 4),
		.function = load_u32(entry + 8),
		.name = (const char *)text + load_u32(entry + 12),
	};
}

/* C0, DEL and C1 (which is c2 80 to c2 9f). */
static bool has_controls(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool is_c1 = text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0;
		if (text[i] < 0x20 || text[i] == 0x7f || is_c1)
			return true;
	}
	return false;
}

static int damaged(struct eos_why *why)
{
	return eos_why(why, -ENOEXEC, "the image is damaged: its table of functions' names");
}

/* Each name once, in the order of the text. */
static bool is_text_good(const uint8_t *text, size_t len)
{
	while (len > 0) {
		size_t name_len = strnlen((const char *)text, len);
		if (name_len == len || name_len == 0 || name_len > IMAGE_NAME_BYTES_MAX ||
		    !eos_utf8_is_valid(text, name_len) || has_controls(text, name_len))
			return false;
		text += name_len + 1;
		len -= name_len + 1;
	}
	return true;
}

int image_names_check(const void *section, size_t size, struct eos_why *why)
{
	uint64_t end = 0; /* of the code before */
	if (size == 0)
		return 0;
	if (size < HEAD_BYTES || size > IMAGE_NAMES_BYTES_MAX)
		return damaged(why);
	uint32_t count = load_u32(section);
	if (count > (size - HEAD_BYTES) / ENTRY_BYTES)
		return damaged(why);
	size_t text_start = HEAD_BYTES + (size_t)count * ENTRY_BYTES;
	const uint8_t *text = (const uint8_t *)section + text_start;
	if (!is_text_good(text, size - text_start))
		return damaged(why);
	for (uint32_t i = 0; i < count; i++) {
		struct image_name name;
		image_names_get(section, i, &name);
		size_t start = (size_t)((const uint8_t *)name.name - text);
		/* A name starts where the one before it ends. */
		if (start >= size - text_start || (start > 0 && text[start - 1] != 0))
			return damaged(why);
		if (name.size == 0 || name.offset < end ||
		    (uint64_t)name.offset + name.size > UINT32_MAX)
			return damaged(why);
		end = (uint64_t)name.offset + name.size;
	}
	return 0;
}

bool image_names_find(const void *section, size_t size, uint64_t offset,
		      struct image_name *ret_name)
{
	uint32_t from = 0, to = image_names_count(section, size);
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		struct image_name name;
		image_names_get(section, middle, &name);
		if (offset < name.offset) {
			to = middle;
		} else if (offset - name.offset >= name.size) {
			from = middle + 1;
		} else {
			*ret_name = name;
			return true;
		}
	}
	return false;
}
