/*
 * The machine of sample_chains.h: sample_chains_test [PACKETS [SEED [NAME]]]
 *
 * PACKETS are those of each sample. A burst is of packets that are somehow changed, or of such as
 * have right checksums: then what leaves must have, too. What is sent in a burst during which a
 * stage died is shown.
 */
#include "sample_chains.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "click/click_build.h"
#include "frame.h"
#include "host_double.h"

#define SEEDS_MAX 256u
#define BURST_MAX 32u
#define IDLE_NS	  EOS_NS_PER_S
#define CHANGES	  8u

struct made {
	uint8_t data[SAMPLE_PACKET_MAX];
	struct chain_packet packet;
};

/* One sample's run. */
static struct {
	const struct sample *sample;
	struct fwp_engine *engine;
	struct fwp_image *image, *spy_image;
	struct chains *chains;
	struct chain_template *shared, *own, *spy;
	uint64_t now_ns;
	struct sample_seed seeds[SEEDS_MAX];
	unsigned seeds_count;
	struct made *made; /* BURST_MAX */
	unsigned made_count;
	bool is_right;	 /* checksums of all that is in the burst are */
	bool is_witness; /* what leaves now is for it */
	bool is_open[ATTACKERS + 1], is_witness_open;
	unsigned died, spied;
} run;

static const uint8_t spy_packet[] = "What is there besides me?";

struct sample_output *sample_outputs;
unsigned sample_outputs_count;
static unsigned run_order[32]; /* which sample is run */
static unsigned packets_each = 6000;
static uint64_t random_seed = 20261122, random_state;

static uint32_t random_below(uint32_t limit)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) % limit);
}

/* --- what leaves --- */

/* The spy's answers are what it was sent. */
static int on_spy_send(const struct chain_output *output)
{
	assert_int_equal(output->len, sizeof(spy_packet));
	assert_memory_equal(output->data, spy_packet, sizeof(spy_packet));
	run.spied++;
	return 0;
}

static int on_send(void *ctx, const struct chain_output *output)
{
	(void)ctx;
	if (output->template == run.spy)
		return on_spy_send(output);
	bool is_frame = run.sample->kind == CHAIN_FRAME;
	unsigned ports = !is_frame ? 1 : run.sample->next != NULL ? 3 : 2;
	assert_int_equal(output->kind, run.sample->kind);
	assert_in_range(output->len, 1, SAMPLE_PACKET_MAX);
	assert_true(output->port < ports);
	static uint8_t copy[SAMPLE_PACKET_MAX];
	memcpy(copy, output->data, output->len);
	if (run.is_right && is_frame) {
		struct frame frame;
		assert_true(frame_parse(&frame, copy, output->len));
		assert_true(frame.end <= output->len);
		assert_true(frame.version == 0 || host_checksums_are_right(copy, output->len));
	}
	if (!is_frame && !run.is_witness)
		assert_in_range(output->peer, 1, ATTACKERS);
	if (!run.is_witness)
		return random_below(50) == 0 ? -EAGAIN : 0;
	assert_true(sample_outputs_count < SAMPLE_OUTPUTS);
	struct sample_output *to = &sample_outputs[sample_outputs_count++];
	to->port = output->port;
	to->peer = output->peer;
	to->len = output->len;
	memcpy(to->data, copy, output->len);
	return 0;
}

static int on_close(void *ctx, const struct chain_output *output)
{
	(void)ctx;
	assert_int_equal(output->kind, CHAIN_STREAM);
	if (run.is_witness)
		run.is_witness_open = false;
	else if (output->peer <= ATTACKERS)
		run.is_open[output->peer] = false;
	return 0;
}

static void on_log(void *ctx, const struct chain_template *template, unsigned stage, unsigned level,
		   const char *text, size_t len)
{
	(void)ctx, (void)template, (void)stage;
	if (level == 0)
		fprintf(stderr, "%s says: %.*s\n", run.sample->name, (int)len, text);
}

