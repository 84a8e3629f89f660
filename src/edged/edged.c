/*
 * main() of edged, the node. `edgeos up` becomes this program.
 */
#include "edged/edged.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"

#define ARENAS_MAX	 4
#define MAPPED_BYTES_MIN (2 << 20)

static int fail(const struct eos_why *why)
{
	fprintf(stderr, "edgeos: %s\n", why->text);
	return 1;
}

/* Descriptors are connections, readers and uploads; the soft limit is often 1,024. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void set_up_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * glibc gives each of many threads an arena of its own, which keeps what was freed in it, and maps
 * and unmaps every larger buffer: a node for small machines has a few arenas and reuses buffers.
 */
static void set_up_memory(void)
{
	/* Fixed thresholds: by default they follow what was freed last. */
	(void)mallopt(M_ARENA_MAX, ARENAS_MAX);
	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
	(void)mallopt(M_TRIM_THRESHOLD, MAPPED_BYTES_MIN);
}

int main(int argc, char **argv)
{
	static struct edged edged;
	struct eos_why why = {""};
	const char *config_path = NULL;
	set_up_memory();
	if (eos_fill_streams() < 0)
		return 1;
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--data") == 0) {
			edged.data_dir = argv[i + 1];
		} else if (i + 1 < argc && strcmp(argv[i], "--config") == 0) {
			config_path = argv[i + 1];
		} else {
			fprintf(stderr,
				"edged: \"%s\": wants --data DIR [--config FILE]; people "
				"use `edgeos up`\n",
				argv[i]);
			return 2;
		}
	}
	if (edged.data_dir == NULL) {
		fprintf(stderr, "edged: --data DIR is missing; people use `edgeos up`\n");
		return 2;
	}
	edged_config_init(&edged.config);
	if (config_path != NULL && edged_config_load(&edged.config, config_path, &why) < 0)
		return fail(&why);
	if (eos_fault_init(&why) < 0)
		return fail(&why);
	eos_log_set_level(edged.config.log_level);
	raise_descriptor_limit();
	set_up_signals();
	if (edged_start(&edged, &why) < 0)
		return fail(&why);
	edged_run(&edged);
	edged_stop(&edged);
	return 0;
}
