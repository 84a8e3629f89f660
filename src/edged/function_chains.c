/*
 * Functions with a trigger udp or tcp, as chains. The chain's manifest is made from the function's:
 * what the data plane reads is the same as of other chains, and checked there as they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "edged/chains.h"
#include "edged/chains_priv.h"
#include "edged/edged.h"
#include "plane/plane_client.h"

/* --- the chain's manifest --- */

static void put_duration(struct eos_json *json, const char *key, uint64_t ns)
{
	char text[32];
	(void)snprintf(text, sizeof(text), "%lluns", (unsigned long long)ns);
	eos_json_text(json, key, text);
}

static void put_endpoint(struct eos_json *json, const struct func_trigger *trigger)
{
	eos_json_open(json, "endpoint", '{');
	eos_json_u64(json, trigger->kind == FUNC_TRIGGER_TCP ? "tcp" : "udp", trigger->port);
	eos_json_text(json, "address", trigger->address);
	eos_json_close(json, '}');
	put_duration(json, "idle", trigger->idle_ns);
}

/* The file's name, which messages about the stage begin with. */
static const char *image_name(const struct func_manifest *manifest)
{
	const char *slash = strrchr(manifest->image, '/');
	return slash == NULL ? manifest->image : slash + 1;
}

static void put_stage(struct eos_json *json, const struct func_manifest *manifest)
{
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "image", image_name(manifest));
	eos_json_open(json, "config", '{');
	for (unsigned i = 0; i < manifest->config_count; i++) {
		char name[64 + 1];
		const char *equals = strchr(manifest->config[i], '=');
		(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - manifest->config[i]),
			       manifest->config[i]);
		eos_json_text(json, name, equals + 1);
	}
	eos_json_close(json, '}');
	eos_json_close(json, '}');
}

/* In JSON, which is YAML. */
static void put_manifest(struct eos_buf *buf, const struct func_manifest *manifest)
{
	struct eos_json json = eos_json_begin(buf);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "chain", manifest->name);
	eos_json_text(&json, "tenant", manifest->tenant);
	eos_json_text(&json, "isolation",
		      manifest->isolation == FUNC_ISOLATION_TENANT ? "tenant" : "client");
	put_endpoint(&json, &manifest->triggers[0]);
	eos_json_open(&json, "limits", '{');
	eos_json_u64(&json, "memory", manifest->memory_bytes);
	eos_json_u64(&json, "stack", manifest->stack_bytes);
	put_duration(&json, "timeout", manifest->timeout_ns);
	eos_json_close(&json, '}');
	eos_json_open(&json, "stages", '[');
	put_stage(&json, manifest);
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
}

/* --- serving --- */

void edged_chains_lock(struct edged_chains *chains)
{
	pthread_mutex_lock(&chains->lock);
}

void edged_chains_unlock(struct edged_chains *chains)
{
	pthread_mutex_unlock(&chains->lock);
}

int edged_chains_serve_locked(struct edged_chains *chains, const struct func_manifest *manifest,
			      const struct image *image, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	if (chains == NULL)
		return eos_why(why, -ENOSYS,
			       "%s: has a udp or tcp trigger, but the node has no data plane: its "
			       "configuration needs the key plane",
			       manifest->name);
	if (edged_chains_is_kept(chains, manifest->name))
		return eos_why(
			why, -EEXIST,
			"there is a chain named \"%s\": remove it (edgeos chain rm), or give "
			"the function another name",
			manifest->name);
	put_manifest(&text, manifest);
	if (eos_buf_failed(&text))
		return eos_why(why, -ENOMEM, "no memory");
	int fd = image_fd(image);
	return plane_client_apply(chains->client, manifest->name, text.data, text.len, &fd, 1, why);
}

void edged_chains_unserve_locked(struct edged_chains *chains, const char *name)
{
	struct eos_why why = {""};
	int err = plane_client_remove(chains->client, name, &why);
	/* One that does not run, or is to be started anew, gets what is registered only. */
	if (err < 0 && err != -EAGAIN && err != -ETIMEDOUT && err != -ECANCELED)
		eos_log(EOS_LOG_ERROR, "edged", "event=chain_not_removed chain=%s why=\"%s\"", name,
			why.text);
}

/* --- again --- */

struct served {
	struct func **funcs;
	size_t count, capacity;
	bool failed;
};

static void note(void *ctx, struct func *func)
{
	struct served *served = ctx;
	if (!func->manifest->is_packet || served->failed)
		return;
	if (served->count == served->capacity) {
		size_t capacity = served->capacity == 0 ? 16 : 2 * served->capacity;
		struct func **funcs = reallocarray(served->funcs, capacity, sizeof(struct func *));
		served->failed = funcs == NULL;
		if (served->failed)
			return;
		served->funcs = funcs;
		served->capacity = capacity;
	}
	served->funcs[served->count++] = func_ref(func);
}

static void serve_again(struct edged_chains *chains, const struct func *func)
{
	struct eos_why why = {""};
	struct image *image = NULL;
	int err = edged_open_image(chains->edged, func, &image, &why);
	if (err == 0)
		err = edged_chains_serve_locked(chains, func->manifest, image, &why);
	image_close(image);
	if (err < 0)
		edged_chains_log(func->manifest->name,
				 why.text[0] != '\0' ? why.text : strerror(-err));
}

void edged_chains_serve_all_locked(struct edged_chains *chains)
{
	struct served served = {.count = 0};
	/* The registry is locked while it is looked at. */
	func_registry_each(chains->edged->registry, note, &served);
	if (served.failed)
		edged_chains_log("*", "no memory for the list of functions");
	for (size_t i = 0; i < served.count; i++) {
		serve_again(chains, served.funcs[i]);
		func_unref(served.funcs[i]);
	}
	free(served.funcs);
}

/* --- names --- */

bool edged_chains_is_function(const struct edged_chains *chains, const char *name)
{
	struct func *func = func_registry_get(chains->edged->registry, name);
	bool is_packet = func != NULL && func->manifest->is_packet;
	func_unref(func);
	return is_packet;
}

int edged_chains_check_name_locked(const struct edged_chains *chains, const char *name,
				   struct eos_why *why)
{
	return edged_chains_is_function(chains, name)
		       ? eos_why(why, -EEXIST,
				 "the chain \"%s\" is the function's of that name: change it with "
				 "edgeos deploy or edgeos function rm",
				 name)
		       : 0;
}
