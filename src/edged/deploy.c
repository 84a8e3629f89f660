/*
 * Deploying a function and running it on request: what the control API asks of the node.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "edged/edged.h"

struct aot_config edged_aot_config(const struct edged *edged)
{
	return (struct aot_config){
		.cache_dir_fd = edged->images_fd,
		.work_dir = "work",
		.key = &edged->key,
		.cancel_fd = edged->stop_fd,
	};
}

void edged_deploy_clean(struct edged *edged)
{
	const struct aot_config config = edged_aot_config(edged);
	aot_clean(&config);
}

int edged_open_image(void *ctx, const struct func *func, struct image **ret_image,
		     struct eos_why *why)
{
	struct edged *edged = ctx;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	int err = func_registry_read_module(edged->registry, func, &module);
	if (err < 0)
		return eos_why(why, err, "%s: reading its module: %s", func->manifest->name,
			       strerror(-err));
	const struct aot_config config = edged_aot_config(edged);
	return aot_build(&config, func->manifest->name, module.data, module.len, ret_image, why);
}

/* --- deploying --- */

static int decode(const char *name, const char *source, const char *text, size_t len,
		  struct func_manifest **ret_manifest, struct eos_why *why)
{
	struct eos_doc *doc;
	struct func_manifest *decoded = NULL;
	int err = eos_doc_parse_yaml(source, text, len, &doc, why);
	if (err < 0)
		return err;
	err = func_manifest_decode(eos_doc_root(doc), &decoded, why);
	eos_doc_free(doc);
	if (err == 0 && strcmp(decoded->name, name) != 0) {
		err = eos_why(why, -EINVAL, "%s: its function is \"%s\", not \"%s\"", source,
			      decoded->name, name);
		func_manifest_free(decoded);
	}
	if (err == 0)
		*ret_manifest = decoded;
	return err;
}

static int build(struct edged *edged, const struct func_manifest *manifest, const void *module,
		 size_t module_len, struct image **ret_image, struct eos_why *why)
{
	const struct aot_config config = edged_aot_config(edged);
	const char *slash = strrchr(manifest->image, '/');
	struct image *image = NULL;
	int err = aot_build(&config, slash == NULL ? manifest->image : slash + 1, module,
			    module_len, &image, why);
	/* The data plane checks those that it runs, when it gets them. */
	if (err == 0 && !manifest->is_packet)
		err = router_check_image(edged->router, image, manifest->isolation, why);
	if (err < 0 && why != NULL && !eos_str_starts_with(why->text, manifest->image))
		eos_why_prefix(why, "%s", manifest->image);
	if (err < 0)
		image_close(image);
	else
		*ret_image = image;
	return err;
}

/* After an error, or a removal: the data plane has the version OLD (NULL: none) again. */
static void restore_locked(struct edged *edged, const char *name, const struct func *old)
{
	struct eos_why why = {""};
	struct image *image = NULL;
	if (old == NULL || !old->manifest->is_packet) {
		edged_chains_unserve_locked(edged->chains, name);
		return;
	}
	int err = edged_open_image(edged, old, &image, &why);
	if (err == 0)
		err = edged_chains_serve_locked(edged->chains, old->manifest, image, &why);
	image_close(image);
	if (err < 0)
		eos_log(EOS_LOG_ERROR, "edged", "event=chain_not_restored chain=%s why=\"%s\"",
			name, why.text);
}

struct deploying {
	const char *source, *manifest;
	size_t manifest_len;
	const void *module;
	size_t module_len;
	const struct func_manifest *decoded;
	const struct image *image;
};

/* Under deploy_lock. */
static int put(struct edged *edged, const struct deploying *new, struct func **ret_func,
	       struct eos_why *why)
{
	const char *name = new->decoded->name;
	struct func *old = func_registry_get(edged->registry, name);
	bool was_packet = old != NULL && old->manifest->is_packet;
	bool is_packet = new->decoded->is_packet;
	bool has_chain = edged->chains != NULL && (was_packet || is_packet);
	int err = 0;
	if (has_chain)
		edged_chains_lock(edged->chains);
	if (is_packet)
		err = edged_chains_serve_locked(edged->chains, new->decoded, new->image, why);
	if (err == 0) {
		err = func_registry_put(edged->registry, new->source, new->manifest,
					new->manifest_len, new->module, new->module_len, ret_func,
					why);
		if (has_chain && err < 0 && is_packet)
			restore_locked(edged, name, old);
		else if (has_chain && err == 0 && !is_packet)
			edged_chains_unserve_locked(edged->chains, name);
	}
	if (has_chain)
		edged_chains_unlock(edged->chains);
	func_unref(old);
	return err;
}

/* Everything that can be wrong is found before anything is stored. */
int edged_deploy(void *ctx, const char *name, const char *source, const char *manifest,
		 size_t manifest_len, const void *module, size_t module_len, struct func **ret_func,
		 struct eos_why *why)
{
	struct edged *edged = ctx;
	struct func_manifest *decoded = NULL;
	struct image *image = NULL;
	int err = decode(name, source, manifest, manifest_len, &decoded, why);
	if (err < 0)
		return err;
	err = build(edged, decoded, module, module_len, &image, why);
	if (err == 0) {
		const struct deploying new = {.source = source,
					      .manifest = manifest,
					      .manifest_len = manifest_len,
					      .module = module,
					      .module_len = module_len,
					      .decoded = decoded,
					      .image = image};
		pthread_mutex_lock(&edged->deploy_lock);
		err = put(edged, &new, ret_func, why);
		pthread_mutex_unlock(&edged->deploy_lock);
	}
	image_close(image);
	func_manifest_free(decoded);
	return err;
}