static void on_died(void *ctx, const struct chain_template *template, uint64_t chain,
		    unsigned stage, const struct fwp_death *death, const char *place)
{
	(void)ctx, (void)template, (void)chain, (void)stage;
	fprintf(stderr, "%s died: %s (%s)\n", run.sample->name, death->text,
		place != NULL ? place : "");
	run.died++;
}

static const struct chains_ops ops = {
	.send = on_send, .close = on_close, .log = on_log, .died = on_died};

/* --- images --- */

static struct fwp_image *load(const char *name, const struct eos_buf *module)
{
	struct eos_why why = {""};
	struct image_key key;
	struct image *file = NULL;
	struct fwp_image *image = NULL;
	size_t imports_count;
	/* What the end-to-end tests compile is there, and what we do is there for them. */
	assert_int_equal(eos_mkdir_p(IMAGE_CACHE "/images", 0700), 0);
	int dir_fd = open(IMAGE_CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir_fd >= 0);
	int cache_fd = openat(dir_fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(cache_fd >= 0);
	/* Older ones of those tests were open. */
	(void)fchmodat(dir_fd, "node.key", 0600, 0);
	if (image_key_load(dir_fd, "node.key", &key, &why) < 0)
		fail_msg("%s", why.text);
	const struct aot_config config = {.cache_dir_fd = cache_fd,
					  .work_dir = IMAGE_CACHE,
					  .key = &key,
					  .program = EDGE_AOT};
	if (aot_build(&config, name, module->data, module->len, &file, &why) < 0)
		fail_msg("%s", why.text);
	const struct fwp_import *imports = chain_imports(&imports_count);
	if (fwp_image_load(file, imports, imports_count, &image, &why) < 0)
		fail_msg("%s", why.text);
	image_close(file);
	(void)close(cache_fd);
	(void)close(dir_fd);
	return image;
}

static struct fwp_image *image_of(const struct sample *sample)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0}, text = {0}, errors = {0};
	struct eos_why why = {""};
	char path[1024];
	if (sample->module != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s.wasm", SAMPLE_MODULES, sample->module);
		assert_int_equal(eos_read_file(AT_FDCWD, path, 1 << 24, &module), 0);
	} else {
		(void)snprintf(path, sizeof(path), "%s/%s/%s.click", SAMPLES, sample->name,
			       sample->name);
		assert_int_equal(eos_read_file(AT_FDCWD, path, 1 << 20, &text), 0);
		if (click_build(path, text.data, text.len, "/tmp", &module, &errors, &why) < 0)
			fail_msg("%s", why.text);
	}
	return load(sample->name, &module);
}

static struct fwp_image *spy_image(void)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	assert_int_equal(eos_read_file(AT_FDCWD, CHAIN_PAGE_GUEST_WASM, 1 << 24, &module), 0);
	return load("spy", &module);
}

/* --- chains --- */

static struct chain_template *apply(const char *name, enum chain_isolation isolation)
{
	const struct sample *sample = run.sample;
	struct chain_template *template;
	struct eos_why why = {""};
	size_t settings_count = 0;
	while (settings_count < 4 && sample->settings[settings_count].key != NULL)
		settings_count++;
	const struct chain_stage_config stage = {
		.name = sample->name,
		.image = run.image,
		.limits = {.memory_bytes = 24u << 20, .stack_bytes = 64u << 10},
		.settings = sample->settings,
		.settings_count = settings_count,
	};
	const struct chain_config config = {
		.name = name,
		.tenant = "test",
		.isolation = isolation,
		.idle_ns = IDLE_NS,
		.takes_arp = true,
		/* Of a busy machine. */
		.timeout_ns = 5 * EOS_NS_PER_S,
		.domain = isolation == CHAIN_PER_CLIENT ? 1 : 3,
		.out_domain = isolation == CHAIN_PER_CLIENT ? 2 : 4,
		.ports = {"client", "out", sample->next},
		.stages = &stage,
		.stages_count = 1,
	};
	if (chain_template_apply(run.chains, &config, &template, &why) < 0)
		fail_msg("%s", why.text);
	return template;
}

