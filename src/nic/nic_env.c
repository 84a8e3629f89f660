/*
 * DPDK's environment and the memory of frames.
 *
 * EAL is told to be modest: one logical core, which is the thread that makes it, floating over all
 * processors that it may use; no telemetry, no files shared with other processes, no look at PCI
 * where nobody wants a PCI device. Without hugepages it takes MEMORY_MIB of address space, of which
 * what is used is resident. It changes the thread's affinity, which is put back.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include "base/file.h"

#define MEMORY_MIB	  256u
#define MEMORY_MIB_MAX	  65536u
#define FRAMES		  16384u
#define FRAMES_MIN	  2048u
#define FRAMES_MAX	  (1u << 20)
#define FRAME_BYTES	  1600u
#define FRAME_BYTES_MIN	  256u
#define FRAMES_CACHE	  256u
#define ENVIRONMENT_BYTES (UINT64_C(64) << 20) /* DPDK's own, and rings of ports */
#define ARGS_MAX	  24u

static atomic_flag was_made = ATOMIC_FLAG_INIT;

struct args {
	char *argv[ARGS_MAX];
	int count;
	bool is_short; /* of memory */
	char cores[1024], memory[16], prefix[32];
};

/* Bytes of a buffer behind the headroom: as many as af_packet's rings give at once; and AF_XDP does
 * not take less than 2,048. */
static uint32_t frame_room(uint32_t frame_bytes)
{
	return EOS_ALIGN_UP(EOS_MAX(frame_bytes + NIC_TAILROOM, 2048u), NIC_PACKET_RING_STEP);
}

static int check_config(struct nic_config *config, struct eos_why *why)
{
	if (config->frames_max == 0)
		config->frames_max = FRAMES;
	if (config->frame_bytes == 0)
		config->frame_bytes = FRAME_BYTES;
	if (config->frames_max < FRAMES_MIN || config->frames_max > FRAMES_MAX)
		return eos_why(why, -EINVAL, "%u frames: there can be %u to %u", config->frames_max,
			       FRAMES_MIN, FRAMES_MAX);
	if (config->frame_bytes < FRAME_BYTES_MIN || config->frame_bytes > NIC_FRAME_MAX)
		return eos_why(why, -EINVAL, "frames of %u bytes: they can have %u to %u",
			       config->frame_bytes, FRAME_BYTES_MIN, NIC_FRAME_MAX);
	if (config->memory_mib > MEMORY_MIB_MAX)
		return eos_why(why, -EINVAL, "%u MiB for frames: %u are the most",
			       config->memory_mib, MEMORY_MIB_MAX);
	if (config->cores != NULL && (config->cores[0] == '\0' || strlen(config->cores) > 1000 ||
				      config->cores[strspn(config->cores, "0123456789,-")] != '\0'))
		return eos_why(why, -EINVAL,
			       "cores \"%.40s\": they are numbers, as \"1\", \"1,3\" or \"2-5\"",
			       config->cores);
	uint64_t bytes = (uint64_t)config->frames_max * (frame_room(config->frame_bytes) + 512);
	uint32_t mib = (uint32_t)((bytes + ENVIRONMENT_BYTES) >> 20);
	if (config->memory_mib == 0)
		config->memory_mib = EOS_MAX(mib, MEMORY_MIB);
	if (config->memory_mib < mib)
		return eos_why(why, -EINVAL, "%u MiB for frames: %u frames of %u bytes need %u",
			       config->memory_mib, config->frames_max, config->frame_bytes, mib);
	return 0;
}

static void add(struct args *args, const char *arg)
{
	/* EAL wants them writable, and moves them. They are as many as the calls below. */
	char *copy = strdup(arg);
	if (copy != NULL)
		args->argv[args->count++] = copy;
	else
		args->is_short = true;
}

/* "0@(0,2,3)": one logical core that floats over these processors. */
static void write_cores(const char *cores, const cpu_set_t *allowed, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "0@(");
	if (cores != NULL) {
		(void)snprintf(out + len, size - len, "%s)", cores);
		return;
	}
	const char *comma = "";
	for (unsigned i = 0; i < CPU_SETSIZE && len + 8 < size; i++) {
		if (CPU_ISSET(i, allowed)) {
			len += (size_t)snprintf(out + len, size - len, "%s%u", comma, i);
			comma = ",";
		}
	}
	(void)snprintf(out + len, size - len, ")");
}

