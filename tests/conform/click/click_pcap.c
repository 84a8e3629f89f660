/*
 * Runs a Click configuration over packets from a file: tests/conform/click/run.
 *
 *	click_pcap [--devices] FILE.click OUT.pcap IN.pcap [IN1.pcap …]
 *
 * IN is what comes by device 0, IN1 by device 1, and so on, in the order of their times; OUT is
 * what all devices sent, in the order in which they did. Time is that of the packets, and stands
 * still but for timers of elements, for which it goes on up to SECONDS_AFTER behind the last one.
 * Lines that elements print go to standard error; so does "device N" for each packet of OUT, with
 * --devices. click_pcap_fwp is the same with the configuration in a chain.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "machine.h"
#include "pcap.h"

#define INPUTS_MAX    16u
#define TEXT_MAX      (1u << 20)
#define SECONDS_AFTER 10u
#define RUNS_MAX      1000000u

struct session {
	struct pcap inputs[INPUTS_MAX];
	size_t next[INPUTS_MAX];
	unsigned inputs_count;
	struct eos_buf out;
	uint64_t now_ns;
	bool tells_devices;
};

static struct session session;

static void send_packet(unsigned device, const uint8_t *data, uint32_t len)
{
	pcap_write_packet(&session.out, session.now_ns, data, len);
	if (session.tells_devices)
		fprintf(stderr, "device %u\n", device);
}

static void print_line(const char *line, uint32_t len)
{
	fprintf(stderr, "%.*s\n", (int)len, line);
}

static void set_time(uint64_t now_ns)
{
	if (now_ns > session.now_ns)
		session.now_ns = now_ns;
	machine_set_time(session.now_ns);
}

/* All that is due before UNTIL_NS: a packet comes before the timers of its time. */
static void advance(uint64_t until_ns)
{
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		uint64_t deadline = machine_deadline();
		if (deadline >= until_ns)
			break;
		set_time(deadline);
		machine_run();
	}
}

/* The device whose next packet is the oldest; below zero: there are no more. */
static int next_input(void)
{
	int found = -1;
	uint64_t oldest = UINT64_MAX;
	for (unsigned i = 0; i < session.inputs_count; i++) {
		const struct pcap *input = &session.inputs[i];
		if (session.next[i] < input->count &&
		    (found < 0 || input->packets[session.next[i]].time_ns < oldest)) {
			found = (int)i;
			oldest = input->packets[session.next[i]].time_ns;
		}
	}
	return found;
}

static void play(void)
{
	int device;
	while ((device = next_input()) >= 0) {
		const struct pcap_packet *from =
			&session.inputs[device].packets[session.next[device]++];
		advance(from->time_ns);
		set_time(from->time_ns);
		machine_receive((unsigned)device, from->data, from->len);
	}
	advance(session.now_ns + SECONDS_AFTER * UINT64_C(1000000000));
}

static int run(const char *name, const struct eos_buf *text)
{
	static const struct machine_owner owner = {.send = send_packet, .print = print_line};
	int first = next_input();
	if (first >= 0)
		set_time(session.inputs[first].packets[0].time_ns);
	int err = machine_open(name, text, &owner);
	if (err == 0)
		play();
	machine_close();
	return err;
}

static int write_out(const char *path)
{
	FILE *file = fopen(path, "wb");
	if (file == NULL)
		return -1;
	size_t written = fwrite(session.out.data, 1, session.out.len, file);
	return fclose(file) == 0 && written == session.out.len ? 0 : -1;
}

int main(int argc, char **argv)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct eos_why why = {""};
	int at = 1;
	if (at < argc && strcmp(argv[at], "--devices") == 0) {
		session.tells_devices = true;
		at++;
	}
	if (argc - at < 3 || argc - at - 2 > (int)INPUTS_MAX) {
		fputs("click_pcap: expected FILE.click OUT.pcap IN.pcap…\n", stderr);
		return 2;
	}
	int err = eos_read_file(AT_FDCWD, argv[at], TEXT_MAX, &text);
	if (err < 0) {
		fprintf(stderr, "click_pcap: %s: %s\n", argv[at], strerror(-err));
		return 1;
	}
	for (int i = at + 2; i < argc && err == 0; i++)
		err = pcap_read(argv[i], &session.inputs[session.inputs_count++], &why);
	if (err == 0) {
		pcap_write_header(&session.out, session.inputs[0].link_type);
		err = run(argv[at], &text);
	} else {
		fprintf(stderr, "click_pcap: %s\n", why.text);
	}
	if (err == 0 && (eos_buf_failed(&session.out) || write_out(argv[at + 1]) < 0)) {
		fprintf(stderr, "click_pcap: cannot write %s\n", argv[at + 1]);
		err = -1;
	}
	for (unsigned i = 0; i < session.inputs_count; i++)
		pcap_fini(&session.inputs[i]);
	eos_buf_fini(&session.out);
	return err == 0 ? 0 : 1;
}
