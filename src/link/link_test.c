#include "link/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "link/link_proto.h"
#include "ring/ring.h"

struct ends {
	struct link *node, *cell;
	int memory; /* a copy of the memfd, to play the hostile side */
};

static void ends_open(struct ends *ends)
{
	struct link_fds fds;
	assert_int_equal(link_new(&ends->node, &fds), 0);
	ends->memory = dup(fds.memory);
	assert_true(ends->memory >= 0);
	assert_int_equal(link_attach(&fds, &ends->cell), 0);
}

static void ends_close(struct ends *ends)
{
	link_free(ends->cell);
	link_free(ends->node);
	eos_close(ends->memory);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}

static void both_directions(void **state)
{
	struct ends ends;
	char out[64];
	ends_open(&ends);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), 0);
	assert_int_equal(link_send(ends.node, "to", 2, "cell", 4), 0);
	assert_int_equal(link_send(ends.cell, "tonode", 6, NULL, 0), 0);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), 6);
	assert_memory_equal(out, "tocell", 6);
	assert_int_equal(link_receive(ends.node, out, sizeof(out)), 6);
	assert_memory_equal(out, "tonode", 6);
	assert_int_equal(link_receive(ends.node, out, sizeof(out)), 0);
	/* Nobody slept, so nobody was rung for. */
	assert_false(is_readable(link_doorbell_fd(ends.cell)));
	assert_false(is_readable(link_doorbell_fd(ends.node)));
	ends_close(&ends);
}

static void rings_for_a_sleeper(void **state)
{
	struct ends ends;
	char out[64];
	ends_open(&ends);
	assert_int_equal(link_prepare_wait(ends.cell), 1);
	assert_int_equal(link_send(ends.node, "a", 1, NULL, 0), 0);
	assert_int_equal(link_send(ends.node, "b", 1, NULL, 0), 0);
	assert_true(is_readable(link_doorbell_fd(ends.cell)));
	link_doorbell_clear(ends.cell);
	assert_false(is_readable(link_doorbell_fd(ends.cell)));
	assert_int_equal(link_prepare_wait(ends.cell), 0);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), 1);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), 1);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), 0);
	assert_int_equal(link_prepare_wait(ends.cell), 1);
	ends_close(&ends);
}

static void rings_when_there_is_room(void **state)
{
	struct ends ends;
	static char data[LINK_PAYLOAD_MAX];
	unsigned sent = 0, received = 0;
	int err;
	ends_open(&ends);
	while ((err = link_send(ends.node, "h", 1, data, sizeof(data))) == 0)
		sent++;
	assert_int_equal(err, -EAGAIN);
	assert_true(sent >= 14);
	assert_false(is_readable(link_doorbell_fd(ends.node)));
	static char out[LINK_MESSAGE_MAX];
	while (link_receive(ends.cell, out, sizeof(out)) > 0)
		received++;
	assert_int_equal(sent, received);
	assert_true(is_readable(link_doorbell_fd(ends.node)));
	assert_int_equal(link_send(ends.node, "h", 1, data, sizeof(data)), 0);
	ends_close(&ends);
}

static void refuses_what_is_too_large(void **state)
{
	struct ends ends;
	static char data[RING_RECORD_MAX];
	char out[16];
	ends_open(&ends);
	assert_int_equal(link_send(ends.node, "h", 1, data, sizeof(data)), -EMSGSIZE);
	assert_int_equal(link_send(ends.node, "h", 1, data, 100), 0);
	assert_int_equal(link_receive(ends.cell, out, sizeof(out)), -EBADMSG);
	ends_close(&ends);
}

