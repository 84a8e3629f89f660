/*
 * The kernel "json": a document of a kind that functions get (a list of sensor readings) is parsed
 * into a tree of nodes and written as text again. A parser as one writes it by hand, with an arena.
 */
#include <stdbool.h>
#include <stddef.h>

#include "compute_kernels.h"

#ifdef __wasm__
#define KERNEL(name) __attribute__((export_name(#name))) uint64_t kernel_##name(void)
#else
#define KERNEL(name) uint64_t kernel_##name(void)
#endif

#define READINGS_COUNT 320u
#define TEXT_BYTES     (64u << 10)
#define NODES_MAX      8192u
#define DEPTH_MAX      32

enum kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct node {
	enum kind kind;
	double number;
	const char *key, *text; /* unescaped, in the arena */
	uint32_t key_len, text_len;
	struct node *first, *next;
};

struct parser {
	const char *pos, *end;
	int depth;
	bool is_bad;
};

struct writer {
	char *out;
	size_t len;
};

static char document[TEXT_BYTES], output[TEXT_BYTES], arena[TEXT_BYTES];
static struct node nodes[NODES_MAX];
static size_t document_len, arena_used;
static uint32_t nodes_used;

/* Writing. */

static void put(struct writer *writer, char c)
{
	if (writer->len < TEXT_BYTES)
		writer->out[writer->len++] = c;
}

static void put_text(struct writer *writer, const char *text)
{
	for (; *text != '\0'; text++)
		put(writer, *text);
}

static void put_u64(struct writer *writer, uint64_t value)
{
	char digits[20];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	while (n > 0)
		put(writer, digits[--n]);
}

/* Up to three places, which is what the document has. */
static void put_number(struct writer *writer, double value)
{
	if (value < 0) {
		put(writer, '-');
		value = -value;
	}
	uint64_t thousandths = (uint64_t)(value * 1000 + 0.5), rest = thousandths % 1000;

	put_u64(writer, thousandths / 1000);
	if (rest == 0)
		return;
	put(writer, '.');
	for (uint64_t unit = 100; rest > 0; unit /= 10) {
		put(writer, (char)('0' + rest / unit));
		rest %= unit;
	}
}

static void put_string(struct writer *writer, const char *text, uint32_t len)
{
	static const char hex[] = "0123456789abcdef";

	put(writer, '"');
	for (uint32_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\') {
			put(writer, '\\');
			put(writer, (char)c);
		} else if (c < 0x20) {
			put_text(writer, "\\u00");
			put(writer, hex[c >> 4]);
			put(writer, hex[c & 15]);
		} else {
			put(writer, (char)c);
		}
	}
	put(writer, '"');
}

static void put_node(struct writer *writer, const struct node *node)
{
	static const char *const words[] = {"null", "false", "true"};

	switch (node->kind) {
	case JSON_NUMBER:
		put_number(writer, node->number);
		return;
	case JSON_STRING:
		put_string(writer, node->text, node->text_len);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	default:
		put_text(writer, words[node->kind]);
		return;
	}
	put(writer, node->kind == JSON_ARRAY ? '[' : '{');
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		if (child != node->first)
			put(writer, ',');
		if (node->kind == JSON_OBJECT) {
			put_string(writer, child->key, child->key_len);
			put(writer, ':');
		}
		put_node(writer, child);
	}
	put(writer, node->kind == JSON_ARRAY ? ']' : '}');
}

/* Parsing. */

static char peek(struct parser *parser)
{
	while (parser->pos < parser->end && (*parser->pos == ' ' || *parser->pos == '\n' ||
					     *parser->pos == '\t' || *parser->pos == '\r'))
		parser->pos++;
	return parser->pos < parser->end ? *parser->pos : '\0';
}

static bool accept(struct parser *parser, char c)
{
	if (peek(parser) != c)
		return false;
	parser->pos++;
	return true;
}

