#include "edged/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/node.h"
#include "base/str.h"
#include "plane/plane_config.h"
#include "router/router.h"
#include "store/store.h"

#define CONFIG_BYTES_MAX (1u << 20)
#define LIFECYCLE_NS_MAX (UINT64_C(30) * 86400 * EOS_NS_PER_S)
#define SCRUB_NS_MAX	 (UINT64_C(366) * 86400 * EOS_NS_PER_S)
#define SCRUB_RATE_MAX	 (UINT64_C(16) << 30)

void edged_config_init(struct edged_config *config)
{
	*config = (struct edged_config){
		.log_level = EOS_LOG_INFO,
		.s3 = {.listen = {.address = "127.0.0.1", .port = 9000},
		       .connections_max = 256,
		       .region = "us-east-1",
		       .domain = "localhost",
		       .lifecycle_interval_ns = 3600 * EOS_NS_PER_S,
		       .lifecycle_day_ns = 86400 * EOS_NS_PER_S},
		.functions = {.listen = {.address = "127.0.0.1", .port = 9800},
			      .connections_max = 1024},
		.store = {.scrub_rate = UINT64_C(4) << 20,
			  .scrub_interval_ns = UINT64_C(7) * 86400 * EOS_NS_PER_S},
		.cell = link_config_default,
	};
	func_tenants_init(&config->tenants);
}

