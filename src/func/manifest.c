/*
 * Decoding a manifest. Everything is checked here, before anything is changed: what this returns
 * can be deployed without further questions, but for what only the node knows (whether another
 * function has the path, whether the image runs).
 *
 * Defaults are in set_defaults(); docs/manifest.md lists them, with the bounds that are here.
 */
#include "func/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "func/manifest_priv.h"

#define WASM_PAGE	UINT64_C(65536)
#define CONFIG_NAME_MAX 64u

static void set_defaults(struct func_manifest *manifest)
{
	strcpy(manifest->tenant, "default");
	manifest->isolation = FUNC_ISOLATION_REQUEST;
	manifest->memory_bytes = 64 << 20;
	manifest->stack_bytes = 256 << 10;
	manifest->timeout_ns = 10 * EOS_NS_PER_S;
	manifest->concurrency_max = 64;
	manifest->cpu_class = FUNC_CPU_CLASS;
	manifest->retry_attempts = 5;
	manifest->retry_backoff_ns = EOS_NS_PER_S;
}

int func_manifest_check_keys(const struct eos_node *map, const char *const *known,
			     const char *const *later, struct eos_why *why)
{
	for (; later != NULL && *later != NULL; later++) {
		const struct eos_node *node = eos_node_get(map, *later);
		if (node != NULL)
			return eos_node_fail(node, why, "%s: not supported by this version",
					     *later);
	}
	return eos_node_check_keys(map, known, why);
}

int func_manifest_get_text(const struct eos_node *map, const char *key, char *out, size_t size,
			   struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (eos_str_copy(out, size, text) < 0)
		return eos_node_fail(eos_node_get(map, key), why, "%s: longer than %zu bytes", key,
				     size - 1);
	return 0;
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* S3's rules as far as they can be told from the name alone. */
static bool is_bucket_name(const char *name)
{
	size_t len = strlen(name);
	if (len < 3 || len > STORE_BUCKET_NAME_MAX || !is_lower_or_digit(name[0]) ||
	    !is_lower_or_digit(name[len - 1]) || strstr(name, "..") != NULL)
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		if (!is_lower_or_digit(*p) && *p != '-' && *p != '.')
			return false;
	}
	return true;
}

int func_manifest_get_bucket(const struct eos_node *map, const char *key, bool is_required,
			     char out[STORE_BUCKET_NAME_MAX + 1], struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0)
		return err;
	if (text == NULL)
		return is_required ? eos_node_fail(map, why, "%s: is missing", key) : 0;
	if (!is_bucket_name(text))
		return eos_node_fail(eos_node_get(map, key), why,
				     "%s: not a bucket's name (3 to 63 of a-z, 0-9, '-', '.'): "
				     "\"%.80s\"",
				     key, text);
	strcpy(out, text); /* is_bucket_name() has looked at the length */
	return 0;
}

/* Names of functions and tenants: a-z 0-9 -, begins with a letter. */
static int get_name(const struct eos_node *map, const char *key, char out[FUNC_NAME_MAX + 1],
		    struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (!func_is_name(text))
		return eos_node_fail(eos_node_get(map, key), why,
				     "%s: not a name (up to %u of a-z, 0-9, '-', a letter first): "
				     "\"%.80s\"",
				     key, FUNC_NAME_MAX, text);
	strcpy(out, text);
	return 0;
}