static void expect(struct parser *parser, char c)
{
	if (!accept(parser, c))
		parser->is_bad = true;
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* The character after a backslash; \u only as far as the document has it, below 0x80. */
static char parse_escape(struct parser *parser)
{
	char c = *parser->pos++;

	if (c == 'n')
		return '\n';
	if (c == 't')
		return '\t';
	if (c != 'u' || parser->end - parser->pos < 4)
		return c;
	parser->pos += 4;
	return (char)(hex_digit(parser->pos[-2]) << 4 | hex_digit(parser->pos[-1]));
}

static uint32_t parse_string(struct parser *parser, const char **ret_text)
{
	size_t start = arena_used;

	*ret_text = &arena[start];
	expect(parser, '"');
	while (parser->pos < parser->end && *parser->pos != '"') {
		char c = *parser->pos++;

		if (c == '\\' && parser->pos < parser->end)
			c = parse_escape(parser);
		if (arena_used < TEXT_BYTES)
			arena[arena_used++] = c;
	}
	expect(parser, '"');
	return (uint32_t)(arena_used - start);
}

static double parse_number(struct parser *parser)
{
	bool is_negative = accept(parser, '-');
	double value = 0, unit = 1;

	for (; parser->pos < parser->end && *parser->pos >= '0' && *parser->pos <= '9';
	     parser->pos++)
		value = value * 10 + (*parser->pos - '0');
	if (parser->pos < parser->end && *parser->pos == '.')
		for (parser->pos++;
		     parser->pos < parser->end && *parser->pos >= '0' && *parser->pos <= '9';
		     parser->pos++) {
			value = value * 10 + (*parser->pos - '0');
			unit *= 10;
		}
	return (is_negative ? -value : value) / unit;
}

static void parse_word(struct parser *parser, const char *word)
{
	for (; *word != '\0'; word++)
		if (parser->pos >= parser->end || *parser->pos++ != *word)
			parser->is_bad = true;
}

static struct node *parse_value(struct parser *parser);

static void parse_children(struct parser *parser, struct node *parent, char close)
{
	struct node **link = &parent->first;

	parser->pos++;
	if (++parser->depth > DEPTH_MAX)
		parser->is_bad = true;
	while (!parser->is_bad && !accept(parser, close)) {
		const char *key = NULL;
		uint32_t key_len = 0;

		if (parent->first != NULL)
			expect(parser, ',');
		if (parent->kind == JSON_OBJECT) {
			key_len = peek(parser) == '"' ? parse_string(parser, &key) : 0;
			expect(parser, ':');
		}
		struct node *child = parse_value(parser);

		child->key = key;
		child->key_len = key_len;
		*link = child;
		link = &child->next;
	}
	parser->depth--;
}

static struct node *parse_value(struct parser *parser)
{
	static const char *const words[] = {"null", "false", "true"};
	struct node *node = &nodes[nodes_used < NODES_MAX - 1 ? nodes_used++ : NODES_MAX - 1];
	char c = peek(parser);

	*node = (struct node){.kind = JSON_NULL};
	if (c == '{' || c == '[') {
		node->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		parse_children(parser, node, c == '{' ? '}' : ']');
	} else if (c == '"') {
		node->kind = JSON_STRING;
		node->text_len = parse_string(parser, &node->text);
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		node->kind = JSON_NUMBER;
		node->number = parse_number(parser);
	} else {
		node->kind = c == 't' ? JSON_TRUE : c == 'f' ? JSON_FALSE : JSON_NULL;
		parse_word(parser, words[node->kind]);
	}
	return node;
}

static void make_document(void)
{
	struct writer writer = {document, 0};

	put_text(&writer, "{\"site\": \"hall 3\", \"readings\": [");
	for (unsigned i = 0; i < READINGS_COUNT; i++) {
		put_text(&writer, i > 0 ? ",\n  {\"id\": " : "\n  {\"id\": ");
		put_u64(&writer, 1700000000u + 977u * i);
		put_text(&writer, ", \"sensor\": \"press \\\"");
		put_u64(&writer, i % 17);
		put_text(&writer, "\\\" line\\t\\u0041\", \"celsius\": ");
		put_number(&writer, ((double)(i * 7919u % 40009u) - 10000) / 125);
		put_text(&writer, i % 3 == 0 ? ", \"alarm\": true" : ", \"alarm\": false");
		put_text(&writer, ", \"window\": [");
		put_number(&writer, (double)(i % 50) / 8);
		put_text(&writer, ", ");
		put_u64(&writer, i * i % 1013);
		put_text(&writer, ", 12.5], \"note\": null}");
	}
	put_text(&writer, "\n]}\n");
	document_len = writer.len;
}

KERNEL(json)
{
	uint64_t hash = 0xcbf29ce484222325;

	if (document_len == 0)
		make_document();
	nodes_used = 0;
	arena_used = 0;
	struct parser parser = {document, document + document_len, 0, false};
	struct writer writer = {output, 0};

	put_node(&writer, parse_value(&parser));
	if (parser.is_bad)
		return 0;
	/* A sample of the text: the hash is not what is measured. */
	for (size_t i = 0; i < writer.len; i += 61)
		hash = (hash ^ (unsigned char)output[i]) * 0x100000001b3;
	return hash ^ writer.len;
}
