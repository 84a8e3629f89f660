/*
 * Decoding the list `triggers`: each item is a map with one key, the kind.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "func/manifest_priv.h"

static const struct {
	const char *name;
	unsigned bit;
} methods[] = {
	{"GET", FUNC_METHOD_GET},	  {"HEAD", FUNC_METHOD_HEAD},
	{"POST", FUNC_METHOD_POST},	  {"PUT", FUNC_METHOD_PUT},
	{"DELETE", FUNC_METHOD_DELETE},	  {"PATCH", FUNC_METHOD_PATCH},
	{"OPTIONS", FUNC_METHOD_OPTIONS},
};

unsigned func_method_parse(const char *name)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(methods); i++) {
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].bit;
	}
	return 0;
}

void func_methods_format(unsigned bits, char out[FUNC_METHODS_TEXT_SIZE])
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < EOS_ARRAY_SIZE(methods); i++) {
		if (bits == 0 || (bits & methods[i].bit) != 0)
			n += (size_t)snprintf(out + n, FUNC_METHODS_TEXT_SIZE - n, "%s%s",
					      n > 0 ? ", " : "", methods[i].name);
	}
}

/* Paths that belong to the node; whoever had them could speak for it. */
static bool is_reserved_path(const char *path)
{
	static const char *const reserved[] = {"/f",	   "/api",    "/metrics",
					       "/healthz", "/readyz", "/2015-03-31"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(reserved); i++) {
		size_t len = strlen(reserved[i]);
		if (strncmp(path, reserved[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

static const char *find_fault_in_path(const char *path)
{
	if (path[0] != '/')
		return "must begin with '/'";
	if (path[1] == '\0')
		return "\"/\" belongs to the node; take a path below it";
	for (const char *p = path; *p != '\0'; p++) {
		bool is_letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
		if (!is_letter && !(*p >= '0' && *p <= '9') && strchr("/-._~", *p) == NULL)
			return "may have only letters, digits and - . _ ~ between its slashes";
		size_t segment = strcspn(p + 1, "/");
		if (*p != '/')
			continue;
		if (segment == 0)
			return "has an empty segment";
		if (segment <= 2 && strncmp(p + 1, "..", segment) == 0)
			return "has a segment \".\" or \"..\"";
	}
	return is_reserved_path(path) ? "is reserved for the node" : NULL;
}

static int decode_methods(const struct eos_node *list, struct func_trigger *trigger,
			  struct eos_why *why)
{
	if (list == NULL)
		return 0;
	if (eos_node_kind(list) != EOS_NODE_LIST || eos_node_count(list) == 0)
		return eos_node_fail(list, why, "methods: not a list such as [GET, POST]");
	for (size_t i = 0; i < eos_node_count(list); i++) {
		const struct eos_node *node = eos_node_at(list, i);
		unsigned bit = func_method_parse(eos_node_text(node));
		if (bit == 0) {
			char all[FUNC_METHODS_TEXT_SIZE];
			func_methods_format(0, all);
			return eos_node_fail(node, why, "methods: \"%.40s\" is none of %s",
					     eos_node_text(node), all);
		}
		trigger->methods |= bit;
	}
	return 0;
}

static int decode_http(const struct eos_node *node, struct func_trigger *trigger,
		       struct eos_why *why)
{
	static const char *const keys[] = {"path", "methods", NULL};
	trigger->kind = FUNC_TRIGGER_HTTP;
	int err = func_manifest_check_keys(node, keys, NULL, why);
	if (err == 0)
		err = func_manifest_get_text(node, "path", trigger->path, sizeof(trigger->path),
					     why);
	if (err < 0)
		return err;
	const struct eos_node *path = eos_node_get(node, "path");
	if (path == NULL)
		return eos_node_fail(node, why, "path: is missing");
	const char *fault = find_fault_in_path(trigger->path);
	if (fault != NULL)
		return eos_node_fail(path, why, "path: \"%s\": %s", trigger->path, fault);
	return decode_methods(eos_node_get(node, "methods"), trigger, why);
}

static int decode_event_name(const struct eos_node *node, struct func_trigger *trigger,
			     struct eos_why *why)
{
	const char *name = eos_node_text(node);
	if (strcmp(name, "ObjectCreated") == 0)
		trigger->on_created = true;
	else if (strcmp(name, "ObjectRemoved") == 0)
		trigger->on_removed = true;
	else
		return eos_node_fail(
			node, why, "events: must be ObjectCreated or ObjectRemoved, not \"%.40s\"",
			name);
	return 0;
}

static int decode_events(const struct eos_node *list, struct func_trigger *trigger,
			 struct eos_why *why)
{
	trigger->on_created = list == NULL;
	if (list == NULL)
		return 0;
	if (eos_node_kind(list) != EOS_NODE_LIST || eos_node_count(list) == 0)
		return eos_node_fail(list, why, "events: not a list such as [ObjectCreated]");
	int err = 0;
	for (size_t i = 0; i < eos_node_count(list) && err == 0; i++)
		err = decode_event_name(eos_node_at(list, i), trigger, why);
	return err;
}

static int decode_object(const struct eos_node *node, struct func_trigger *trigger,
			 struct eos_why *why)
{
	static const char *const keys[] = {"bucket", "prefix",	  "suffix",
					   "events", "recursion", NULL};
	const char *recursion = "refuse";
	trigger->kind = FUNC_TRIGGER_OBJECT;
	int err = func_manifest_check_keys(node, keys, NULL, why);
	if (err == 0)
		err = func_manifest_get_bucket(node, "bucket", true, trigger->bucket, why);
	if (err == 0)
		err = func_manifest_get_text(node, "prefix", trigger->prefix,
					     sizeof(trigger->prefix), why);
	if (err == 0)
		err = func_manifest_get_text(node, "suffix", trigger->suffix,
					     sizeof(trigger->suffix), why);
	if (err == 0)
		err = decode_events(eos_node_get(node, "events"), trigger, why);
	if (err == 0)
		err = eos_node_get_text(node, "recursion", &recursion, why);
	if (err < 0)
		return err;
	trigger->allows_recursion = strcmp(recursion, "allow") == 0;
	if (!trigger->allows_recursion && strcmp(recursion, "refuse") != 0)
		return eos_node_fail(eos_node_get(node, "recursion"), why,
				     "recursion: must be allow or refuse, not \"%.40s\"",
				     recursion);
	return 0;
}

static int decode_kind(const struct eos_node *item, struct func_trigger *trigger,
		       struct eos_why *why)
{
	const struct eos_node *node = eos_node_at(item, 0);
	const char *kind = eos_node_key_at(item, 0);
	if (strcmp(kind, "http") == 0)
		return decode_http(node, trigger, why);
	if (strcmp(kind, "object") == 0)
		return decode_object(node, trigger, why);
	return func_manifest_decode_endpoint(node, strcmp(kind, "tcp") == 0, trigger, why);
}

static int decode_one(const struct eos_node *node, struct func_manifest *manifest,
		      struct eos_why *why)
{
	static const char *const keys[] = {"http", "object", "udp", "tcp", NULL};
	static const char *const later[] = {"timer", "mqtt", "chain", NULL};
	struct func_trigger *trigger = &manifest->triggers[manifest->triggers_count];
	int err = func_manifest_check_keys(node, keys, later, why);
	if (err < 0)
		return err;
	if (eos_node_count(node) != 1)
		return eos_node_fail(node, why, "a trigger has one key: http, object, udp or tcp");
	const struct eos_node *http = eos_node_get(node, "http");
	err = decode_kind(node, trigger, why);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < manifest->triggers_count; i++) {
		if (http != NULL && manifest->triggers[i].kind == FUNC_TRIGGER_HTTP &&
		    strcmp(manifest->triggers[i].path, trigger->path) == 0)
			return eos_node_fail(http, why, "a second trigger for the path %s",
					     trigger->path);
	}
	manifest->triggers_count++;
	return 0;
}

int func_manifest_decode_triggers(const struct eos_node *list, struct func_manifest *manifest,
				  struct eos_why *why)
{
	if (list == NULL)
		return 0;
	if (eos_node_kind(list) != EOS_NODE_LIST)
		return eos_node_fail(list, why, "triggers: not a list");
	if (eos_node_count(list) > FUNC_TRIGGERS_MAX)
		return eos_node_fail(list, why, "triggers: more than %u", FUNC_TRIGGERS_MAX);
	int err = 0;
	for (size_t i = 0; i < eos_node_count(list) && err == 0; i++)
		err = decode_one(eos_node_at(list, i), manifest, why);
	return err;
}