/* Another tenant's function, which looks at all of the page that its packets are in. */
static struct chain_template *apply_spy(void)
{
	static const struct chain_setting settings[] = {
		{"id", "s"}, {"page", "1"}, {"slot", "0"}, {"buffer", "64"}, {"capacity", "2240"}};
	struct chain_template *template;
	struct eos_why why = {""};
	const struct chain_stage_config stage = {.name = "spy",
						 .image = run.spy_image,
						 .settings = settings,
						 .settings_count = EOS_ARRAY_SIZE(settings)};
	const struct chain_config config = {
		.name = "spy",
		.tenant = "spy",
		.isolation = CHAIN_PER_TENANT,
		.timeout_ns = 5 * EOS_NS_PER_S,
		.domain = 5,
		.out_domain = 6,
		.stages = &stage,
		.stages_count = 1,
	};
	if (chain_template_apply(run.chains, &config, &template, &why) < 0)
		fail_msg("%s", why.text);
	return template;
}

static void check_spied(void *ctx, const char *name, uint64_t value)
{
	(void)ctx;
	if (strcmp(name, "leaks") == 0 || strcmp(name, "wrong") == 0)
		assert_int_equal(value, 0);
	if (strcmp(name, "packets") == 0)
		assert_int_equal(value, run.spied);
}

void seed_add(enum chain_side side, const void *data, uint32_t len)
{
	assert_true(run.seeds_count < SEEDS_MAX && len <= SAMPLE_PACKET_MAX);
	struct sample_seed *seed = &run.seeds[run.seeds_count++];
	*seed = (struct sample_seed){.side = (uint8_t)side, .len = len, .data = malloc(len + 1)};
	assert_non_null(seed->data);
	memcpy(seed->data, data, len);
}

static int setup(void **state)
{
	struct eos_why why = {""};
	memset(&run, 0, sizeof(run));
	run.sample = &samples[*(const unsigned *)*state];
	run.image = image_of(run.sample);
	run.spy_image = spy_image();
	const struct fwp_engine_config engine = {.fwps_max = 64};
	if (fwp_engine_new(&engine, &run.engine, &why) < 0)
		fail_msg("%s", why.text);
	const struct chains_config config = {
		.engine = run.engine, .ops = &ops, .chains_max = 32, .flows_max = 4096};
	if (chains_new(&config, &run.chains, &why) < 0)
		fail_msg("%s", why.text);
	run.now_ns = eos_now_ns();
	run.made = calloc(BURST_MAX, sizeof(*run.made));
	sample_outputs = calloc(SAMPLE_OUTPUTS, sizeof(*sample_outputs));
	assert_true(run.made != NULL && sample_outputs != NULL);
	run.shared = apply("shared", CHAIN_PER_TENANT);
	run.own = apply("own", CHAIN_PER_CLIENT);
	run.spy = apply_spy();
	run.sample->add_seeds();
	random_state = random_seed;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chains_free(run.chains);
	fwp_engine_free(run.engine);
	fwp_image_unref(run.image);
	fwp_image_unref(run.spy_image);
	for (unsigned i = 0; i < run.seeds_count; i++)
		free(run.seeds[i].data);
	free(run.made);
	free(sample_outputs);
	return 0;
}

static void set_peer(struct chain_packet *packet, unsigned peer)
{
	static const uint8_t prefix[] = {[10] = 0xff, [11] = 0xff, [12] = 10};
	packet->peer = peer;
	memcpy(packet->peer_address, prefix, sizeof(prefix));
	packet->peer_address[15] = (uint8_t)peer;
	packet->peer_port = (uint16_t)(1024 + peer);
	packet->local_port = 4000;
}

