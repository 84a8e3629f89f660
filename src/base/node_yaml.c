/*
 * YAML into a tree, from libyaml's events, so that nesting costs a slot in an array and never a
 * frame of the C stack. Refused, with the line: aliases, tags, keys that are not single values,
 * a second document.
 */
#include "base/node.h"

#include <errno.h>
#include <string.h>

#include <yaml.h>

#include "base/assert.h"
#include "base/node_priv.h"

struct reader {
	struct eos_doc *doc;
	struct eos_node *open[EOS_DOC_DEPTH_MAX]; /* containers around the next event */
	unsigned depth;
	char *key; /* of the next value, when the innermost container is a map; else NULL */
	unsigned key_line;
	unsigned documents;
	const char *text; /* the whole document */
	size_t len;
	struct eos_why *why;
};

static unsigned line_of(const yaml_event_t *event)
{
	return (unsigned)event->start_mark.line + 1;
}

static int refuse(struct reader *reader, unsigned line, const char *text)
{
	return eos_why(reader->why, -EINVAL, "%s:%u: %s", reader->doc->name, line, text);
}

static struct eos_node *innermost(struct reader *reader)
{
	return reader->depth == 0 ? NULL : reader->open[reader->depth - 1];
}

static bool wants_key(struct reader *reader)
{
	struct eos_node *parent = innermost(reader);
	return parent != NULL && parent->kind == EOS_NODE_MAP && reader->key == NULL;
}

/* A value: it takes the pending key, and the key's line, which is where people look for it. */
static int add_value(struct reader *reader, enum eos_node_kind kind, unsigned line,
		     struct eos_node **ret_node)
{
	struct eos_node *node;
	if (reader->key != NULL)
		line = reader->key_line;
	int err = eos_node_add(reader->doc, innermost(reader), kind, line, &node, reader->why);
	if (err < 0)
		return err;
	if (reader->key != NULL) {
		node->key = reader->key;
		reader->key = NULL;
	}
	*ret_node = node;
	return 0;
}

static int open_container(struct reader *reader, enum eos_node_kind kind, const yaml_char_t *tag,
			  unsigned line)
{
	if (tag != NULL)
		return refuse(reader, line, "tags (!…) are not supported");
	if (wants_key(reader))
		return refuse(reader, line, "a key must be a single value");
	if (reader->depth == EOS_DOC_DEPTH_MAX)
		return refuse(reader, line, "nested too deeply");
	struct eos_node *node;
	int err = add_value(reader, kind, line, &node);
	if (err == 0)
		reader->open[reader->depth++] = node;
	return err;
}

static int close_container(struct reader *reader)
{
	EOS_ASSERT(reader->depth > 0 && reader->key == NULL);
	return eos_node_finish(reader->open[--reader->depth], reader->why);
}

static bool text_is_null(const char *text)
{
	return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
	       strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static int add_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	unsigned line = line_of(event);
	if (event->data.scalar.tag != NULL)
		return refuse(reader, line, "tags (!…) are not supported");
	if (memchr(text, '\0', len) != NULL)
		return refuse(reader, line, "a NUL byte");
	char *copy = eos_doc_copy_text(reader->doc, text, len);
	if (copy == NULL)
		return eos_why(reader->why, -ENOMEM, "%s: out of memory", reader->doc->name);
	if (wants_key(reader)) {
		reader->key = copy;
		reader->key_line = line;
		return 0;
	}
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	/* "---" and nothing behind it is an empty document too. */
	if (innermost(reader) == NULL && is_plain && *copy == '\0')
		return 0;
	struct eos_node *node;
	int err = add_value(reader, EOS_NODE_SCALAR, line, &node);
	if (err == 0) {
		node->text = copy;
		node->is_null = is_plain && text_is_null(copy);
	}
	return err;
}

static int take_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->documents++ > 0)
			return refuse(reader, line_of(event), "a second document in one file");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(reader, line_of(event), "aliases (*name) are not supported");
	case YAML_SCALAR_EVENT:
		return add_scalar(reader, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_container(reader, EOS_NODE_LIST, event->data.sequence_start.tag,
				      line_of(event));
	case YAML_MAPPING_START_EVENT:
		return open_container(reader, EOS_NODE_MAP, event->data.mapping_start.tag,
				      line_of(event));
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_container(reader);
	default:
		return 0;
	}
}

/* The line of the byte at OFFSET, or the last one when OFFSET is behind the text. */
static unsigned line_at(const struct reader *reader, size_t offset)
{
	unsigned line = 1;
	for (size_t i = 0; i < offset && i + 1 < reader->len; i++)
		line += reader->text[i] == '\n';
	return line;
}

static int report_parser(struct reader *reader, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return eos_why(reader->why, -ENOMEM, "%s: out of memory", reader->doc->name);
	/* At the end of the text the mark is one line too far; and of what cannot be read, the
	 * reader, which is ahead of the parser's mark, tells the byte. */
	unsigned line = parser->error == YAML_READER_ERROR
				? line_at(reader, parser->problem_offset)
				: EOS_MIN((unsigned)parser->problem_mark.line + 1,
					  line_at(reader, reader->len));
	return eos_why(reader->why, -EINVAL, "%s:%u: %s%s%s", reader->doc->name, line,
		       parser->problem == NULL ? "not YAML" : parser->problem,
		       parser->context == NULL ? "" : " ",
		       parser->context == NULL ? "" : parser->context);
}

static int read_events(struct reader *reader, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event))
			return report_parser(reader, parser);
		bool is_last = event.type == YAML_STREAM_END_EVENT;
		int err = take_event(reader, &event);
		yaml_event_delete(&event);
		if (err < 0 || is_last)
			return err;
	}
}

int eos_doc_parse_yaml(const char *name, const char *text, size_t len, struct eos_doc **ret_doc,
		       struct eos_why *why)
{
	/* An empty buffer has no bytes to point to, which libyaml asserts. */
	if (text == NULL)
		text = "";
	int err = eos_doc_check_text(name, text, len, why);
	if (err < 0)
		return err;
	struct reader reader = {.text = text, .len = len, .why = why};
	err = eos_doc_new(name, &reader.doc);
	if (err < 0)
		return eos_why(why, err, "%s: out of memory", name);
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser)) {
		eos_doc_free(reader.doc);
		return eos_why(why, -ENOMEM, "%s: out of memory", name);
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	err = read_events(&reader, &parser);
	yaml_parser_delete(&parser);
	struct eos_node *root;
	if (err == 0 && reader.doc->root == NULL)
		err = eos_node_add(reader.doc, NULL, EOS_NODE_MAP, 1, &root, why);
	if (err < 0) {
		eos_doc_free(reader.doc);
		return err;
	}
	*ret_doc = reader.doc;
	return 0;
}
