/*
 * The other side of a data plane's two ports, for the bench "chain": it listens on two sockets of
 * virtio, sends frames of many clients in turns on the first as fast as they are taken, and takes
 * what leaves by the second.
 *
 *     frame_load SOCKET-IN SOCKET-OUT
 *
 * It says "ready", and obeys lines of its standard input until their end:
 *
 *     run CLIENTS BYTES ROUNDS WINDOW
 *
 * Two frames of each client go ahead, which are not measured: the first makes its chain. Then
 * frames go in bursts, with at most WINDOW of them under way, and the time is
 * taken of each round: ROUND_FRAMES frames that came back. Every frame is looked at: its length,
 * and whose it is. The answer is one line of JSON: the nanoseconds a frame of the median round and
 * of the 99th in 100; how many frames were sent, came back, and were not as they were; and the
 * share of its turns in which this program could only wait, as WINDOW frames were under way and
 * none had come: where that is next to nothing, it is this program that was measured, not the data
 * plane.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/str.h"
#include "base/why.h"
#include "frame.h"
#include "nic/nic.h"

#define BURST	     32u
#define ROUND_FRAMES 2000u
#define CLIENTS_MAX  65536u
#define ROUNDS_MAX   1000000u
#define WINDOW_MAX   480u /* the rings have 512 places */
#define FRAMES	     4096u
#define LOST_NS	     (2 * EOS_NS_PER_S) /* who is not back by then does not come */

struct load {
	struct nic *nic;
	struct nic_port *in, *out;
	/* Of the present run. */
	uint32_t clients, bytes, rounds, window;
	uint8_t (*frames)[FRAME_MAX];
	uint64_t *samples;
	uint32_t samples_count;
	uint32_t next;
	uint64_t sent, returned, bad;
	uint64_t turns, waits;
};

static unsigned send_burst(struct load *load)
{
	struct nic_frame frames[BURST];
	unsigned count = 0;

	for (; count < BURST; count++) {
		if (nic_frame_new(load->nic, load->bytes, &frames[count]) < 0)
			break;
		memcpy(frames[count].data, load->frames[load->next], load->bytes);
		load->next = (load->next + 1) % load->clients;
	}
	unsigned sent = nic_port_send(load->in, 0, frames, count);

	load->sent += sent;
	return sent;
}

static unsigned take(struct load *load)
{
	struct nic_frame frames[NIC_BURST_MAX];
	unsigned count = nic_port_receive(load->out, 0, frames, NIC_BURST_MAX);

	for (unsigned i = 0; i < count; i++)
		load->bad += frames[i].len != load->bytes ||
			     frame_client(frames[i].data, frames[i].len) >= load->clients;
	nic_frames_free(frames, count);
	load->returned += count;
	return count;
}