static int make_args(const struct nic_config *config, const cpu_set_t *allowed, struct args *args)
{
	write_cores(config->cores, allowed, args->cores, sizeof(args->cores));
	(void)snprintf(args->memory, sizeof(args->memory), "%u", config->memory_mib);
	(void)snprintf(args->prefix, sizeof(args->prefix), "edgeos-%d", (int)getpid());
	add(args, "edgeos");
	add(args, "--lcores");
	add(args, args->cores);
	add(args, "--no-telemetry");
	add(args, "--file-prefix");
	add(args, args->prefix);
	add(args, "-m");
	add(args, args->memory);
	if (!config->with_pci)
		add(args, "--no-pci");
	if (config->with_hugepages) {
		/* One file a segment: virtio sockets hand only a few of them to the peer. */
		add(args, "--in-memory");
		add(args, "--single-file-segments");
	} else {
		add(args, "--no-huge");
		add(args, "--no-shconf");
	}
	return args->is_short ? -ENOMEM : 0;
}

static void free_args(struct args *args)
{
	for (int i = 0; i < args->count; i++)
		free(args->argv[i]);
}

/* DPDK makes a folder for what it shares with other processes, which is nothing. */
static void remove_runtime_dir(void)
{
	const char *dir = rte_eal_get_runtime_dir();
	if (dir != NULL && dir[0] != '\0')
		(void)rmdir(dir);
}

static int start_dpdk(const struct nic_config *config, struct eos_why *why)
{
	cpu_set_t allowed;
	struct args args = {.count = 0};
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return eos_why(why, -errno, "sched_getaffinity: %s", strerror(errno));
	int err = make_args(config, &allowed, &args);
	if (err == 0) {
		char *argv[ARGS_MAX];
		memcpy(argv, args.argv, sizeof(argv));
		nic_log_begin();
		err = rte_eal_init(args.count, argv) < 0 ? -EIO : 0;
		err = nic_log_failed(why, err, "DPDK does not start (%s)", rte_strerror(rte_errno));
		(void)sched_setaffinity(0, sizeof(allowed), &allowed);
	}
	free_args(&args);
	return err;
}

/*
 * What rte_pktmbuf_pool_create() does, but with frames packed where there are no hugepages: it
 * would give each a page of its own, as a frame could cross into another one, and AF_XDP's driver
 * takes the memory for shorter than it is then: what lies behind could neither be sent nor received
 * into.
 */
static struct rte_mempool *new_pool(const struct nic_config *config)
{
	uint32_t room = RTE_PKTMBUF_HEADROOM + frame_room(config->frame_bytes);
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = (uint16_t)room};
	unsigned flags = config->with_hugepages ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_mempool *pool = rte_mempool_create_empty(
		"frames", config->frames_max, sizeof(struct rte_mbuf) + room, FRAMES_CACHE,
		sizeof(private), SOCKET_ID_ANY, flags);
	if (pool == NULL)
		return NULL;
	int err = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (err == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		err = rte_mempool_populate_default(pool);
	}
	if (err < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static int make_pool(struct nic *nic, const struct nic_config *config, struct eos_why *why)
{
	nic_log_begin();
	nic->pool = new_pool(config);
	return nic_log_failed(why, nic->pool != NULL ? 0 : -ENOMEM, "%u frames of %u bytes",
			      config->frames_max, config->frame_bytes);
}

int nic_new(const struct nic_config *config, struct nic **ret_nic, struct eos_why *why)
{
	struct nic_config checked = *config;
	struct sigaction pipe_action;
	int err = check_config(&checked, why);
	if (err < 0)
		return err;
	if (atomic_flag_test_and_set(&was_made))
		return eos_why(why, -EBUSY, "DPDK was started in this process already");
	struct nic *nic = calloc(1, sizeof(*nic));
	if (nic == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	nic->frame_bytes = checked.frame_bytes;
	nic->with_pci = checked.with_pci;
	/* A peer of a virtio socket that has gone would end the process otherwise. */
	if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
	if (checked.runtime_dir != NULL &&
	    setenv("RUNTIME_DIRECTORY", checked.runtime_dir, 1) < 0) {
		err = eos_why(why, -ENOMEM, "no memory");
		goto fail;
	}
	err = nic_log_open();
	if (err < 0) {
		(void)eos_why(why, err, "DPDK's log cannot be had: %s", strerror(-err));
		goto fail;
	}
	err = start_dpdk(&checked, why);
	if (err < 0)
		goto fail;
	remove_runtime_dir();
	err = make_pool(nic, &checked, why);
	if (err < 0)
		goto fail_dpdk;
	*ret_nic = nic;
	return 0;
fail_dpdk:
	(void)rte_eal_cleanup();
fail:
	free(nic);
	return err;
}

int nic_thread_enter(struct nic *nic)
{
	(void)nic;
	return rte_thread_register() < 0 ? -ENOMEM : 0;
}

void nic_thread_leave(struct nic *nic)
{
	(void)nic;
	rte_thread_unregister();
}

struct nic *nic_free(struct nic *nic)
{
	if (nic == NULL)
		return NULL;
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++) {
		if (nic->ports[i] != NULL)
			(void)nic_port_close(nic->ports[i]);
	}
	rte_mempool_free(nic->pool);
	(void)rte_eal_cleanup();
	nic_log_close();
	free(nic);
	return NULL;
}
