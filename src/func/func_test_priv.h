/*
 * What the tests of func share: a store in a directory of its own, manifests from text.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "func/func.h"
#include "func/registry_priv.h"

/* A function that is in no registry. YAML is a whole manifest. */
static inline struct func *make_func(const char *yaml, uint64_t version)
{
	struct eos_why why = {""};
	struct eos_doc *doc;
	struct func_manifest *manifest = NULL;
	struct func *func;
	struct func_record record = {.version = version};
	int err = eos_doc_parse_yaml("t.yaml", yaml, strlen(yaml), &doc, &why);
	if (err == 0)
		err = func_manifest_decode(eos_doc_root(doc), &manifest, &why);
	if (err < 0)
		fail_msg("%s", why.text);
	eos_doc_free(doc);
	assert_int_equal(func_new(manifest, &record, &func), 0);
	return func;
}
