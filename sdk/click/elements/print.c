/*
 * Print: a line of the log for each packet. What is optional is in this order:
 *
 *	label: 1700000000.000001:   98 (h128 t1950) | annotations | 00112233 44556677 …
 */
#include "elements/print.h"

#include <string.h>

#define LINE_MAX CLICK_PRINT_LINE_MAX

struct print {
	struct click_element element;
	const char *label;
	uint32_t label_len;
	int32_t length; /* below zero: all */
	enum click_contents contents;
	bool has_time, has_room, has_annos, is_active;
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

/* With a blank between GROUP bytes; 0: none. */
static void add_hex(struct line *line, const uint8_t *bytes, uint32_t len, uint32_t group)
{
	static const char digits[] = "0123456789abcdef";
	for (uint32_t i = 0; i < len; i++) {
		const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
		if (i > 0 && group > 0 && i % group == 0)
			add(line, " ", 1);
		add(line, pair, 2);
	}
}

/* A blank is in front of the first eight, too. */
static void add_ascii(struct line *line, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		char c = bytes[i] >= 32 && bytes[i] < 127 ? (char)bytes[i] : '.';
		if (i % 8 == 0)
			add(line, " ", 1);
		add(line, &c, 1);
	}
}

void click_print_time(struct click_out *to, uint64_t time_ns)
{
	uint64_t part = time_ns % 1000000000u;
	click_out_u64(to, time_ns / 1000000000u);
	click_out_char(to, '.');
	for (uint64_t unit = 100000000; unit >= (part % 1000 != 0 ? 1 : 1000); unit /= 10)
		click_out_char(to, (char)('0' + part / unit % 10));
}

static void add_time(struct line *line, uint64_t time_ns)
{
	struct click_out to;
	click_out_init(&to, line->bytes + line->len, LINE_MAX - line->len);
	click_print_time(&to, time_ns);
	line->len += to.len;
}

static void add_room(struct line *line, const struct click_packet *packet)
{
	uint64_t head = (uint64_t)(packet->data - packet->buffer);
	uint64_t all = CLICK_HEADROOM + CLICK_PACKET_MAX;
	add(line, " (h", 3);
	add_number(line, head, 0, ' ');
	add(line, " t", 2);
	add_number(line, all - head - packet->len, 0, ' ');
	add(line, ")", 1);
}

/* Whatever the letters' case. WORD is of capitals. */
static bool is_word(const char *text, const char *word)
{
	while (*word != '\0' && (*text == *word || *text == (*word | 0x20)))
		text++, word++;
	return *text == *word;
}

bool click_print_contents(struct click_args *args, const char *key, enum click_contents *ret)
{
	static const char *const words[] = {
		[CLICK_NONE] = "NONE", [CLICK_HEX] = "HEX", [CLICK_ASCII] = "ASCII"};
	const char *text = NULL;
	bool is_hex;
	click_arg_text(args, key, 0, &text);
	if (text == NULL)
		return false;
	if (click_parse_bool(text, &is_hex)) {
		*ret = is_hex ? CLICK_HEX : CLICK_NONE;
		return true;
	}
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (is_word(text, words[i])) {
			*ret = (enum click_contents)i;
			return true;
		}
	}
	click_args_error(args, "%s: '%.*s' is not NONE, HEX or ASCII", key, 40, text);
	return false;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct print *print = (struct print *)element;
	bool ignored = false;
	print->label = "";
	print->length = 24;
	print->contents = CLICK_HEX;
	print->is_active = true;
	click_arg_string(args, "LABEL", CLICK_POSITIONAL, &print->label, &print->label_len);
	click_arg_int(args, "MAXLENGTH", CLICK_POSITIONAL, &print->length);
	click_arg_int(args, "LENGTH", 0, &print->length);
	click_arg_int(args, "NBYTES", 0, &print->length);
	click_print_contents(args, "CONTENTS", &print->contents);
	click_arg_bool(args, "TIMESTAMP", 0, &print->has_time);
	click_arg_bool(args, "PRINTANNO", 0, &print->has_annos);
	click_arg_bool(args, "ACTIVE", 0, &print->is_active);
	click_arg_bool(args, "HEADROOM", 0, &print->has_room);
	click_arg_bool(args, "CPU", 0, &ignored);
	return click_args_end(args);
}

static void add_contents(struct line *line, const struct print *print,
			 const struct click_packet *packet)
{
	uint32_t len = packet->len;
	if (print->length >= 0 && len > (uint32_t)print->length)
		len = (uint32_t)print->length;
	if (print->contents != CLICK_NONE && len > 0)
		add(line, " | ", 3);
	if (print->contents == CLICK_HEX)
		add_hex(line, packet->data, len, 4);
	else if (print->contents == CLICK_ASCII)
		add_ascii(line, packet->data, len);
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
		add_time(&line, packet->time_ns);
		add(&line, ": ", 2);
	}
	add_number(&line, packet->len, 4, ' ');
	if (print->has_room)
		add_room(&line, packet);
	if (print->has_annos) {
		uint8_t annos[CLICK_ANNO_BYTES];
		click_anno_bytes(packet, annos);
		add(&line, " | ", 3);
		add_hex(&line, annos, CLICK_ANNO_BYTES, 0);
	}
	add_contents(&line, print, packet);
	if (line.len == LINE_MAX)
		line.len--;
	line.bytes[line.len] = '\0';
	click_log(element->router, line.bytes);
	return packet;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, ((const struct print *)element)->is_active ? "true" : "false");
	return text.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY,
		       &((struct print *)element)->is_active);
	return click_args_end(args);
}

static const struct click_handler handlers[] = {
	{.name = "active", .read = read_active, .write = write_active},
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