static int decode_isolation(const struct eos_node *root, struct func_manifest *manifest,
			    struct eos_why *why)
{
	const struct eos_node *node = eos_node_get(root, "isolation");
	const char *text = NULL;
	int err = eos_node_get_text(root, "isolation", &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (strcmp(text, "tenant") == 0)
		manifest->isolation = FUNC_ISOLATION_TENANT;
	else if (strcmp(text, "client") == 0 && manifest->is_packet)
		manifest->isolation = FUNC_ISOLATION_CLIENT;
	else if (strcmp(text, "request") == 0 && !manifest->is_packet)
		manifest->isolation = FUNC_ISOLATION_REQUEST;
	else if (manifest->is_packet)
		return eos_node_fail(node, why,
				     "isolation: must be client or tenant with a udp or tcp "
				     "trigger, not \"%.40s\"",
				     text);
	else if (strcmp(text, "client") == 0)
		return eos_node_fail(node, why,
				     "isolation: client: only with a udp or tcp trigger");
	else
		return eos_node_fail(node, why,
				     "isolation: must be request, client or tenant, not \"%.40s\"",
				     text);
	return 0;
}

static int decode_identity(const struct eos_node *root, struct func_manifest *manifest,
			   struct eos_why *why)
{
	int err = get_name(root, "function", manifest->name, why);
	if (err == 0)
		err = get_name(root, "tenant", manifest->tenant, why);
	if (err == 0)
		err = func_manifest_get_text(root, "image", manifest->image,
					     sizeof(manifest->image), why);
	if (err < 0)
		return err;
	if (manifest->name[0] == '\0')
		return eos_node_fail(root, why, "function: is missing (the function's name)");
	if (manifest->image[0] == '\0')
		return eos_node_fail(root, why, "image: is missing (the path of the .wasm file)");
	return decode_isolation(root, manifest, why);
}

static int decode_limits(const struct eos_node *limits, struct func_manifest *manifest,
			 struct eos_why *why)
{
	static const char *const keys[] = {"memory",	  "timeout",	"stack",
					   "concurrency", "host_calls", NULL};
	if (limits == NULL)
		return 0;
	uint64_t concurrency = manifest->concurrency_max, host_calls = 0;
	int err = func_manifest_check_keys(limits, keys, NULL, why);
	if (err == 0)
		err = eos_node_get_size(limits, "memory", WASM_PAGE, 65535 * WASM_PAGE,
					&manifest->memory_bytes, why);
	if (err == 0)
		err = eos_node_get_duration(limits, "timeout",
					    manifest->is_packet ? 100 * EOS_NS_PER_US
								: EOS_NS_PER_MS,
					    manifest->is_packet ? EOS_NS_PER_S : 900 * EOS_NS_PER_S,
					    &manifest->timeout_ns, why);
	if (err == 0)
		err = eos_node_get_size(limits, "stack", 16 << 10, 8 << 20, &manifest->stack_bytes,
					why);
	if (err == 0)
		err = eos_node_get_u64(limits, "concurrency", 1, 1000, &concurrency, why);
	if (err == 0)
		err = eos_node_get_u64(limits, "host_calls", 0, FUNC_HOST_CALLS_MAX, &host_calls,
				       why);
	manifest->concurrency_max = (unsigned)concurrency;
	manifest->host_calls_per_s = (uint32_t)host_calls;
	return err;
}

static int decode_cpu(const struct eos_node *cpu, struct func_manifest *manifest,
		      struct eos_why *why)
{
	static const char *const keys[] = {"class", "budget", "period", NULL};
	if (cpu == NULL)
		return 0;
	uint64_t cpu_class = manifest->cpu_class;
	int err = func_manifest_check_keys(cpu, keys, NULL, why);
	if (err == 0)
		err = eos_node_get_u64(cpu, "class", 0, FUNC_CPU_CLASSES - 1, &cpu_class, why);
	if (err == 0)
		err = func_budget_decode(cpu, &manifest->cpu, why);
	manifest->cpu_class = (unsigned)cpu_class;
	return err;
}

static int decode_grant(const struct eos_node *node, struct func_manifest *manifest,
			struct eos_why *why)
{
	static const char *const keys[] = {"bucket", "access", NULL};
	static const char *const later[] = {"topic", NULL};
	struct func_grant *grant = &manifest->grants[manifest->grants_count];
	const char *access = NULL;
	int err = func_manifest_check_keys(node, keys, later, why);
	if (err == 0)
		err = func_manifest_get_bucket(node, "bucket", true, grant->bucket, why);
	if (err == 0)
		err = eos_node_get_text(node, "access", &access, why);
	if (err < 0)
		return err;
	if (access == NULL)
		return eos_node_fail(node, why, "access: is missing (read, write or read-write)");
	if (strcmp(access, "read") == 0)
		grant->access = FUNC_ACCESS_READ;
	else if (strcmp(access, "write") == 0)
		grant->access = FUNC_ACCESS_WRITE;
	else if (strcmp(access, "read-write") == 0)
		grant->access = FUNC_ACCESS_READ | FUNC_ACCESS_WRITE;
	else
		return eos_node_fail(eos_node_get(node, "access"), why,
				     "access: must be read, write or read-write, not \"%.40s\"",
				     access);
	for (unsigned i = 0; i < manifest->grants_count; i++) {
		if (strcmp(manifest->grants[i].bucket, grant->bucket) == 0)
			return eos_node_fail(node, why, "a second grant for the bucket %s",
					     grant->bucket);
	}
	manifest->grants_count++;
	return 0;
}

static int decode_grants(const struct eos_node *list, struct func_manifest *manifest,
			 struct eos_why *why)
{
	if (list == NULL)
		return 0;
	if (eos_node_kind(list) != EOS_NODE_LIST)
		return eos_node_fail(list, why, "grants: not a list");
	if (eos_node_count(list) > FUNC_GRANTS_MAX)
		return eos_node_fail(list, why, "grants: more than %u", FUNC_GRANTS_MAX);
	int err = 0;
	for (size_t i = 0; i < eos_node_count(list) && err == 0; i++)
		err = decode_grant(eos_node_at(list, i), manifest, why);
	return err;
}

static int decode_retry(const struct eos_node *retry, struct func_manifest *manifest,
			struct eos_why *why)
{
	static const char *const keys[] = {"attempts", "backoff", "dead_letter", NULL};
	if (retry == NULL)
		return 0;
	uint64_t attempts = manifest->retry_attempts;
	int err = func_manifest_check_keys(retry, keys, NULL, why);
	if (err == 0)
		err = eos_node_get_u64(retry, "attempts", 1, 100, &attempts, why);
	if (err == 0)
		err = eos_node_get_duration(retry, "backoff", 10 * EOS_NS_PER_MS,
					    3600 * EOS_NS_PER_S, &manifest->retry_backoff_ns, why);
	if (err == 0)
		err = func_manifest_get_bucket(retry, "dead_letter", false, manifest->dead_letter,
					       why);
	manifest->retry_attempts = (unsigned)attempts;
	return err;
}

static bool is_config_name(const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		bool is_letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '_';
		bool is_digit = *p >= '0' && *p <= '9';
		if (!is_letter && (!is_digit || p == name))
			return false;
	}
	return *name != '\0' && strlen(name) <= CONFIG_NAME_MAX;
}