static void descriptors(void **state)
{
	struct ends ends;
	int fd = -1;
	uint64_t tag = 0;
	ends_open(&ends);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), -EAGAIN);
	int file = memfd_create("image", MFD_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(link_send_fd(ends.node, file, 7), 0);
	assert_int_equal(link_send_fd(ends.node, file, 8), 0);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), 0);
	assert_int_equal(tag, 7);
	struct stat a, b;
	assert_int_equal(fstat(file, &a), 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	eos_close(fd);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), 0);
	assert_int_equal(tag, 8);
	eos_close(fd);
	assert_int_equal(send(link_socket_fd(ends.node), "12345678", 8, 0), 8);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), -EBADMSG);
	assert_int_equal(send(link_socket_fd(ends.node), "123", 3, 0), 3);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), -EBADMSG);
	ends.node = link_free(ends.node);
	assert_int_equal(link_receive_fd(ends.cell, &fd, &tag), -EPIPE);
	assert_int_equal(link_send_fd(ends.cell, file, 1), -EPIPE);
	eos_close(file);
	ends_close(&ends);
}

static void ringing_for_the_dead_is_harmless(void **state)
{
	struct ends ends;
	ends_open(&ends);
	assert_int_equal(link_prepare_wait(ends.cell), 1);
	ends.cell = link_free(ends.cell);
	assert_int_equal(link_send(ends.node, "a", 1, NULL, 0), 0);
	ends_close(&ends);
}

static void refuses_other_memory(void **state)
{
	struct link_fds fds, bad;
	struct link *node, *cell;
	assert_int_equal(link_new(&node, &fds), 0);
	struct stat st;
	assert_int_equal(fstat(fds.memory, &st), 0);
	for (int i = 0; i < 3; i++) {
		bad = (struct link_fds){-1, dup(fds.doorbell_to_cell), dup(fds.doorbell_to_node),
					dup(fds.socket)};
		bad.memory = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(bad.memory, i == 1 ? 4096 : st.st_size), 0);
		if (i > 0) /* 0: unsealed, 1: wrong size, 2: no magic */
			assert_int_equal(fcntl(bad.memory, F_ADD_SEALS,
					       F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
					 0);
		assert_int_equal(link_attach(&bad, &cell), -EPROTO);
	}
	/* The size of ours cannot be changed. */
	assert_int_equal(ftruncate(fds.memory, 0), -1);
	assert_int_equal(link_attach(&fds, &cell), 0);
	link_free(cell);
	link_free(node);
}

/* The cell's process echoes until the node's end is gone. */
static void echo_until_end(struct link *cell)
{
	static alignas(8) char data[LINK_MESSAGE_MAX];
	for (;;) {
		int64_t n = link_receive(cell, data, sizeof(data));
		if (n > 0) {
			while (link_send(cell, data, (size_t)n, NULL, 0) == -EAGAIN)
				link_doorbell_clear(cell);
			continue;
		}
		if (n < 0)
			_exit(2);
		if (link_prepare_wait(cell) == 0)
			continue;
		struct pollfd fds[2] = {{.fd = link_doorbell_fd(cell), .events = POLLIN},
					{.fd = link_socket_fd(cell), .events = POLLIN}};
		poll(fds, 2, -1);
		if (fds[1].revents != 0)
			_exit(0);
		link_doorbell_clear(cell);
	}
}

