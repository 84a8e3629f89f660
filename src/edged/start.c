/*
 * Wiring: what is made in which order, and unmade in the reverse one.
 *
 * Order of the start: data directory and keys → data plane (which needs rights) → sandbox (before
 * the first thread) → store → registry → loop, queue, cells → triggers → servers. The servers come
 * last, so that nobody is answered by half a node; they go first at the stop.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "edged/credentials.h"
#include "edged/edged.h"
#include "sandbox/sandbox.h"

#define READY_POLL_MS	   2
#define FUNCTIONS_BODY_MAX (8u << 20)
#define PEM_BYTES_MAX	   (256u << 10)

static int open_directory(const char *name, int *ret_fd, struct eos_why *why)
{
	if (mkdir(name, 0700) < 0 && errno != EEXIST)
		return eos_why(why, -errno, "%s: %s", name, strerror(errno));
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return eos_why(why, -errno, "%s: %s", name, strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* From here on the process works inside the data directory: all paths are relative to it. */
static int enter_data_dir(struct edged *edged, struct eos_why *why)
{
	int err = eos_mkdir_p(edged->data_dir, 0700);
	if (err == 0 && chdir(edged->data_dir) < 0)
		err = -errno;
	if (err < 0)
		return eos_why(why, err, "data directory %s: %s", edged->data_dir, strerror(-err));
	int work_fd;
	err = open_directory(".", &edged->data_fd, why);
	if (err == 0)
		err = open_directory("images", &edged->images_fd, why);
	if (err == 0)
		err = open_directory("work", &work_fd, why);
	if (err < 0) {
		eos_why_prefix(why, "data directory %s", edged->data_dir);
		return err;
	}
	eos_close(work_fd);
	return 0;
}

static int read_pem(const char *path, struct eos_buf *out, struct eos_why *why)
{
	int err = path[0] == '\0' ? 0 : eos_read_file(AT_FDCWD, path, PEM_BYTES_MAX, out);
	if (err == 0 && path[0] != '\0' && memchr(out->data, '\0', out->len) != NULL)
		err = -EINVAL;
	return err < 0 ? eos_why(why, err, "tls: %s: %s", path, strerror(-err)) : 0;
}

static int load_tls(struct edged *edged, struct eos_why *why)
{
	int err = read_pem(edged->config.tls.certificate, &edged->tls_certificate, why);
	return err < 0 ? err : read_pem(edged->config.tls.key, &edged->tls_key, why);
}

static int load_keys(struct edged *edged, struct eos_why *why)
{
	int err = image_key_load(edged->data_fd, "node.key", &edged->key, why);
	if (err == 0)
		err = edged_credentials_load(edged->data_fd, &edged->credentials,
					     &edged->has_new_credentials, why);
	if (err < 0)
		eos_why_prefix(why, "data directory %s", edged->data_dir);
	return err;
}

static int enter_sandbox(struct edged *edged, struct eos_why *why)
{
	char program_dir[4096];
	int err = eos_program_dir(program_dir, sizeof(program_dir));
	if (err == 0)
		err = eos_find_program("edge-cell", edged->cell_program,
				       sizeof(edged->cell_program));
	if (err < 0)
		return eos_why(why, err, "edge-cell: not found beside edged");
	char cell_dir[4096];
	memcpy(cell_dir, edged->cell_program, sizeof(cell_dir));
	char *slash = strrchr(cell_dir, '/');
	if (slash != NULL)
		*slash = '\0';
	/* The node key is made, and made anew, in its folder. */
	char key_dir[sizeof(edged->config.store.key)] = ".";
	if (edged->config.store.key[0] != '\0') {
		memcpy(key_dir, edged->config.store.key, sizeof(key_dir));
		slash = strrchr(key_dir, '/');
		slash[slash == key_dir] = '\0';
	}
	const struct sandbox_path paths[] = {
		{key_dir, SANDBOX_WRITE},	  {".", SANDBOX_WRITE},
		{program_dir, SANDBOX_READ_EXEC}, {cell_dir, SANDBOX_READ_EXEC},
		{"/usr", SANDBOX_READ_EXEC},	  {"/lib", SANDBOX_READ_EXEC},
		{"/lib64", SANDBOX_READ_EXEC},	  {"/bin", SANDBOX_READ_EXEC},
		{"/etc", SANDBOX_READ},		  {"/proc", SANDBOX_READ},
		{"/sys", SANDBOX_READ},		  {"/dev/null", SANDBOX_WRITE},
		{"/dev/urandom", SANDBOX_READ},
	};
	const struct sandbox_config config = {
		.profile = SANDBOX_PROFILE_NODE,
		.paths = paths,
		.paths_count = EOS_ARRAY_SIZE(paths),
		.keep_network = true,
	};
	struct sandbox_report report;
	err = sandbox_enter(&config, &report, why);
	if (err == 0 && !report.has_landlock)
		eos_log(EOS_LOG_WARN, "edged",
			"event=no_landlock effect=\"the node can reach all files of its user\"");
	return err;
}

