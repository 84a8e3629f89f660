/*
 * Any bytes as a JSON document: they are refused with a reason, or give a tree whose every node can
 * be looked at.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct eos_node *node, unsigned depth)
{
	if (depth > EOS_DOC_DEPTH_MAX)
		abort();
	if (eos_node_kind(node) != EOS_NODE_SCALAR && eos_node_text(node)[0] != '\0')
		abort();
	for (size_t i = 0; i < eos_node_count(node); i++) {
		const struct eos_node *child = eos_node_at(node, i);
		if (eos_node_kind(node) == EOS_NODE_MAP &&
		    eos_node_get(node, eos_node_key_at(node, i)) != child)
			abort();
		walk(child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eos_doc *doc;
	struct eos_why why = {""};
	int err = eos_doc_parse_json("fuzz", (const char *)data, size, &doc, &why);
	if (err < 0) {
		if (why.text[0] == '\0')
			abort();
		return 0;
	}
	walk(eos_doc_root(doc), 0);
	eos_doc_free(doc);
	return 0;
}
