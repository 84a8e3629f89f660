/*
 * edge-plane: the data plane.
 *
 *   edge-plane CONFIG-FD CONTROL-FD PUBLIC-KEY PARENT-PID
 *
 * edged starts it, not people. CONFIG-FD is the node's configuration, of which the key `plane` is
 * ours; CONTROL-FD is a seqpacket socket (docs/formats/plane-control.md).
 *
 * Two processes: this one keeps the rights that devices are opened with, reads nothing that comes
 * from outside, and starts the other, the worker, which opens the ports, gives up everything it has
 * no more need of, and works. A worker that dies is started again; its owner hears of that by the
 * next worker's first message, and applies the chains again. One whose loop hangs is killed
 * (plane/plane_heartbeat.h): the signs of life, and the worker's limit for them, are all that the
 * keeper reads of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/node.h"
#include "base/str.h"
#include "crypto/tls.h"
#include "plane/plane.h"
#include "plane/plane_heartbeat.h"
#include "plane/plane_protocol.h"
#include "sandbox/sandbox.h"

#define PAUSE_NS_MIN (200 * EOS_NS_PER_MS)
#define PAUSE_NS_MAX (10 * EOS_NS_PER_S)
#define LIFE_NS	     (30 * EOS_NS_PER_S) /* who lived so long was in good health */
#define CONFIG_MAX   (1u << 20)
#define TELL_MS	     100

struct arguments {
	int config_fd, control_fd, parent_pid;
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE];
	struct plane_heartbeats *heartbeats; /* shared by keeper and worker */
};

static int parse_number(const char *text, int *ret_number)
{
	uint64_t number;
	int err = eos_parse_u64(text, &number);
	if (err < 0 || number > INT32_MAX)
		return -EINVAL;
	*ret_number = (int)number;
	return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
	if (argc != 5 || parse_number(argv[1], &ret_arguments->config_fd) < 0 ||
	    parse_number(argv[2], &ret_arguments->control_fd) < 0 ||
	    parse_number(argv[4], &ret_arguments->parent_pid) < 0)
		return -EINVAL;
	return eos_hex_decode(argv[3], ret_arguments->public_key,
			      sizeof(ret_arguments->public_key));
}

/* --- the worker --- */

static int read_config(int fd, struct plane_config *config, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	char path[32];
	struct eos_doc *doc;
	/* By its name, so that each worker reads from the start. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int err = eos_read_file(AT_FDCWD, path, CONFIG_MAX, &text);
	if (err < 0)
		return eos_why(why, err, "reading the configuration: %s", strerror(-err));
	err = eos_doc_parse_yaml("configuration", text.data, text.len, &doc, why);
	if (err < 0)
		return err;
	const struct eos_node *node = eos_node_get(eos_doc_root(doc), "plane");
	plane_config_init(config);
	err = node == NULL ? 0 : plane_config_decode(node, config, why);
	eos_doc_free(doc);
	return err;
}

/* After the ports were opened and the other cores were started: DPDK's own threads, and a core that
 * finds no processor of its own, stay where they were. */
static int pin(int processor, struct eos_why *why)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	if (processor < 0)
		return 0;
	CPU_SET(processor, &set); /* does nothing beyond the end of SET */
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return eos_why(why, -errno, "processor %d: %s", processor, strerror(errno));
	return 0;
}

static int enter_sandbox(struct eos_why *why)
{
	const struct sandbox_config config = {.profile = SANDBOX_PROFILE_NODE,
					      .keep_network = true};
	struct sandbox_report report;
	/* libcrypto reads its configuration at its first use; there are no files in the sandbox. */
	static const uint8_t none[CRYPTO_SIGNATURE_SIZE];
	uint8_t key[CRYPTO_SIGN_PUBLIC_SIZE] = {0};
	(void)!crypto_verify(key, none, sizeof(none), none);
	int err = tls_init();
	if (err < 0)
		return eos_why(why, err, "OpenSSL could not be set up");
	err = sandbox_enter(&config, &report, why);
	if (err == 0 && (!report.has_landlock || !report.has_seccomp))
		eos_log(EOS_LOG_WARN, "plane", "sandbox incomplete landlock=%d seccomp=%d",
			report.has_landlock, report.has_seccomp);
	return err;
}

static void tell_failure(int control_fd, const char *text)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0};
	struct eos_json json = eos_json_begin(&buf);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "failed", text);
	eos_json_close(&json, '}');
	/* Who does not hear it reads it in the log. */
	if (!eos_buf_failed(&buf))
		(void)!plane_message_send(control_fd, buf.data, buf.len, NULL, 0, TELL_MS);
}

