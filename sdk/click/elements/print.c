/*
 * Print: a line of the log for each packet.
 *
 *	label:   98 | 00112233 44556677 …
 */
#include <string.h>

#include "click.h"

#define LINE_MAX 4000u

enum contents { NONE, HEX, ASCII };

struct print {
	struct click_element element;
	const char *label;
	uint32_t label_len;
	int32_t length; /* below zero: all */
	enum contents contents;
	bool has_time, has_annos, is_active;
};

struct line {
	char bytes[LINE_MAX];
	uint32_t len;
};

static void add(struct line *line, const char *bytes, size_t len)
{
	if (len > LINE_MAX - line->len)
		len = LINE_MAX - line->len;
	memcpy(line->bytes + line->len, bytes, len);
	line->len += (uint32_t)len;
}

/* VALUE in decimal, with FILL in front of it up to WIDTH. */
static void add_number(struct line *line, uint64_t value, unsigned width, char fill)
{
	char digits[20];
	unsigned count = 0;
	do {
		digits[sizeof(digits) - ++count] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (count < width && count < sizeof(digits))
		digits[sizeof(digits) - ++count] = fill;
	add(line, digits + sizeof(digits) - count, count);
}

static void add_hex(struct line *line, const uint8_t *bytes, uint32_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (uint32_t i = 0; i < len; i++) {
		const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
		if (i > 0 && i % 4 == 0)
			add(line, " ", 1);
		add(line, pair, 2);
	}
}

static void add_ascii(struct line *line, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		char c = bytes[i] >= 32 && bytes[i] < 127 ? (char)bytes[i] : '.';
		if (i > 0 && i % 8 == 0)
			add(line, " ", 1);
		add(line, &c, 1);
	}
}

static void read_contents(struct print *print, struct click_args *args)
{
	static const struct {
		const char *word;
		enum contents contents;
	} words[] = {{"NONE", NONE}, {"HEX", HEX},     {"ASCII", ASCII}, {"none", NONE},
		     {"hex", HEX},   {"ascii", ASCII}, {"true", HEX},	 {"false", NONE},
		     {"1", HEX},     {"0", NONE}};
	const char *text = NULL;
	click_arg_text(args, "CONTENTS", 0, &text);
	for (size_t i = 0; text != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, text) == 0) {
			print->contents = words[i].contents;
			return;
		}
	}
	if (text != NULL)
		click_args_error(args, "CONTENTS: '%.*s' is not NONE, HEX or ASCII", 40, text);
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct print *print = (struct print *)element;
	bool ignored = false;
	print->label = "";
	print->length = 24;
	print->contents = HEX;
	print->is_active = true;
	click_arg_string(args, "LABEL", CLICK_POSITIONAL, &print->label, &print->label_len);
	click_arg_int(args, "MAXLENGTH", CLICK_POSITIONAL, &print->length);
	click_arg_int(args, "LENGTH", 0, &print->length);
	click_arg_int(args, "NBYTES", 0, &print->length);
	read_contents(print, args);
	click_arg_bool(args, "TIMESTAMP", 0, &print->has_time);
	click_arg_bool(args, "PRINTANNO", 0, &print->has_annos);
	click_arg_bool(args, "ACTIVE", 0, &print->is_active);
	click_arg_bool(args, "HEADROOM", 0, &ignored);
	click_arg_bool(args, "CPU", 0, &ignored);
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	const struct print *print = (const struct print *)element;
	struct line line;
	if (!print->is_active)
		return packet;
	line.len = 0;
	if (print->label_len > 0) {
		add(&line, print->label, print->label_len);
		add(&line, ": ", 2);
	}
	if (print->has_time) {
		add_number(&line, packet->time_ns / 1000000000u, 0, ' ');
		add(&line, ".", 1);
		add_number(&line, packet->time_ns / 1000 % 1000000, 6, '0');
		add(&line, ": ", 2);
	}
	add_number(&line, packet->len, 4, ' ');
	if (print->has_annos) {
		add(&line, " | ", 3);
		add_hex(&line, packet->anno, CLICK_ANNO_BYTES);
	}
	uint32_t len = packet->len;
	if (print->length >= 0 && len > (uint32_t)print->length)
		len = (uint32_t)print->length;
	if (print->contents != NONE && len > 0)
		add(&line, " | ", 3);
	if (print->contents == HEX)
		add_hex(&line, packet->data, len);
	else if (print->contents == ASCII)
		add_ascii(&line, packet->data, len);
	if (line.len == LINE_MAX)
		line.len--;
	line.bytes[line.len] = '\0';
	click_log(element->router, line.bytes);
	return packet;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY,
		       &((struct print *)element)->is_active);
	return click_args_end(args);
}

static const struct click_handler handlers[] = {
	{.name = "active", .write = write_active},
	{NULL},
};

const struct click_class click_class_Print = {
	.name = "Print",
	.size = sizeof(struct print),
	.port_count = "1/1",
	.processing = "a",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
