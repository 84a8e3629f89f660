/*
 * Any bytes as what a hostile program does with WASI: a sequence of host calls with arguments of
 * its choice, and of writes to its memory between them, over trees in memory and streams. Calls go
 * through the table that images are joined with, on a double of an FWP whose 64 KiB of memory lie
 * between inaccessible pages.
 *
 * Whatever comes, each call returns one of WASI's error numbers or ends the program, and what it
 * used is freed with the program.
 *
 * The first byte fills the memory; the lowest bit of the second says that the program has no time
 * left, and gives it a standard input that is never ready. Then, until the input ends, one byte
 * says which function is called, or that bytes, a path or a vector of buffers are put into memory;
 * its arguments follow. An argument is one byte, which is a small number or the index of one of
 * those that are known to hurt, or says that 2, 4 or 8 bytes follow.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "wasi/wasi_test_fixture.h"

#define ARGUMENTS_MAX 9u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t len;
};

/* Zeros when there is nothing left. */
static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;
	size_t n = EOS_MIN(bytes, input->len);
	memcpy(&value, input->data, n);
	input->data += n;
	input->len -= n;
	return value;
}

/* Where things usually are, ends of memory, and what wraps around. */
static const uint32_t known_u32[] = {
	AT_OUT, AT_OUT2,    AT_PATH,	AT_PATH2,   AT_IOVS,	AT_BUF,	    65528,	65532,
	65535,	65536,	    65537,	0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffff8, 0xffffffff,
	4096,	0x20000000, 0x1fffffff, 0x10000000, 0x15555556, 0x05555556, 1024,	16384,
};
static const uint64_t known_u64[] = {
	0,	    1,
	ALL_RIGHTS, WASI_RIGHTS_FILE,
	4096,	    1 << 20,
	INT64_MAX,  (uint64_t)INT64_MAX + 1,
	UINT64_MAX, UINT64_MAX - 1,
	UINT32_MAX, (uint64_t)UINT32_MAX + 1,
};

static uint64_t take_argument(struct input *input, char kind)
{
	uint8_t byte = (uint8_t)take(input, 1);
	if (byte < 64)
		return byte;
	if (byte >= 0xf0)
		return take(input, kind == 'I' ? 8 : 4);
	if (byte >= 0xd0)
		return take(input, 2);
	if (kind == 'I')
		return known_u64[byte % EOS_ARRAY_SIZE(known_u64)];
	return known_u32[byte % EOS_ARRAY_SIZE(known_u32)];
}

typedef void (*call_fn)(void);
typedef const uint64_t *args_ptr;

/* One caller for each signature that WASI has. */
#define I(n) ((uint32_t)a[n])
#define L(n) (a[n])
#define CALLER(name, types, arguments)                                                             \
	static uint32_t call_##name(call_fn call, struct fwp *fwp, args_ptr a)                     \
	{                                                                                          \
		(void)a;                                                                           \
		return ((uint32_t(*) types)call)arguments;                                         \
	}
CALLER(none, (struct fwp *), (fwp))
CALLER(i, (struct fwp *, uint32_t), (fwp, I(0)))
CALLER(iI, (struct fwp *, uint32_t, uint64_t), (fwp, I(0), L(1)))
CALLER(iII, (struct fwp *, uint32_t, uint64_t, uint64_t), (fwp, I(0), L(1), L(2)))
CALLER(iIIi, (struct fwp *, uint32_t, uint64_t, uint64_t, uint32_t), (fwp, I(0), L(1), L(2), I(3)))
CALLER(iIi, (struct fwp *, uint32_t, uint64_t, uint32_t), (fwp, I(0), L(1), I(2)))
CALLER(iIii, (struct fwp *, uint32_t, uint64_t, uint32_t, uint32_t), (fwp, I(0), L(1), I(2), I(3)))
CALLER(ii, (struct fwp *, uint32_t, uint32_t), (fwp, I(0), I(1)))
CALLER(iii, (struct fwp *, uint32_t, uint32_t, uint32_t), (fwp, I(0), I(1), I(2)))
CALLER(iiiIi, (struct fwp *, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t),
       (fwp, I(0), I(1), I(2), L(3), I(4)))