static int find_credentials(void *ctx, const char *access_key, struct s3_credentials *ret)
{
	const struct edged *edged = ctx;
	struct tenant_key key;
	if (strcmp(access_key, edged->credentials.access_key) == 0) {
		*ret = edged->credentials;
		return 0;
	}
	int err = tenant_find_key(edged->tenants, access_key, &key, ret->tenant);
	if (err < 0)
		return err;
	memcpy(ret->access_key, key.access_key, sizeof(key.access_key));
	memcpy(ret->secret_key, key.secret_key, sizeof(key.secret_key));
	explicit_bzero(&key, sizeof(key));
	return 0;
}

static bool has_tenant(void *ctx, const char *tenant)
{
	const struct edged *edged = ctx;
	return tenant_exists(edged->tenants, tenant);
}

static int check_function(void *ctx, const char *function, const char *tenant, const char *bucket,
			  bool is_for_new)
{
	const struct edged *edged = ctx;
	struct func *func = func_registry_get(edged->registry, function);
	if (func == NULL)
		return -ENOENT;
	/* Nobody runs packet functions for an object. */
	int err = func->manifest->is_packet
			  ? -ENOENT
			  : func_manifest_check_rule(func->manifest, tenant, bucket, is_for_new);
	func_unref(func);
	return err;
}

static void bucket_deleted(void *ctx, const char *bucket)
{
	const struct edged *edged = ctx;
	s3_notifications_forget(edged->notifications, bucket);
}

static bool is_ready(void *ctx)
{
	const struct edged *edged = ctx;
	return router_is_ready(edged->router);
}

/* Blocks until the threads of these servers are gone; the loop still runs, for those that wait
 * for an answer from it. */
static void *stop_servers(void *ctx)
{
	struct edged *edged = ctx;
	edged->ctl_server = ctl_server_free(edged->ctl_server);
	edged->s3_server = s3_server_free(edged->s3_server);
	eos_loop_stop(edged->loop);
	return NULL;
}

/* A clean stop: nobody new comes in, calls under way end as refused, and when the last thread
 * that could wait for the loop is gone the loop ends. A second signal does not wait. */
