/*
 * JSON into a tree, through jansson.
 *
 * jansson recurses and keeps no positions, so a first pass over the bytes counts brackets and
 * commas outside strings: depth and number of values are known to be within bounds before jansson
 * sees the document, and both its recursion and ours are bounded. Nodes have line 0 (not known).
 */
#include "base/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/node_priv.h"

static int check_shape(const char *name, const char *text, size_t len, struct eos_why *why)
{
	unsigned depth = 0;
	unsigned line = 1;
	size_t values = 1;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '\n')
			line++;
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			depth++;
		else if (!in_string && (c == ']' || c == '}'))
			depth -= depth > 0;
		/* Each value but the first of its container stands behind a comma. */
		values += !in_string && (c == ',' || c == '[' || c == '{');
		if (depth > EOS_DOC_DEPTH_MAX)
			return eos_why(why, -EINVAL, "%s:%u: nested too deeply", name, line);
		if (values > EOS_DOC_NODES_MAX)
			return eos_why(why, -EINVAL, "%s:%u: more than %d values", name, line,
				       EOS_DOC_NODES_MAX);
	}
	return 0;
}

static int set_text(struct eos_node *node, const char *text, size_t len, struct eos_why *why)
{
	node->text = eos_doc_copy_text(node->doc, text, len);
	if (node->text == NULL) {
		node->text = "";
		return eos_why(why, -ENOMEM, "%s: out of memory", node->doc->name);
	}
	return 0;
}

static int convert_scalar(const json_t *value, struct eos_node *node, struct eos_why *why)
{
	char number[64];
	switch (json_typeof(value)) {
	case JSON_STRING:
		return set_text(node, json_string_value(value), json_string_length(value), why);
	case JSON_INTEGER:
	case JSON_REAL: {
		size_t n = json_dumpb(value, number, sizeof(number), JSON_ENCODE_ANY);
		return set_text(node, number, n < sizeof(number) ? n : sizeof(number), why);
	}
	case JSON_TRUE:
		node->text = "true";
		return 0;
	case JSON_FALSE:
		node->text = "false";
		return 0;
	default:
		node->text = "null";
		node->is_null = true;
		return 0;
	}
}

static enum eos_node_kind kind_of(const json_t *value)
{
	if (json_is_object(value))
		return EOS_NODE_MAP;
	return json_is_array(value) ? EOS_NODE_LIST : EOS_NODE_SCALAR;
}

/* Recursion is bounded by check_shape(). */
static int convert(struct eos_doc *doc, json_t *value, const char *key, struct eos_node *parent,
		   struct eos_why *why)
{
	struct eos_node *node;
	int err = eos_node_add(doc, parent, kind_of(value), 0, &node, why);
	if (err < 0)
		return err;
	if (key != NULL) {
		node->key = eos_doc_copy_text(doc, key, strlen(key));
		if (node->key == NULL)
			return eos_why(why, -ENOMEM, "%s: out of memory", doc->name);
	}
	if (node->kind == EOS_NODE_SCALAR)
		return convert_scalar(value, node, why);
	if (node->kind == EOS_NODE_LIST) {
		for (size_t i = 0; i < json_array_size(value) && err == 0; i++)
			err = convert(doc, json_array_get(value, i), NULL, node, why);
	} else {
		for (void *i = json_object_iter(value); i != NULL && err == 0;
		     i = json_object_iter_next(value, i))
			err = convert(doc, json_object_iter_value(i), json_object_iter_key(i), node,
				      why);
	}
	return err < 0 ? err : eos_node_finish(node, why);
}

int eos_doc_parse_json(const char *name, const char *text, size_t len, struct eos_doc **ret_doc,
		       struct eos_why *why)
{
	int err = eos_doc_check_text(name, text, len, why);
	if (err == 0)
		err = check_shape(name, text, len, why);
	if (err < 0)
		return err;
	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (value == NULL)
		return eos_why(why,
			       json_error_code(&error) == json_error_out_of_memory ? -ENOMEM
										   : -EINVAL,
			       "%s:%d: %s", name, error.line > 0 ? error.line : 1, error.text);
	struct eos_doc *doc;
	err = eos_doc_new(name, &doc);
	if (err < 0) {
		eos_why(why, err, "%s: out of memory", name);
		goto free_value;
	}
	err = convert(doc, value, NULL, NULL, why);
	if (err < 0) {
		eos_doc_free(doc);
		goto free_value;
	}
	*ret_doc = doc;
free_value:
	json_decref(value);
	return err;
}