static void across_fork(void **state)
{
	struct link_fds fds;
	struct link *node, *cell;
	assert_int_equal(link_new(&node, &fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* As after an exec: nothing of the node's end is left. */
		node = link_free(node);
		if (link_attach(&fds, &cell) < 0)
			_exit(1);
		echo_until_end(cell);
	}
	eos_close(fds.memory);
	eos_close(fds.doorbell_to_cell);
	eos_close(fds.doorbell_to_node);
	eos_close(fds.socket);
	static alignas(8) char data[LINK_MESSAGE_MAX], out[LINK_MESSAGE_MAX];
	for (unsigned i = 1; i < 2000; i++) {
		size_t len = 1 + i * 31u % 60000;
		memset(data, (int)i, len);
		assert_int_equal(link_send(node, data, len, NULL, 0), 0);
		int64_t n;
		while ((n = link_receive(node, out, sizeof(out))) == 0) {
			if (link_prepare_wait(node) == 0)
				continue;
			struct pollfd bell = {.fd = link_doorbell_fd(node), .events = POLLIN};
			assert_int_equal(poll(&bell, 1, 10000), 1);
			link_doorbell_clear(node);
		}
		assert_int_equal(n, len);
		assert_memory_equal(data, out, len);
	}
	link_free(node);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* One side scribbles over all of the shared memory while the other sends, receives and decodes. */
static void survives_a_scribbler(void **state)
{
	static alignas(8) char data[LINK_MESSAGE_MAX];
	unsigned seed = 99;
	for (unsigned round = 0; round < 100; round++) {
		struct ends ends;
		ends_open(&ends);
		struct stat st;
		assert_int_equal(fstat(ends.memory, &st), 0);
		uint8_t *memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				       ends.memory, 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		struct link_done done = {
			.header.kind = LINK_DONE, .call_id = 1, .outcome = LINK_EXITED};
		for (unsigned i = 0; i < 50; i++) {
			int err = link_send(ends.cell, &done, sizeof(done), NULL, 0);
			assert_true(err == 0 || err == -EAGAIN || err == -EBADMSG);
			for (unsigned k = 0; k < 4; k++) {
				size_t ring = ring_memory_size(LINK_RING_BYTES);
				size_t at = 4096 + (rand_r(&seed) % 2 == 0 ? 0 : ring + 3840);
				at += (size_t)rand_r(&seed) % 4096;
				memory[at] = (uint8_t)rand_r(&seed);
			}
			struct link_message message;
			int64_t n = link_receive(ends.node, data, sizeof(data));
			if (n > 0) {
				err = link_decode_to_node(data, (size_t)n, &message);
				assert_true(err == 0 || err == -EBADMSG);
			}
			assert_true(n >= 0 || n == -EBADMSG);
			err = link_send(ends.node, &done, sizeof(done), NULL, 0);
			assert_true(err == 0 || err == -EAGAIN || err == -EBADMSG);
			link_prepare_wait(ends.node);
		}
		munmap(memory, (size_t)st.st_size);
		ends_close(&ends);
	}
}

/* A cell that fills the doorbells and takes O_NONBLOCK off its ends cannot block the node. */
static void hostile_doorbells(void **state)
{
	struct link_fds fds;
	struct link *node;
	char noise[4096];
	memset(noise, 0, sizeof(noise));
	assert_int_equal(link_new(&node, &fds), 0);
	while (write(fds.doorbell_to_node, noise, sizeof(noise)) > 0)
		;
	assert_int_equal(fcntl(fds.doorbell_to_node, F_SETFL, 0), 0);
	assert_int_equal(fcntl(fds.doorbell_to_cell, F_SETFL, 0), 0);
	assert_int_equal(fcntl(fds.socket, F_SETFL, 0), 0);
	struct stat st;
	assert_int_equal(fstat(fds.memory, &st), 0);
	uint8_t *memory =
		mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds.memory, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	struct ring_shared *ring = (struct ring_shared *)(void *)(memory + 4096);
	for (unsigned i = 0; i < 70000; i++) {
		atomic_store(&ring->consumer_waits, 1);
		if (link_send(node, "a", 1, NULL, 0) == -EAGAIN)
			atomic_store(&ring->tail, atomic_load(&ring->head));
	}
	for (unsigned i = 0; i < 2000; i++)
		link_doorbell_clear(node);
	munmap(memory, (size_t)st.st_size);
	link_free(node);
	eos_close(fds.memory);
	eos_close(fds.doorbell_to_cell);
	eos_close(fds.doorbell_to_node);
	eos_close(fds.socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions),
		cmocka_unit_test(rings_for_a_sleeper),
		cmocka_unit_test(rings_when_there_is_room),
		cmocka_unit_test(refuses_what_is_too_large),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(ringing_for_the_dead_is_harmless),
		cmocka_unit_test(refuses_other_memory),
		cmocka_unit_test(across_fork),
		cmocka_unit_test(survives_a_scribbler),
		cmocka_unit_test(hostile_doorbells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
