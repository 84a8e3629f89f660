/*
 * The arguments of `edgeos run`. Options end at the first operand, which is the program: what
 * comes behind it is the program's own, however it looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cell/run.h"
#include "fwp/fwp.h"

#define TIMEOUT_NS_MAX (UINT64_C(10) * 365 * 24 * 3600 * 1000000000)

static int add_environment(struct cell_run_config *config, const char *value, struct eos_why *why)
{
	const char *equals = strchr(value, '=');
	if (equals == NULL || equals == value)
		return eos_why(why, -EINVAL, "-e: \"%s\" is not NAME=VALUE", value);
	/* A later one replaces an earlier one of the same name. */
	size_t name_len = (size_t)(equals - value) + 1;
	for (size_t i = 0; i < config->environment_count; i++) {
		if (strncmp(config->environment[i], value, name_len) != 0)
			continue;
		config->environment[i] = value;
		return 0;
	}
	config->environment[config->environment_count++] = value;
	return 0;
}

static int add_dir(struct cell_run_config *config, const char *value, struct eos_why *why)
{
	struct cell_run_dir dir = {0};
	const char *guest = strstr(value, "::");
	const char *mode = guest != NULL ? strstr(guest + 2, "::") : NULL;
	size_t host_len = guest != NULL ? (size_t)(guest - value) : strlen(value);
	if (mode != NULL && strcmp(mode, "::ro") != 0)
		return eos_why(why, -EINVAL, "--dir: \"%s\" ends in neither ::GUEST nor ::ro",
			       value);
	dir.is_read_only = mode != NULL;
	dir.host = strndup(value, host_len);
	if (guest == NULL)
		dir.guest = strdup(value);
	else if (mode == NULL)
		dir.guest = strdup(guest + 2);
	else
		dir.guest = strndup(guest + 2, (size_t)(mode - guest) - 2);
	int err = 0;
	if (dir.host == NULL || dir.guest == NULL)
		err = eos_why(why, -ENOMEM, "out of memory");
	else if (dir.host[0] == '\0' || dir.guest[0] == '\0')
		err = eos_why(why, -EINVAL, "--dir: \"%s\" is not HOST::GUEST", value);
	if (err < 0) {
		free(dir.host);
		free(dir.guest);
		return err;
	}
	config->dirs[config->dirs_count++] = dir;
	return 0;
}

static int set_memory(struct cell_run_config *config, const char *value, struct eos_why *why)
{
	const uint64_t max = (uint64_t)FWP_MEMORY_PAGES_MAX * FWP_PAGE_SIZE;
	uint64_t bytes;
	if (eos_parse_size(value, &bytes) < 0)
		return eos_why(why, -EINVAL, "--memory: \"%s\" is not a size, such as 64MiB",
			       value);
	if (bytes < FWP_PAGE_SIZE || bytes > max)
		return eos_why(why, -EINVAL, "--memory: %s is not between 64KiB and 4194240KiB",
			       value);
	config->memory_bytes = bytes;
	return 0;
}

static int set_timeout(struct cell_run_config *config, const char *value, struct eos_why *why)
{
	uint64_t ns;
	if (eos_parse_duration(value, &ns) < 0 || ns > TIMEOUT_NS_MAX)
		return eos_why(why, -EINVAL, "--timeout: \"%s\" is not a time, such as 500ms or 2s",
			       value);
	config->timeout_ns = ns;
	return 0;
}

static const struct option {
	const char *name;
	int (*take)(struct cell_run_config *config, const char *value, struct eos_why *why);
} options[] = {
	{"-e", add_environment},  {"--env", add_environment}, {"--dir", add_dir},
	{"--memory", set_memory}, {"--timeout", set_timeout},
};

/* The option that ARG is, and where its value starts if that is in ARG ("--dir=x"). */
static const struct option *find_option(const char *arg, const char **ret_value)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(options); i++) {
		size_t len = strlen(options[i].name);
		if (strncmp(arg, options[i].name, len) != 0)
			continue;
		*ret_value = NULL;
		if (arg[len] == '\0')
			return &options[i];
		*ret_value = arg + len + 1;
		if (arg[len] == '=' && arg[1] == '-')
			return &options[i];
	}
	return NULL;
}

/* Takes the options off; the index of the first operand, or negative. */
static int parse_options(int argc, char **argv, struct cell_run_config *config, struct eos_why *why)
{
	int i = 0;
	while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
		const char *arg = argv[i++], *value;
		if (strcmp(arg, "--") == 0)
			break;
		const struct option *option = find_option(arg, &value);
		if (option == NULL)
			return eos_why(why, -EINVAL, "run: no option %s", arg);
		if (value == NULL && i == argc)
			return eos_why(why, -EINVAL, "%s: its value is missing", arg);
		if (value == NULL)
			value = argv[i++];
		int err = option->take(config, value, why);
		if (err < 0)
			return err;
	}
	return i;
}

int cell_run_parse_args(int argc, char **argv, struct cell_run_config *ret_config,
			struct eos_why *why)
{
	size_t count = (size_t)argc + 1;
	struct cell_run_config config = {
		.args = calloc(count, sizeof(*config.args)),
		.environment = calloc(count, sizeof(*config.environment)),
		.dirs = calloc(count, sizeof(*config.dirs)),
	};
	int first;
	if (config.args == NULL || config.environment == NULL || config.dirs == NULL)
		first = eos_why(why, -ENOMEM, "out of memory");
	else
		first = parse_options(argc, argv, &config, why);
	if (first == argc)
		first = eos_why(why, -EINVAL, "run: which program? give a FILE.wasm");
	if (first < 0) {
		cell_run_config_fini(&config);
		return first;
	}
	config.file = argv[first];
	for (int i = first; i < argc; i++)
		config.args[config.args_count++] = argv[i];
	*ret_config = config;
	return 0;
}

void cell_run_config_fini(struct cell_run_config *config)
{
	for (size_t i = 0; i < config->dirs_count; i++) {
		free(config->dirs[i].host);
		free(config->dirs[i].guest);
	}
	free(config->dirs);
	free(config->environment);
	free(config->args);
	*config = (struct cell_run_config){0};
}