/* One turn: -ETIMEDOUT: nothing has come back since *LAST_NS, for long. */
static int turn(struct load *load, uint64_t *last_ns)
{
	unsigned moved = take(load);

	*last_ns = moved > 0 ? 0 : *last_ns;
	if (load->sent - load->returned + BURST <= load->window)
		moved += send_burst(load);
	load->turns++;
	if (moved == 0) {
		uint64_t now_ns = eos_now_ns();

		load->waits++;
		if (*last_ns == 0)
			*last_ns = now_ns;
		if (now_ns - *last_ns > LOST_NS)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Until COUNT frames have come back. */
static int pass(struct load *load, uint64_t count)
{
	uint64_t last_ns = 0;

	while (load->returned < count) {
		int err = turn(load, &last_ns);

		if (err < 0)
			return err;
	}
	return 0;
}

/* Those that are still under way. */
static void drain(struct load *load)
{
	uint64_t end_ns = eos_now_ns() + LOST_NS;

	while (load->returned < load->sent && eos_now_ns() < end_ns)
		(void)take(load);
}

static int measure(struct load *load)
{
	int err = pass(load, 2ull * load->clients);

	load->turns = load->waits = 0;
	uint64_t start_ns = eos_now_ns(), first = load->returned;

	for (uint32_t i = 0; err == 0 && i < load->rounds; i++) {
		err = pass(load, load->returned + ROUND_FRAMES);
		uint64_t now_ns = eos_now_ns();

		/* In picoseconds: a round is some frames longer than ROUND_FRAMES. */
		load->samples[load->samples_count++] =
			(now_ns - start_ns) * 1000 / (load->returned - first);
		start_ns = now_ns;
		first = load->returned;
	}
	drain(load);
	return err;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(struct load *load, int err)
{
	uint32_t count = load->samples_count;

	if (err < 0 || count == 0) {
		printf("{\"error\": \"%" PRIu64 " of %" PRIu64 " frames came back\"}\n",
		       load->returned, load->sent);
		return;
	}
	qsort(load->samples, count, sizeof(load->samples[0]), compare);
	printf("{\"n\": %u, \"p50\": %.1f, \"p99\": %.1f, \"sent\": %" PRIu64
	       ", \"returned\": %" PRIu64 ", \"bad\": %" PRIu64 ", \"waits\": %.3f}\n",
	       count, (double)load->samples[count / 2] / 1000,
	       (double)load->samples[(uint64_t)count * 99 / 100] / 1000, load->sent, load->returned,
	       load->bad, (double)load->waits / (double)EOS_MAX(load->turns, UINT64_C(1)));
}

static bool parse(struct load *load, const char *line)
{
	char rest;

	return sscanf(line, "run %u %u %u %u %c", &load->clients, &load->bytes, &load->rounds,
		      &load->window, &rest) == 4 &&
	       load->clients >= 1 && load->clients <= CLIENTS_MAX && load->bytes >= 60 &&
	       load->bytes <= FRAME_MAX && load->rounds >= 1 && load->rounds <= ROUNDS_MAX &&
	       load->window >= BURST && load->window <= WINDOW_MAX;
}

static int obey(struct load *load, const char *line)
{
	struct load fresh = {.nic = load->nic, .in = load->in, .out = load->out};

	*load = fresh;
	if (!parse(load, line)) {
		printf("{\"error\": \"what?\"}\n");
		return 0;
	}
	load->frames = calloc(load->clients, sizeof(load->frames[0]));
	load->samples = calloc(load->rounds, sizeof(load->samples[0]));
	if (load->frames != NULL && load->samples != NULL) {
		for (uint32_t i = 0; i < load->clients; i++)
			frame_make(load->frames[i], load->bytes, i);
		print(load, measure(load));
	}
	bool is_short = load->frames == NULL || load->samples == NULL;

	free(load->frames);
	free(load->samples);
	return is_short ? -ENOMEM : 0;
}

static int open_port(struct nic *nic, const char *name, const char *path,
		     struct nic_port **ret_port, struct eos_why *why)
{
	char device[512];
	const struct nic_port_config config = {.name = name, .device = device};

	(void)snprintf(device, sizeof(device), "vhost:%s", path);
	return nic_port_open(nic, &config, ret_port, why);
}

int main(int argc, char **argv)
{
	const struct nic_config config = {.frames_max = FRAMES};
	struct load load = {.nic = NULL};
	struct eos_why why = {""};
	char line[128];

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3) {
		fprintf(stderr, "frame_load SOCKET-IN SOCKET-OUT\n");
		return 2;
	}
	int err = nic_new(&config, &load.nic, &why);

	if (err == 0)
		err = open_port(load.nic, "in", argv[1], &load.in, &why);
	if (err == 0)
		err = open_port(load.nic, "out", argv[2], &load.out, &why);
	if (err == 0)
		printf("ready\n");
	while (err == 0 && fgets(line, sizeof(line), stdin) != NULL)
		err = obey(&load, line);
	if (err < 0)
		fprintf(stderr, "frame_load: %s\n",
			why.text[0] != '\0' ? why.text : strerror(-err));
	nic_port_close(load.in);
	nic_port_close(load.out);
	nic_free(load.nic);
	return err < 0 ? 1 : 0;
}