/* Names that describe the request (RFC 3875): a function must be able to trust them. */
static bool is_request_name(const char *name)
{
	static const char *const names[] = {
		"AUTH_TYPE",	   "CONTENT_LENGTH",  "CONTENT_TYPE",	 "GATEWAY_INTERFACE",
		"PATH_INFO",	   "PATH_TRANSLATED", "QUERY_STRING",	 "REMOTE_ADDR",
		"REMOTE_HOST",	   "REMOTE_IDENT",    "REMOTE_USER",	 "REQUEST_METHOD",
		"SCRIPT_NAME",	   "SERVER_NAME",     "SERVER_PORT",	 "SERVER_PROTOCOL",
		"SERVER_SOFTWARE", "X_FULL_URL",      "X_MATCHED_ROUTE",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return eos_str_starts_with(name, "HTTP_");
}

static int decode_config(const struct eos_node *config, struct func_manifest *manifest,
			 struct eos_why *why)
{
	if (config == NULL)
		return 0;
	if (eos_node_kind(config) != EOS_NODE_MAP)
		return eos_node_fail(config, why, "config: not a map of names and values");
	if (eos_node_count(config) > FUNC_CONFIG_MAX)
		return eos_node_fail(config, why, "config: more than %u values", FUNC_CONFIG_MAX);
	size_t total = 0;
	for (size_t i = 0; i < eos_node_count(config); i++) {
		const struct eos_node *node = eos_node_at(config, i);
		const char *name = eos_node_key_at(config, i);
		const char *value = "";
		if (!is_config_name(name))
			return eos_node_fail(node, why,
					     "config: not the name of an environment variable: "
					     "\"%.80s\"",
					     name);
		if (is_request_name(name))
			return eos_node_fail(node, why, "config: %s describes the HTTP request",
					     name);
		int err = eos_node_get_text(config, name, &value, why);
		if (err < 0)
			return err;
		total += strlen(name) + strlen(value) + 2;
		if (total > FUNC_CONFIG_BYTES_MAX)
			return eos_node_fail(node, why, "config: more than %u bytes in all",
					     FUNC_CONFIG_BYTES_MAX);
		char *pair;
		if (asprintf(&pair, "%s=%s", name, value) < 0)
			return eos_why(why, -ENOMEM, "out of memory");
		manifest->config[manifest->config_count++] = pair;
	}
	return 0;
}

/* How the function puts objects into BUCKET, or NULL: it does not. */
static const char *way_into(const struct func_manifest *manifest, const char *bucket)
{
	if (strcmp(manifest->dead_letter, bucket) == 0)
		return "has its dead letters in the bucket";
	for (unsigned i = 0; i < manifest->grants_count; i++) {
		if ((manifest->grants[i].access & FUNC_ACCESS_WRITE) != 0 &&
		    strcmp(manifest->grants[i].bucket, bucket) == 0)
			return "may write to the bucket";
	}
	return NULL;
}

int func_manifest_check_rule(const struct func_manifest *manifest, const char *owner,
			     const char *bucket, bool is_for_new)
{
	if (owner[0] != '\0' && strcmp(owner, manifest->tenant) != 0)
		return -EACCES;
	return is_for_new && way_into(manifest, bucket) != NULL ? -ELOOP : 0;
}

/* What the function itself puts into BUCKET would trigger it again: without end, at our cost. */
static int check_recursion(const struct eos_node *root, const struct func_manifest *manifest,
			   struct eos_why *why)
{
	const struct eos_node *list = eos_node_get(root, "triggers");
	for (unsigned i = 0; i < manifest->triggers_count; i++) {
		const struct func_trigger *trigger = &manifest->triggers[i];
		if (trigger->kind != FUNC_TRIGGER_OBJECT || !trigger->on_created ||
		    trigger->allows_recursion)
			continue;
		const char *how = way_into(manifest, trigger->bucket);
		if (how != NULL)
			return eos_node_fail(eos_node_at(list, i), why,
					     "the function %s %s, whose new objects trigger it: it "
					     "could call itself without end; write to another "
					     "bucket, or say `recursion: allow` in the trigger",
					     how, trigger->bucket);
	}
	return 0;
}

static int decode(const struct eos_node *root, struct func_manifest *manifest, struct eos_why *why)
{
	static const char *const keys[] = {"function", "tenant", "image",  "isolation",
					   "limits",   "cpu",	 "grants", "triggers",
					   "retry",    "config", NULL};
	static const char *const later[] = {"cloudevents", NULL};
	int err = func_manifest_check_keys(root, keys, later, why);
	if (err == 0 && func_manifest_names_endpoint(root))
		func_manifest_set_packet_defaults(manifest);
	if (err == 0)
		err = decode_identity(root, manifest, why);
	if (err == 0)
		err = decode_limits(eos_node_get(root, "limits"), manifest, why);
	if (err == 0)
		err = decode_cpu(eos_node_get(root, "cpu"), manifest, why);
	if (err == 0)
		err = decode_grants(eos_node_get(root, "grants"), manifest, why);
	if (err == 0 && manifest->isolation == FUNC_ISOLATION_TENANT && !manifest->is_packet &&
	    manifest->grants_count > 0)
		err = eos_node_fail(eos_node_get(root, "grants"), why,
				    "grants: not supported by this version with isolation: tenant");
	if (err == 0)
		err = func_manifest_decode_triggers(eos_node_get(root, "triggers"), manifest, why);
	if (err == 0)
		err = decode_retry(eos_node_get(root, "retry"), manifest, why);
	if (err == 0)
		err = decode_config(eos_node_get(root, "config"), manifest, why);
	if (err == 0 && manifest->is_packet)
		err = func_manifest_check_packets(root, manifest, why);
	return err < 0 ? err : check_recursion(root, manifest, why);
}

int func_manifest_decode(const struct eos_node *root, struct func_manifest **ret_manifest,
			 struct eos_why *why)
{
	struct func_manifest *manifest = calloc(1, sizeof(*manifest));
	if (manifest == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	set_defaults(manifest);
	int err = decode(root, manifest, why);
	if (err < 0) {
		func_manifest_free(manifest);
		return err;
	}
	*ret_manifest = manifest;
	return 0;
}

struct func_manifest *func_manifest_free(struct func_manifest *manifest)
{
	if (manifest == NULL)
		return NULL;
	for (unsigned i = 0; i < manifest->config_count; i++)
		free(manifest->config[i]);
	free(manifest);
	return NULL;
}