void witness_sends(enum chain_side side, const void *data, uint32_t len)
{
	struct chain_packet packet = {.data = data,
				      .len = len,
				      .kind = (uint8_t)run.sample->kind,
				      .side = (uint8_t)side,
				      .template = run.own};
	if (packet.kind != CHAIN_FRAME)
		set_peer(&packet, WITNESS);
	/* Translated addresses are not the client's: the flow says whose they are. */
	if (packet.kind == CHAIN_FRAME && side == CHAIN_OUT)
		packet = (struct chain_packet){
			.data = data, .len = len, .side = CHAIN_OUT, .domain = 2};
	if (packet.kind == CHAIN_STREAM && !run.is_witness_open)
		packet.flags = CHAIN_FIRST;
	run.is_witness_open = run.is_witness = true;
	sample_outputs_count = 0;
	chains_deliver(run.chains, &packet, 1, run.now_ns);
	run.is_witness = false;
}

/* --- hostile packets --- */

static void change(uint8_t *data, uint32_t *len)
{
	static const uint16_t numbers[] = {0, 1, 4, 5, 8, 20, 0x7fff, 0x8000, 0xfffe, 0xffff};
	const struct sample_seed *other = &run.seeds[random_below(run.seeds_count)];
	uint32_t at = *len == 0 ? 0 : random_below(*len);
	/* Mostly in the headers. */
	if (random_below(3) != 0 && *len > 60)
		at = random_below(60);
	switch (random_below(8)) {
	case 0:
		*len = at;
		break;
	case 1: /* the other's end */
		if (at < other->len) {
			memcpy(data + at, other->data + at, other->len - at);
			*len = other->len;
		}
		break;
	case 2: /* longer */
		at = 1 + random_below(random_below(4) == 0 ? 2000 : 64);
		if (*len + at <= SAMPLE_PACKET_MAX) {
			memset(data + *len, (int)random_below(256), at);
			*len += at;
		}
		break;
	case 3: /* something twice */
		if (*len > 0 && 2 * *len - at <= SAMPLE_PACKET_MAX) {
			memmove(data + *len, data + at, *len - at);
			*len += *len - at;
		}
		break;
	case 4:
		if (*len >= 2)
			frame_put_u16(data + EOS_MIN(at, *len - 2), numbers[random_below(10)]);
		break;
	default:
		if (*len > 0)
			data[at] = random_below(2) == 0
					   ? (uint8_t)random_below(256)
					   : data[at] ^ (uint8_t)(1 << random_below(8));
	}
}

/* Is it the witness's, or for it? */
static bool concerns_witness(const uint8_t *data, uint32_t len)
{
	struct flow_packet headers;
	flow_parse(data, len, &headers);
	return headers.source[15] == WITNESS || headers.target[15] == WITNESS;
}

/* Whole, with right checksums; false: it is none that has them. */
static bool set_right(uint8_t *data, uint32_t len)
{
	struct frame frame;
	if (!frame_parse(&frame, data, len) || frame.is_fragment)
		return false;
	if (frame.version != 0)
		frame_fill_checksums(&frame);
	return frame.version == 0 || host_checksums_are_right(data, len);
}

static void set_stream(struct chain_packet *packet)
{
	bool *is_open = &run.is_open[packet->peer];
	packet->flags = *is_open ? 0 : CHAIN_FIRST;
	*is_open = random_below(40) != 0;
	if (!*is_open) {
		packet->flags |= CHAIN_LAST;
		packet->len = 0;
	} else if (packet->len == 0) {
		packet->len = 1; /* whatever lies there */
	}
}

static void add_hostile(const struct sample_seed *seed, unsigned changes,
			struct chain_template *template)
{
	struct made *made = &run.made[run.made_count];
	uint32_t len = seed->len;
	memcpy(made->data, seed->data, len);
	while (changes-- > 0)
		change(made->data, &len);
	/* What has no room in the slot is not for the stage. */
	len = EOS_MIN(len, chain_template_packet_max(template));
	bool is_frame = run.sample->kind == CHAIN_FRAME;
	if (is_frame && (len == 0 || concerns_witness(made->data, len)))
		return;
	if (is_frame && run.is_right && !set_right(made->data, len))
		return;
	unsigned side = random_below(8) == 0 ? !seed->side : seed->side;
	made->packet = (struct chain_packet){.data = made->data,
					     .len = len,
					     .kind = (uint8_t)run.sample->kind,
					     .side = is_frame ? (uint8_t)side : CHAIN_CLIENT,
					     .template = template};
	if (!is_frame)
		set_peer(&made->packet, 1 + random_below(ATTACKERS));
	if (made->packet.kind == CHAIN_STREAM)
		set_stream(&made->packet);
	run.made_count++;
}