static int work(const struct arguments *arguments)
{
	struct eos_why why = {""};
	struct plane_config config;
	struct plane *plane = NULL;
	int err = read_config(arguments->config_fd, &config, &why);
	int told_fd = dup(arguments->control_fd);
	if (err == 0) {
		atomic_store(&arguments->heartbeats->limit_ns, config.watchdog_ns);
		err = plane_new(&config, arguments->control_fd, arguments->public_key,
				arguments->heartbeats, &plane, &why);
	}
	if (err == 0)
		err = pin(config.processor, &why);
	if (err == 0)
		err = plane_confine(plane, enter_sandbox, &why);
	if (err < 0) {
		eos_log(EOS_LOG_ERROR, "plane", "start failed why=\"%s\"",
			why.text[0] != '\0' ? why.text : strerror(-err));
		tell_failure(told_fd, why.text[0] != '\0' ? why.text : strerror(-err));
	}
	told_fd = eos_close(told_fd);
	if (err == 0) {
		err = plane_run(plane);
		if (err < 0)
			eos_log(EOS_LOG_ERROR, "plane", "ended error=%s", strerror(-err));
	}
	plane_free(plane);
	return err < 0 ? 1 : 0;
}

/* --- the keeper --- */

/* False: edged is gone. */
static bool pause_for(const struct arguments *arguments, uint64_t ns)
{
	/* What it sends is for the next worker. */
	struct pollfd gone = {.fd = arguments->control_fd, .events = 0};
	uint64_t end_ns = eos_now_ns() + ns;
	for (uint64_t now_ns; (now_ns = eos_now_ns()) < end_ns;) {
		int n = poll(&gone, 1, (int)((end_ns - now_ns) / EOS_NS_PER_MS) + 1);
		if (n > 0)
			return false;
	}
	return true;
}

/* Until the worker PID has ended, or has hung for so long that it was killed. */
static void watch_worker(const struct plane_heartbeats *heartbeats, pid_t pid)
{
	struct plane_watchdog watchdog = {0};
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	unsigned loop;
	if (ended.fd < 0) {
		eos_log(EOS_LOG_ERROR, "plane", "no watchdog error=%s", strerror(errno));
		return;
	}
	for (;;) {
		uint64_t step_ns = plane_watchdog_step_ns(atomic_load(&heartbeats->limit_ns));
		if (poll(&ended, 1, (int)(step_ns / EOS_NS_PER_MS)) > 0)
			break;
		if (plane_watchdog_look(&watchdog, heartbeats, eos_now_ns(), &loop)) {
			eos_log(EOS_LOG_ERROR, "plane", "worker hangs, killed pid=%d loop=%u",
				(int)pid, loop);
			kill(pid, SIGKILL);
			break;
		}
	}
	eos_close(ended.fd);
}

/* True: it ended because it was to. */
static bool run_worker(const struct arguments *arguments)
{
	int status = 0, keeper = getpid();
	plane_heartbeats_reset(arguments->heartbeats);
	pid_t pid = fork();
	if (pid == 0)
		/* What is left of exit() is a sanitizer's search for leaks, which needs files. */
		_exit(sandbox_die_with_parent(keeper) < 0 ? 1 : work(arguments));
	if (pid < 0)
		return false;
	watch_worker(arguments->heartbeats, pid);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		eos_log(EOS_LOG_ERROR, "plane", "worker died signal=%d", WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int keep(const struct arguments *arguments)
{
	uint64_t pause_ns = PAUSE_NS_MIN;
	for (;;) {
		uint64_t started_ns = eos_now_ns();
		if (run_worker(arguments))
			return 0;
		if (eos_now_ns() - started_ns >= LIFE_NS)
			pause_ns = PAUSE_NS_MIN;
		if (!pause_for(arguments, pause_ns))
			return 0;
		pause_ns = EOS_MIN(2 * pause_ns, PAUSE_NS_MAX);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct eos_why why = {""};
	if (parse_arguments(argc, argv, &arguments) < 0) {
		fputs("edge-plane: started by edged\n", stderr);
		return 2;
	}
	if (eos_fault_init(&why) < 0) {
		fprintf(stderr, "edge-plane: EDGEOS_FAULTS: %s\n", why.text);
		return 2;
	}
	if (sandbox_die_with_parent(arguments.parent_pid) < 0)
		return 1;
	/* Ctrl-C in a terminal reaches us too; ending the data plane is edged's decision. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	arguments.heartbeats = plane_heartbeats_new();
	if (arguments.heartbeats == NULL)
		return 1;
	return keep(&arguments);
}