int edged_remove(void *ctx, const char *name, struct eos_why *why)
{
	struct edged *edged = ctx;
	pthread_mutex_lock(&edged->deploy_lock);
	struct func *old = func_registry_get(edged->registry, name);
	bool has_chain = edged->chains != NULL && old != NULL && old->manifest->is_packet;
	if (has_chain)
		edged_chains_lock(edged->chains);
	int err = func_registry_remove(edged->registry, name);
	if (err < 0)
		eos_why(why, err, "removing %s: %s", name, strerror(-err));
	else if (has_chain)
		edged_chains_unserve_locked(edged->chains, name);
	if (has_chain)
		edged_chains_unlock(edged->chains);
	func_unref(old);
	pthread_mutex_unlock(&edged->deploy_lock);
	return err;
}

/* --- invoking --- */

/* A call that a thread of the control server waits for. */
struct waiting_call {
	struct edged *edged;
	struct func_call *call;
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	bool is_done;	/* guarded by lock */
	int submit_err; /* written before is_done */
	enum func_outcome outcome;
	uint32_t exit_code;
	char text[sizeof(((struct func_call *)0)->text)];
	struct eos_buf output; /* moved out of the call */
};

static void finish_waiting(struct waiting_call *waiting)
{
	pthread_mutex_lock(&waiting->lock);
	waiting->is_done = true;
	pthread_cond_signal(&waiting->done_cond);
	pthread_mutex_unlock(&waiting->lock);
}

static void on_call_done(void *ctx, struct func_call *call)
{
	struct waiting_call *waiting = ctx;
	waiting->outcome = call->outcome;
	waiting->exit_code = call->exit_code;
	memcpy(waiting->text, call->text, sizeof(waiting->text));
	waiting->output = call->output;
	call->output = (struct eos_buf){0};
	finish_waiting(waiting);
}

static void submit_on_loop(void *ctx)
{
	struct waiting_call *waiting = ctx;
	waiting->submit_err = func_queue_submit(waiting->edged->queue, waiting->call);
	if (waiting->submit_err < 0) {
		func_call_free(waiting->call);
		finish_waiting(waiting);
	}
}

static int make_call(struct waiting_call *waiting, struct func *func, const void *input,
		     size_t input_len)
{
	int err = func_call_new(func, &waiting->call);
	if (err < 0)
		return err;
	err = eos_buf_append(&waiting->call->input, input, input_len);
	for (unsigned i = 0; err == 0 && i < func->manifest->config_count; i++)
		err = eos_buf_append(&waiting->call->environment, func->manifest->config[i],
				     strlen(func->manifest->config[i]) + 1);
	waiting->call->on_done = on_call_done;
	waiting->call->ctx = waiting;
	if (err == 0)
		err = eos_loop_post(waiting->edged->loop, submit_on_loop, waiting);
	if (err < 0)
		func_call_free(waiting->call);
	return err;
}

static int outcome_error(const struct waiting_call *waiting, const char *name, struct eos_why *why)
{
	if (waiting->submit_err == -EAGAIN)
		return eos_why(why, -EAGAIN, "%s: too many calls are waiting", name);
	if (waiting->submit_err < 0)
		return eos_why(why, waiting->submit_err, "%s: %s", name,
			       waiting->submit_err == -ESHUTDOWN ? "the node is stopping"
								 : strerror(-waiting->submit_err));
	switch (waiting->outcome) {
	case FUNC_OK:
		return 0;
	case FUNC_EXIT:
		return eos_why(why, -ECANCELED, "%s: exit code %u", name, waiting->exit_code);
	case FUNC_TIMEOUT:
		return eos_why(why, -ETIMEDOUT, "%s: %s", name, waiting->text);
	default:
		return eos_why(why, -ECANCELED, "%s: %s", name, waiting->text);
	}
}

int edged_invoke(void *ctx, const char *name, const void *input, size_t input_len,
		 struct eos_buf *output, struct eos_why *why)
{
	struct edged *edged = ctx;
	struct func *func = func_registry_get(edged->registry, name);
	int err;
	if (func == NULL)
		return eos_why(why, -ENOENT, "no function named \"%s\"", name);
	if (func->manifest->is_packet) {
		const struct func_trigger *trigger = &func->manifest->triggers[0];
		err = eos_why(why, -EINVAL, "%s: is a packet function: ask it by %s, %s port %u",
			      name, trigger->kind == FUNC_TRIGGER_TCP ? "TCP" : "UDP",
			      trigger->address, (unsigned)trigger->port);
		func_unref(func);
		return err;
	}
	struct waiting_call waiting = {.edged = edged};
	pthread_mutex_init(&waiting.lock, NULL);
	pthread_cond_init(&waiting.done_cond, NULL);
	err = make_call(&waiting, func, input, input_len);
	func_unref(func);
	if (err < 0) {
		eos_why(why, err, "%s: %s", name, strerror(-err));
	} else {
		pthread_mutex_lock(&waiting.lock);
		while (!waiting.is_done)
			pthread_cond_wait(&waiting.done_cond, &waiting.lock);
		pthread_mutex_unlock(&waiting.lock);
		err = outcome_error(&waiting, name, why);
		if (err == 0)
			err = eos_buf_append(output, waiting.output.data, waiting.output.len);
	}
	eos_buf_fini(&waiting.output);
	pthread_cond_destroy(&waiting.done_cond);
	pthread_mutex_destroy(&waiting.lock);
	return err;
}
