/* The images of chain_guest.c and chain_page_guest.c, for the tests of src/chain, which does not
 * know of the compiler. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "chain/fixtures/chain_fixture.h"
#include "edgeos_packet.h"

_Static_assert(sizeof(struct edgeos_packet) == sizeof(struct chain_abi_packet) &&
		       offsetof(struct edgeos_packet, address) ==
			       offsetof(struct chain_abi_packet, address) &&
		       offsetof(struct edgeos_packet, time_ns) ==
			       offsetof(struct chain_abi_packet, time_ns) &&
		       offsetof(struct edgeos_packet, local_port) ==
			       offsetof(struct chain_abi_packet, local_port) &&
		       EDGEOS_HEADROOM == CHAIN_ABI_HEADROOM &&
		       EDGEOS_PACKET_MAX == CHAIN_ABI_PACKET_MAX &&
		       EDGEOS_PORTS_MAX == CHAIN_ABI_PORTS_MAX &&
		       EDGEOS_COUNTERS_MAX == CHAIN_ABI_COUNTERS_MAX,
	       "what guests compile against is what the host believes");

static struct fwp_image *images[2];

static void forget(void)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(images); i++)
		images[i] = fwp_image_unref(images[i]);
}

static struct fwp_image *load(const char *path, const char *name)
{
	static struct image_key key = {.seed = "the key of the chains' tests"};
	struct eos_why why = {""};
	struct eos_buf module = {0};
	struct image *file = NULL;
	struct fwp_image *image = NULL;
	size_t imports_count;
	eos_log_set_level(EOS_LOG_ERROR);
	assert_int_equal(crypto_sign_public(key.seed, key.public_key), 0);
	assert_int_equal(eos_mkdir_p(IMAGE_CACHE, 0700), 0);
	int cache_fd = open(IMAGE_CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(cache_fd >= 0);
	const struct aot_config config = {
		.cache_dir_fd = cache_fd,
		.work_dir = IMAGE_CACHE,
		.key = &key,
		.program = EDGE_AOT,
	};
	assert_int_equal(eos_read_file(AT_FDCWD, path, 1 << 24, &module), 0);
	if (aot_build(&config, name, module.data, module.len, &file, &why) < 0)
		fail_msg("%s", why.text);
	const struct fwp_import *imports = chain_imports(&imports_count);
	if (fwp_image_load(file, imports, imports_count, &image, &why) < 0)
		fail_msg("%s", why.text);
	image_close(file);
	eos_buf_fini(&module);
	eos_close(cache_fd);
	return image;
}

static struct fwp_image *image_of(size_t index, const char *path, const char *name)
{
	if (images[0] == NULL && images[1] == NULL)
		(void)atexit(forget);
	if (images[index] == NULL)
		images[index] = load(path, name);
	return images[index];
}

struct fwp_image *fixture_image(void)
{
	return image_of(0, CHAIN_GUEST_WASM, "guest");
}

struct fwp_image *fixture_page_image(void)
{
	return image_of(1, CHAIN_PAGE_GUEST_WASM, "page_guest");
}