int edged_parse_listen(const char *text, struct edged_listen *ret_listen)
{
	struct edged_listen listen = {0};
	struct in6_addr parsed;
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (colon == NULL || eos_parse_u64(colon + 1, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	size_t len = (size_t)(colon - text);
	int family = AF_INET;
	if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
		family = AF_INET6;
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(listen.address))
		return -EINVAL;
	memcpy(listen.address, text, len);
	if (inet_pton(family, listen.address, &parsed) != 1)
		return -EINVAL;
	listen.port = (uint16_t)port;
	*ret_listen = listen;
	return 0;
}

static int decode_listen(const struct eos_node *map, struct edged_listen *listen,
			 struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, "listen", &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (edged_parse_listen(text, listen) < 0)
		return eos_node_fail(eos_node_get(map, "listen"), why,
				     "listen: \"%s\" is not ADDRESS:PORT, as in 127.0.0.1:9000 or "
				     "[::1]:9000",
				     text);
	return 0;
}

static int decode_text(const struct eos_node *map, const char *key, char *out, size_t size,
		       struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (text[0] == '\0' || eos_str_copy(out, size, text) < 0)
		return eos_node_fail(eos_node_get(map, key), why, "%s: empty or too long", key);
	return 0;
}

static int decode_connections(const struct eos_node *map, unsigned *ret_max, struct eos_why *why)
{
	uint64_t value = *ret_max;
	int err = eos_node_get_u64(map, "connections", 1, 65536, &value, why);
	if (err == 0)
		*ret_max = (unsigned)value;
	return err;
}

static int decode_s3(const struct eos_node *map, struct edged_config *config, struct eos_why *why)
{
	static const char *const keys[] = {"listen", "connections",	   "region",
					   "domain", "lifecycle_interval", "lifecycle_day",
					   NULL};
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = decode_listen(map, &config->s3.listen, why);
	if (err == 0)
		err = decode_connections(map, &config->s3.connections_max, why);
	if (err == 0)
		err = decode_text(map, "region", config->s3.region, sizeof(config->s3.region), why);
	if (err == 0)
		err = decode_text(map, "domain", config->s3.domain, sizeof(config->s3.domain), why);
	if (err == 0)
		err = eos_node_get_duration(map, "lifecycle_interval", EOS_NS_PER_S / 10,
					    LIFECYCLE_NS_MAX, &config->s3.lifecycle_interval_ns,
					    why);
	if (err == 0)
		err = eos_node_get_duration(map, "lifecycle_day", EOS_NS_PER_S / 10,
					    LIFECYCLE_NS_MAX, &config->s3.lifecycle_day_ns, why);
	return err;
}

static int decode_tls(const struct eos_node *map, struct edged_config *config, struct eos_why *why)
{
	static const char *const keys[] = {"certificate", "key", NULL};
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = decode_text(map, "certificate", config->tls.certificate,
				  sizeof(config->tls.certificate), why);
	if (err == 0)
		err = decode_text(map, "key", config->tls.key, sizeof(config->tls.key), why);
	if (err == 0 && (config->tls.certificate[0] == '\0') != (config->tls.key[0] == '\0'))
		err = eos_node_fail(map, why, "tls: certificate and key go together");
	return err;
}

static int decode_store(const struct eos_node *map, struct edged_config *config,
			struct eos_why *why)
{
	static const char *const keys[] = {"scrub_rate", "scrub_interval", "key", NULL};
	char *key = config->store.key;
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = eos_node_get_size(map, "scrub_rate", 0, SCRUB_RATE_MAX,
					&config->store.scrub_rate, why);
	if (err == 0)
		err = eos_node_get_duration(map, "scrub_interval", EOS_NS_PER_S, SCRUB_NS_MAX,
					    &config->store.scrub_interval_ns, why);
	if (err == 0 && config->store.scrub_rate > 0 &&
	    config->store.scrub_rate < STORE_SCRUB_RATE_MIN)
		err = eos_node_fail(eos_node_get(map, "scrub_rate"), why,
				    "scrub_rate: 0 or at least 64KiB");
	if (err == 0)
		err = decode_text(map, "key", key, sizeof(config->store.key), why);
	/* The node changes its working directory. */
	if (err == 0 && key[0] != '\0' && key[0] != '/')
		err = eos_node_fail(eos_node_get(map, "key"), why,
				    "key: must be an absolute path, not \"%s\"", key);
	return err;
}

static int decode_functions(const struct eos_node *map, struct edged_config *config,
			    struct eos_why *why)
{
	static const char *const keys[] = {"listen", "connections", NULL};
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = decode_listen(map, &config->functions.listen, why);
	if (err == 0)
		err = decode_connections(map, &config->functions.connections_max, why);
	return err;
}

static int decode_policy(const struct eos_node *map, bool *ret_is_edf, struct eos_why *why)
{
	const char *policy = "priority";
	int err = eos_node_get_text(map, "policy", &policy, why);
	if (err < 0)
		return err;
	if (strcmp(policy, "priority") != 0 && strcmp(policy, "edf") != 0)
		return eos_node_fail(eos_node_get(map, "policy"), why,
				     "policy: must be priority or edf, not \"%.40s\"", policy);
	*ret_is_edf = strcmp(policy, "edf") == 0;
	return 0;
}

static int decode_cell(const struct eos_node *map, struct link_config *cell, struct eos_why *why)
{
	uint64_t fwps_max = cell->fwps_max;
	int err = eos_node_get_u64(map, "fwps_max", 1, LINK_FWPS_MAX, &fwps_max, why);
	uint64_t high = EOS_MIN((uint64_t)cell->pool_high, fwps_max);
	if (err == 0)
		err = eos_node_get_u64(map, "pool_high", 1, fwps_max, &high, why);
	uint64_t low = EOS_MIN((uint64_t)cell->pool_low, high);
	if (err == 0)
		err = eos_node_get_u64(map, "pool_low", 0, high, &low, why);
	if (err == 0)
		err = eos_node_get_duration(map, "quantum", LINK_QUANTUM_NS_MIN,
					    LINK_QUANTUM_NS_MAX, &cell->quantum_ns, why);
	if (err == 0)
		err = eos_node_get_duration(map, "init_timeout", LINK_INIT_TIMEOUT_NS_MIN,
					    LINK_INIT_TIMEOUT_NS_MAX, &cell->init_timeout_ns, why);
	if (err == 0)
		err = decode_policy(map, &cell->is_edf, why);
	cell->fwps_max = (uint32_t)fwps_max;
	cell->pool_low = (uint32_t)low;
	cell->pool_high = (uint32_t)high;
	return err;
}

/* How many there are and what one is. */
static int decode_cells(const struct eos_node *map, struct edged_config *config,
			struct eos_why *why)
{
	static const char *const keys[] = {"cells",   "fwps_max", "pool_low",	  "pool_high",
					   "quantum", "policy",	  "init_timeout", NULL};
	uint64_t cells = config->cells;
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = eos_node_get_u64(map, "cells", 1, ROUTER_CELLS_MAX, &cells, why);
	config->cells = (unsigned)cells;
	return err < 0 ? err : decode_cell(map, &config->cell, why);
}

/* Checked here, so that mistakes are told before anything starts; used by edge-plane. */
static int decode_plane(const struct eos_node *map, struct edged_config *config,
			struct eos_why *why)
{
	struct plane_config *plane = NULL;
	if (map == NULL)
		return 0;
	config->has_plane = true;
	plane = malloc(sizeof(*plane));
	if (plane == NULL)
		return -ENOMEM;
	plane_config_init(plane);
	int err = plane_config_decode(map, plane, why);
	free(plane);
	return err;
}

static int decode(const struct eos_node *root, struct edged_config *config, struct eos_why *why)
{
	static const char *const keys[] = {"log",  "s3",      "store", "functions", "tls",
					   "cell", "tenants", "plane", NULL};
	int err = eos_node_check_keys(root, keys, why);
	const char *log = NULL;
	if (err == 0)
		err = eos_node_get_text(root, "log", &log, why);
	if (err == 0 && log != NULL && eos_log_parse_level(log, &config->log_level) < 0)
		err = eos_node_fail(eos_node_get(root, "log"), why,
				    "log: \"%s\" is not error, warn, info or debug", log);
	const struct eos_node *s3 = eos_node_get(root, "s3");
	if (err == 0 && s3 != NULL)
		err = decode_s3(s3, config, why);
	const struct eos_node *functions = eos_node_get(root, "functions");
	if (err == 0 && functions != NULL)
		err = decode_functions(functions, config, why);
	const struct eos_node *tls = eos_node_get(root, "tls");
	if (err == 0 && tls != NULL)
		err = decode_tls(tls, config, why);
	const struct eos_node *store = eos_node_get(root, "store");
	if (err == 0 && store != NULL)
		err = decode_store(store, config, why);
	const struct eos_node *cell = eos_node_get(root, "cell");
	if (err == 0 && cell != NULL)
		err = decode_cells(cell, config, why);
	if (err == 0)
		err = decode_plane(eos_node_get(root, "plane"), config, why);
	if (err == 0)
		err = func_tenants_decode(eos_node_get(root, "tenants"), &config->tenants, why);
	return err;
}

int edged_config_load(struct edged_config *config, const char *path, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	int err = eos_read_file(AT_FDCWD, path, CONFIG_BYTES_MAX, &text);
	if (err < 0)
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	struct eos_doc *doc;
	err = eos_doc_parse_yaml(path, text.data, text.len, &doc, why);
	if (err < 0)
		return err;
	struct edged_config decoded = *config;
	err = decode(eos_doc_root(doc), &decoded, why);
	eos_doc_free(doc);
	if (err < 0)
		return err;
	eos_buf_fini(&config->text);
	*config = decoded;
	if (config->has_plane) {
		config->text = text;
		eos_buf_init(&text);
	}
	return 0;
}