CALLER(iiii, (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t), (fwp, I(0), I(1), I(2), I(3)))
CALLER(iiiiIIi,
       (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t),
       (fwp, I(0), I(1), I(2), I(3), L(4), L(5), I(6)))
CALLER(iiiii, (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
       (fwp, I(0), I(1), I(2), I(3), I(4)))
CALLER(iiiiiIIii,
       (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t,
	uint32_t, uint32_t),
       (fwp, I(0), I(1), I(2), I(3), I(4), L(5), L(6), I(7), I(8)))
CALLER(iiiiii, (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
       (fwp, I(0), I(1), I(2), I(3), I(4), I(5)))
CALLER(iiiiiii,
       (struct fwp *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
       (fwp, I(0), I(1), I(2), I(3), I(4), I(5), I(6)))

static uint32_t call_exit(call_fn call, struct fwp *fwp, args_ptr a)
{
	((void (*)(struct fwp *, uint32_t))call)(fwp, I(0));
	EOS_ASSERT(!"proc_exit returned");
	return 0;
}

static const struct {
	const char *signature;
	uint32_t (*call)(call_fn call, struct fwp *fwp, args_ptr a);
} callers[] = {
	{":i", call_none},	     {"i:i", call_i},		{"iI:i", call_iI},
	{"iII:i", call_iII},	     {"iIIi:i", call_iIIi},	{"iIi:i", call_iIi},
	{"iIii:i", call_iIii},	     {"ii:i", call_ii},		{"iii:i", call_iii},
	{"iiiIi:i", call_iiiIi},     {"iiii:i", call_iiii},	{"iiiiIIi:i", call_iiiiIIi},
	{"iiiii:i", call_iiiii},     {"iiiiii:i", call_iiiiii}, {"iiiiiIIii:i", call_iiiiiIIii},
	{"iiiiiii:i", call_iiiiiii}, {"i:", call_exit},
};

static void call_host(struct fwp *fwp, const struct fwp_import *import, struct input *input)
{
	uint64_t arguments[ARGUMENTS_MAX] = {0};
	for (size_t i = 0; import->signature[i] != ':'; i++) {
		EOS_ASSERT(i < ARGUMENTS_MAX);
		arguments[i] = take_argument(input, import->signature[i]);
	}
	size_t n = 0;
	while (strcmp(callers[n].signature, import->signature) != 0)
		EOS_ASSERT(++n < EOS_ARRAY_SIZE(callers));
	uint32_t result = callers[n].call(import->call, fwp, arguments);
	EOS_ASSERT(result <= WASI_ERRNO_NOTCAPABLE);
	EOS_ASSERT(fwp->entered == fwp->left);
}

/* The program's own stores. */
static void put_bytes(struct fwp *fwp, struct input *input)
{
	uint32_t address = (uint32_t)take(input, 2);
	size_t len = take(input, 1);
	len = EOS_MIN(len, EOS_MIN(input->len, (size_t)(DOUBLE_MEMORY_SIZE - address)));
	if (len > 0)
		memcpy(fwp_double_at(fwp, address, (uint32_t)len), input->data, len);
	input->data += len;
	input->len -= len;
}

static void put_path(struct fwp *fwp, struct input *input)
{
	static const char *const paths[] = {
		"a",  "b", "a/b",	"a/../b", "..",	      ".",	   "a/b/../../..",
		"/a", "",  "a//b/./c/", "l",	  "\xff\xfe", "a/b/c/d/e",
	};
	uint8_t byte = (uint8_t)take(input, 1);
	fwp_double_put(fwp, byte % 2 == 0 ? AT_PATH : AT_PATH2,
		       paths[byte / 2 % EOS_ARRAY_SIZE(paths)]);
}

static void put_vector(struct fwp *fwp, struct input *input)
{
	uint32_t index = (uint32_t)take(input, 1) % 16;
	struct wasi_abi_iovec iovec;
	iovec.buf = (uint32_t)take_argument(input, 'i');
	iovec.len = (uint32_t)take_argument(input, 'i');
	memcpy(fwp_double_at(fwp, AT_IOVS + index * (uint32_t)sizeof(iovec), sizeof(iovec)), &iovec,
	       sizeof(iovec));
}

/* No time passes: the FWP's own is over at once. */
static void sleep_until(void *ctx, struct fwp *fwp, uint64_t monotonic_ns)
{
	(void)ctx;
	(void)monotonic_ns;
	fwp->deadline_ns = 0;
}

/* A stream that poll(2) knows: FD is all there is of it. */
struct polled {
	struct wasi_node node;
	int fd;
};

static int64_t polled_read(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	(void)node;
	(void)offset;
	memset(data, 0x5a, EOS_MIN(len, UINT64_C(100)));
	return (int64_t)EOS_MIN(len, UINT64_C(100));
}

static int64_t polled_write(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	uint8_t sum = 0;
	(void)node;
	(void)offset;
	for (uint64_t i = 0; i < len; i++)
		sum ^= ((const uint8_t *)data)[i];
	/* All of it is read, and the compiler may not know that nobody wants the sum. */
	__asm__ volatile("" : : "r"(sum));
	return (int64_t)len;
}

static int polled_fd(struct wasi_node *node)
{
	return EOS_CONTAINER_OF(node, struct polled, node)->fd;
}

static void polled_release(struct wasi_node *node)
{
	(void)node;
}

static const struct wasi_vfs_ops polled_ops = {
	.read = polled_read,
	.write = polled_write,
	.poll_fd = polled_fd,
	.release = polled_release,
};

/* Standard error is always ready, standard input never. */
static void set_streams(struct fixture *f, bool is_timed)
{
	static struct polled ready, never;
	if (ready.node.ops == NULL) {
		int ends[2];
		ready.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		EOS_ASSERT(ready.fd >= 0 && pipe2(ends, O_CLOEXEC) == 0);
		never.fd = ends[0];
		wasi_node_init(&ready.node, &polled_ops, WASI_NODE_STREAM);
		wasi_node_init(&never.node, &polled_ops, WASI_NODE_STREAM);
	}
	EOS_ASSERT(wasi_fd_close(f->fwp, 2) == 0);
	EOS_ASSERT(wasi_set_stdio(f->wasi, 2, &ready.node) == 0);
	if (!is_timed)
		return;
	f->fwp->deadline_ns = 0;
	EOS_ASSERT(wasi_fd_close(f->fwp, 0) == 0);
	EOS_ASSERT(wasi_set_stdio(f->wasi, 0, &never.node) == 0);
}

static const struct wasi_host_ops host_ops = {.sleep_until = sleep_until};

/* Apart from setjmp(), which would not keep what this has in registers. */
static void __attribute__((noinline)) play(struct fixture *f, struct input *input)
{
	size_t count;
	const struct fwp_import *imports = wasi_imports(&count);
	while (input->len > 0) {
		size_t op = take(input, 1);
		if (op < 4 * count)
			call_host(f->fwp, &imports[op % count], input);
		else if (op % 4 == 0)
			put_bytes(f->fwp, input);
		else if (op % 4 == 1)
			put_path(f->fwp, input);
		else
			put_vector(f->fwp, input);
	}
	fwp_host_enter(f->fwp);
	wasi_finish(f->fwp);
}

static void run(struct fixture *f, struct input *input)
{
	if (setjmp(f->fwp->on_exit) == 0)
		play(f, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct fixture *f;
	EOS_ASSERT(fixture_setup((void **)&f) == 0);
	wasi_set_host_ops(f->wasi, &host_ops, NULL);
	memset(fwp_double_at(f->fwp, 0, DOUBLE_MEMORY_SIZE), (int)take(&input, 1),
	       DOUBLE_MEMORY_SIZE);
	set_streams(f, take(&input, 1) % 2 != 0);
	run(f, &input);
	return fixture_teardown((void **)&f);
}