static void show_burst(void)
{
	for (unsigned i = 0; i < run.made_count; i++) {
		const struct chain_packet *packet = &run.made[i].packet;
		fprintf(stderr, "side %u flags %u peer %u:", packet->side, packet->flags,
			packet->peer);
		for (uint32_t k = 0; k < packet->len; k++)
			fprintf(stderr, " %02x", packet->data[k]);
		fputc('\n', stderr);
	}
}

static void check_stage(const struct chain_template *template)
{
	struct chain_stage_stats stats;
	assert_int_equal(chain_template_stage_stats(template, 0, &stats), 0);
	assert_int_equal(stats.died, 0);
	assert_int_equal(stats.refused, 0);
}

static void deliver_burst(void)
{
	struct chain_packet packets[2 * BURST_MAX];
	unsigned spied = run.spied;
	for (unsigned i = 0; i < run.made_count; i++) {
		packets[2 * i] = run.made[i].packet;
		packets[2 * i + 1] = (struct chain_packet){.data = spy_packet,
							   .len = sizeof(spy_packet),
							   .kind = CHAIN_DATAGRAM,
							   .template = run.spy};
	}
	chains_deliver(run.chains, packets, 2 * run.made_count, run.now_ns);
	assert_int_equal(run.spied - spied, run.made_count);
	chain_template_counters(run.spy, 0, check_spied, NULL);
	(void)chains_work(run.chains, run.now_ns);
	while (chains_maintain(run.chains))
		;
	if (run.died > 0)
		show_burst();
	check_stage(run.shared);
	check_stage(run.own);
	run.now_ns += random_below(20) * EOS_NS_PER_MS;
}

static void survives(void **state)
{
	(void)state;
	unsigned bursts = 0;
	if (run.sample->greet != NULL)
		run.sample->greet();
	for (unsigned count = 0; count < packets_each; bursts++) {
		struct chain_template *template = bursts % 2 == 0 ? run.shared : run.own;
		unsigned size = 1 + random_below(BURST_MAX), changes = random_below(CHANGES);
		unsigned first = random_below(run.seeds_count);
		run.made_count = 0;
		run.is_right = run.sample->kind == CHAIN_FRAME && random_below(2) == 0;
		/* Also as they are, in their order: what is remembered of them is there then. */
		for (unsigned i = 0; i < size; i++) {
			unsigned index = changes == 0 ? first + i : random_below(run.seeds_count);
			add_hostile(&run.seeds[index % run.seeds_count], changes, template);
		}
		deliver_burst();
		run.is_right = false;
		run.sample->check();
		count += size;
	}
	struct chain_stats shared, own;
	chain_template_stats(run.shared, &shared);
	chain_template_stats(run.own, &own);
	/* It was not about nothing: what has no address has no client. */
	assert_true(shared.packets > packets_each / 8 && own.packets > packets_each / 20);
	assert_true(own.started > ATTACKERS / 2);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[32];
	unsigned count = 0;
	if (argc > 1)
		packets_each = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		random_seed = strtoull(argv[2], NULL, 10);
	eos_log_set_level(EOS_LOG_ERROR);
	for (unsigned i = 0; i < samples_count; i++) {
		if (argc > 3 && strcmp(argv[3], samples[i].name) != 0)
			continue;
		run_order[i] = i;
		tests[count++] = (struct CMUnitTest){.name = samples[i].name,
						     .test_func = survives,
						     .setup_func = setup,
						     .teardown_func = teardown,
						     .initial_state = &run_order[i]};
	}
	printf("seed %llu, %u packets each\n", (unsigned long long)random_seed, packets_each);
	return _cmocka_run_group_tests("samples", tests, count, NULL, NULL);
}