static void on_signal(void *ctx)
{
	struct edged *edged = ctx;
	struct signalfd_siginfo info;
	if (read(edged->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (edged->is_stopping)
		_exit(1);
	edged->is_stopping = true;
	/* A compiler, or the data plane, would be waited for otherwise. */
	(void)eventfd_write(edged->stop_fd, 1);
	edged_chains_stop(edged->chains);
	eos_timer_disarm(edged->ready_timer);
	edged->functions_server = http_server_free(edged->functions_server);
	router_stop(edged->router);
	if (pthread_create(&edged->stopper, NULL, stop_servers, edged) != 0)
		_exit(1);
}

/* SIGINT and SIGTERM end the loop; the signals are blocked before any thread exists. */
static int watch_signals(struct edged *edged, struct eos_why *why)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	edged->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (edged->signal_fd < 0)
		return eos_why(why, -errno, "signalfd: %s", strerror(errno));
	int err = eos_watch_new(edged->loop, edged->signal_fd, on_signal, edged,
				&edged->signal_watch);
	return err < 0 ? eos_why(why, err, "watching signals: %s", strerror(-err)) : 0;
}

static void print_addresses(const struct edged *edged)
{
	char s3[128], functions[128];
	edged_format_url(s3, sizeof(s3), edged, &edged->config.s3.listen);
	edged_format_url(functions, sizeof(functions), edged, &edged->config.functions.listen);
	printf("S3         %s\n"
	       "functions  %s\n"
	       "data       %s\n",
	       s3, functions, edged->data_dir);
	if (edged->has_new_credentials)
		printf("access key %s\n"
		       "secret key %s\n"
		       "           (kept in %s/credentials)\n",
		       edged->credentials.access_key, edged->credentials.secret_key,
		       edged->data_dir);
}

static void poll_ready(void *ctx)
{
	struct edged *edged = ctx;
	if (!router_is_ready(edged->router)) {
		eos_timer_arm(edged->ready_timer, READY_POLL_MS);
		return;
	}
	puts("ready");
	fflush(stdout);
}

static int start_kernel(struct edged *edged, struct eos_why *why)
{
	const struct router_config config = {
		.cell = {.loop = edged->loop,
			 .store = edged->store,
			 .registry = edged->registry,
			 .queue = edged->queue,
			 .log = edged->log,
			 .cell_program = edged->cell_program,
			 .cell = edged->config.cell,
			 .image_public_key = edged->key.public_key,
			 .open_image = edged_open_image,
			 .ctx = edged},
		.cells = edged->config.cells,
	};
	return router_new(&config, &edged->router, why);
}

static int start_triggers(struct edged *edged, struct eos_why *why)
{
	const struct trigger_rules rules = {s3_notifications_match, edged->notifications};
	int err = trigger_http_new(edged->registry, edged->queue, edged->log, &ctl_public_handler,
				   &edged->ctl_ops, &edged->trigger_http);
	if (err == 0)
		err = trigger_object_new(edged->loop, edged->store, edged->registry, edged->queue,
					 edged->log, &rules, &edged->trigger_object);
	return err < 0 ? eos_why(why, err, "starting the triggers: %s", strerror(-err)) : 0;
}

static int start_servers(struct edged *edged, struct eos_why *why)
{
	const struct http_server_config functions = {
		.address = edged->config.functions.listen.address,
		.port = edged->config.functions.listen.port,
		.listen_fd = -1,
		.loop = edged->loop,
		.connections_max = edged->config.functions.connections_max,
		.idle_timeout_s = 60,
		.body_bytes_max = FUNCTIONS_BODY_MAX,
		.tls_certificate = edged->tls_certificate.data,
		.tls_key = edged->tls_key.data,
		.handler = &trigger_http_handler,
		.ctx = edged->trigger_http,
	};
	const struct s3_config s3 = {
		.address = edged->config.s3.listen.address,
		.port = edged->config.s3.listen.port,
		.region = edged->config.s3.region,
		.domain = edged->config.s3.domain,
		.connections_max = edged->config.s3.connections_max,
		.find_credentials = find_credentials,
		.has_tenant = has_tenant,
		.check_function = check_function,
		.notifications = edged->notifications,
		.lifecycle_interval_ms = edged->config.s3.lifecycle_interval_ns / EOS_NS_PER_MS,
		.lifecycle_day_ns = edged->config.s3.lifecycle_day_ns,
		.tls_certificate = edged->tls_certificate.data,
		.tls_key = edged->tls_key.data,
		.ctx = edged,
	};
	const struct ctl_config ctl = {
		.socket_path = "control.sock",
		.store = edged->store,
		.registry = edged->registry,
		.tenants = edged->tenants,
		.log = edged->log,
		.ops = &edged->ctl_ops,
	};
	int err = http_server_new(&functions, &edged->functions_server, why);
	if (err == 0)
		err = s3_server_new(&s3, edged->store, &edged->s3_server, why);
	if (err < 0)
		return err;
	/* Where port 0 was asked for, the one that was free; the control server's threads read
	 * them. */
	edged->config.functions.listen.port = http_server_port(edged->functions_server);
	edged->config.s3.listen.port = s3_server_port(edged->s3_server);
	return ctl_server_new(&ctl, &edged->ctl_server, why);
}

static int start_loop(struct edged *edged, struct eos_why *why)
{
	int err = eos_loop_new(&edged->loop);
	if (err == 0)
		err = func_log_new(&edged->log);
	if (err == 0)
		err = func_queue_new(&edged->queue);
	if (err == 0)
		err = eos_timer_new(edged->loop, poll_ready, edged, &edged->ready_timer);
	if (err < 0)
		return eos_why(why, err, "starting the loop: %s", strerror(-err));
	edged->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (edged->stop_fd < 0)
		return eos_why(why, -errno, "eventfd: %s", strerror(errno));
	func_queue_set_limits(edged->queue, &edged->config.tenants, edged->config.cell.fwps_max);
	return watch_signals(edged, why);
}

int edged_start(struct edged *edged, struct eos_why *why)
{
	edged->started_ns = eos_now_ns();
	pthread_mutex_init(&edged->deploy_lock, NULL);
	edged->data_fd = edged->images_fd = edged->signal_fd = edged->stop_fd = -1;
	edged->ctl_ops = (struct ctl_ops){
		.deploy = edged_deploy,
		.remove = edged_remove,
		.invoke = edged_invoke,
		.status = edged_put_status,
		.bucket_deleted = bucket_deleted,
		.metrics = edged_metrics,
		.is_ready = is_ready,
		.chain_apply = edged_chain_apply,
		.chain_remove = edged_chain_remove,
		.chain_state = edged_chain_state,
		.ctx = edged,
	};
	/* Before the sandbox and the data directory: the paths are the user's. */
	int err = load_tls(edged, why);
	if (err == 0)
		err = enter_data_dir(edged, why);
	if (err == 0)
		err = load_keys(edged, why);
	if (err == 0)
		err = edged_chains_new(edged, &edged->chains, why);
	if (err == 0)
		err = enter_sandbox(edged, why);
	if (err == 0) {
		const char *key = edged->config.store.key;
		const struct store_options options = {.key_path = key[0] != '\0' ? key : NULL};
		err = store_open_with("store", &options, &edged->store, why);
		if (err < 0)
			eos_why_prefix(why, "data directory %s", edged->data_dir);
	}
	if (err == 0) {
		err = store_scrub_set(edged->store, edged->config.store.scrub_rate,
				      edged->config.store.scrub_interval_ns);
		if (err < 0)
			eos_why(why, err, "the store's scrub: %s", strerror(-err));
	}
	/* The store's lock says that no other node works here. */
	if (err == 0)
		edged_deploy_clean(edged);
	if (err == 0)
		err = func_registry_open(edged->store, &edged->registry, why);
	if (err == 0)
		err = tenant_registry_open(edged->store, &edged->tenants, why);
	if (err == 0) {
		err = s3_notifications_open(edged->store, &edged->notifications);
		if (err < 0)
			eos_why(why, err, "notification configurations: %s", strerror(-err));
	}
	if (err == 0)
		err = start_loop(edged, why);
	if (err == 0)
		err = start_kernel(edged, why);
	if (err == 0)
		err = start_triggers(edged, why);
	if (err == 0)
		err = start_servers(edged, why);
	if (err == 0)
		err = edged_chains_start(edged->chains, why);
	if (err < 0) {
		edged_stop(edged);
		return err;
	}
	print_addresses(edged);
	poll_ready(edged);
	return 0;
}

void edged_run(struct edged *edged)
{
	eos_loop_run(edged->loop);
	pthread_join(edged->stopper, NULL);
}

void edged_stop(struct edged *edged)
{
	edged->ctl_server = ctl_server_free(edged->ctl_server);
	edged->s3_server = s3_server_free(edged->s3_server);
	edged->functions_server = http_server_free(edged->functions_server);
	edged->chains = edged_chains_free(edged->chains);
	edged->router = router_free(edged->router);
	edged->trigger_object = trigger_object_free(edged->trigger_object);
	edged->trigger_http = trigger_http_free(edged->trigger_http);
	edged->queue = func_queue_free(edged->queue);
	edged->signal_watch = eos_watch_free(edged->signal_watch);
	edged->ready_timer = eos_timer_free(edged->ready_timer);
	edged->loop = eos_loop_free(edged->loop);
	edged->notifications = s3_notifications_free(edged->notifications);
	edged->tenants = tenant_registry_free(edged->tenants);
	edged->registry = func_registry_free(edged->registry);
	edged->log = func_log_free(edged->log);
	edged->store = store_close(edged->store);
	if (edged->tls_key.data != NULL)
		explicit_bzero(edged->tls_key.data, edged->tls_key.len);
	eos_buf_fini(&edged->tls_key);
	eos_buf_fini(&edged->tls_certificate);
	eos_buf_fini(&edged->config.text);
	edged->stop_fd = eos_close(edged->stop_fd);
	edged->signal_fd = eos_close(edged->signal_fd);
	edged->images_fd = eos_close(edged->images_fd);
	edged->data_fd = eos_close(edged->data_fd);
	pthread_mutex_destroy(&edged->deploy_lock);
}
