#include "elements/rewriter.h"

#include <string.h>

#define SECOND_NS     1000000000ull
#define TIME_MAX_NS   (366ull * 86400 * SECOND_NS)
#define REAP_NS	      (15ull * 60 * SECOND_NS)
#define REAP_MAX      256u /* flows a run of the timer */
#define REAP_AGAIN_NS 1000000ull
#define SHARES_MAX    8u
#define WORDS_MAX     8u
#define MAP_MAX	      65535u

/* --- configuration --- */

void click_rewriter_init(struct click_rewriter *rewriter, const struct click_rewriter_kind *kind)
{
	rewriter->kind = kind;
	rewriter->capacity = CLICK_FLOWS_DEFAULT;
	rewriter->has_dst_anno = true;
	rewriter->reap_ns = REAP_NS;
}

static uint64_t limit_time(uint64_t time_ns)
{
	return time_ns < TIME_MAX_NS ? time_ns : TIME_MAX_NS;
}

void click_rewriter_timeout(struct click_rewriter *rewriter, unsigned timeout, uint64_t timeout_ns,
			    uint64_t guarantee_ns)
{
	struct click_flow_list *list = &rewriter->lists[timeout];
	list->owner = rewriter;
	list->guarantee_ns = limit_time(guarantee_ns);
	list->timeout_ns = limit_time(timeout_ns);
	if (list->timeout_ns < list->guarantee_ns)
		list->timeout_ns = list->guarantee_ns;
}

static bool parse_output(const char *word, uint32_t outputs_count, uint16_t *ret,
			 struct click_args *args)
{
	uint32_t output;
	if (!click_parse_u32(word, &output) || output >= outputs_count) {
		click_args_error(args, "'%s' is not an output", word);
		return false;
	}
	*ret = (uint16_t)output;
	return true;
}

bool click_rewriter_outputs(const char *const *words, uint32_t outputs_count, uint16_t ret[2],
			    struct click_args *args)
{
	return parse_output(words[0], outputs_count, &ret[0], args) &&
	       parse_output(words[1], outputs_count, &ret[1], args);
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

/* WORDS behind "pattern": a pattern or its name, and two outputs. */
static bool parse_pattern(struct click_rewriter *rewriter, struct click_rewriter_input *input,
			  const char *const *words, unsigned count, struct click_args *args)
{
	unsigned pattern_words = rewriter->kind->has_ports ? 4 : 2;
	input->action = CLICK_REWRITER_PATTERN;
	if (count != 3 && count != pattern_words + 2) {
		click_args_error(args, "expected 'pattern %s FOUTPUT ROUTPUT'",
				 pattern_words == 4 ? "SADDR SPORT DADDR DPORT" : "SADDR DADDR");
		return false;
	}
	if (!click_rewriter_outputs(words + count - 2, rewriter->element.outputs_count,
				    input->output, args))
		return false;
	if (count == 3) {
		input->name = words[0];
		return true;
	}
	input->pattern = click_alloc(rewriter->element.router, sizeof(*input->pattern));
	if (!input->pattern) {
		click_args_error(args, "no memory for a pattern");
		return false;
	}
	return click_pattern_parse(input->pattern, rewriter->element.router, words, pattern_words,
				   args);
}

static bool parse_input(struct click_rewriter *rewriter, struct click_rewriter_input *input,
			const char *text, struct click_args *args)
{
	const uint32_t outputs = rewriter->element.outputs_count;
	const char *words[WORDS_MAX];
	unsigned count = click_words(rewriter->element.router, text, words, WORDS_MAX);
	if (count == 1 && is_one_of(words[0], "drop", "discard", "drop")) {
		input->action = CLICK_REWRITER_DROP;
		return true;
	}
	if (count >= 1 && count <= 2 && is_one_of(words[0], "pass", "nochange", "passthrough")) {
		input->action = CLICK_REWRITER_PASS;
		return count == 1 || parse_output(words[1], outputs, &input->output[0], args);
	}
	if (count == 3 && strcmp(words[0], "keep") == 0) {
		input->action = CLICK_REWRITER_KEEP;
		return click_rewriter_outputs(words + 1, outputs, input->output, args);
	}
	if (count >= 1 && is_one_of(words[0], "pattern", "xlate", "xpattern"))
		return parse_pattern(rewriter, input, words + 1, count - 1, args);
	if (count == 1) {
		input->action = CLICK_REWRITER_MAPPER;
		input->name = words[0];
		return true;
	}
	click_args_error(args, "'%s' is not an input's specification", text);
	return false;
}

static void read_keywords(struct click_rewriter *rewriter, struct click_args *args)
{
	const char *capacity = NULL;
	click_arg_duration_ns(args, "REAP_INTERVAL", 0, &rewriter->reap_ns);
	click_arg_duration_ns(args, "REAP_TIME", 0, &rewriter->reap_ns);
	click_arg_text(args, "CAPACITY", 0, &capacity);
	click_arg_text(args, "MAPPING_CAPACITY", 0, &capacity);
	click_arg_bool(args, "DST_ANNO", 0, &rewriter->has_dst_anno);
	rewriter->reply_anno = UINT32_MAX;
	click_arg_anno(args, "REPLY_ANNO", 0, 1, &rewriter->reply_anno);
	rewriter->has_reply_anno = rewriter->reply_anno != UINT32_MAX;
	rewriter->reap_ns = limit_time(rewriter->reap_ns);
	if (rewriter->reap_ns < REAP_AGAIN_NS)
		rewriter->reap_ns = REAP_AGAIN_NS;
	if (!capacity)
		return;
	if (!click_parse_u32(capacity, &rewriter->capacity))
		rewriter->capacity_of = capacity;
	else if (rewriter->capacity == 0 || rewriter->capacity > CLICK_FLOWS_MAX)
		click_args_error(args, "MAPPING_CAPACITY must be 1 to %u", CLICK_FLOWS_MAX);
}

int click_rewriter_configure(struct click_rewriter *rewriter, struct click_args *args)
{
	struct click_element *element = &rewriter->element;
	read_keywords(rewriter, args);
	rewriter->inputs = click_alloc(element->router,
				       (element->inputs_count + 1) * sizeof(*rewriter->inputs));
	if (!rewriter->inputs) {
		click_args_error(args, "no memory for %u inputs", element->inputs_count);
		return -1;
	}
	for (; rewriter->inputs_count <= element->inputs_count; rewriter->inputs_count++) {
		const char *text = NULL;
		click_arg_text(args, "INPUTSPEC", CLICK_POSITIONAL, &text);
		if (!text)
			break;
		parse_input(rewriter, &rewriter->inputs[rewriter->inputs_count], text, args);
	}
	if (rewriter->inputs_count != element->inputs_count)
		click_args_error(args, "%u inputs need as many specifications",
				 element->inputs_count);
	return click_args_end(args);
}

/* --- start --- */

/* The flows of the element that MAPPING_CAPACITY names, or that one names, … */
static struct click_rewriter *find_owner(struct click_rewriter *rewriter, struct click_args *args)
{
	struct click_rewriter *owner = rewriter;
	for (unsigned i = 0; owner->capacity_of; i++) {
		struct click_element *element = click_find(&owner->element, owner->capacity_of);
		struct click_rewriter *next = element ? click_rewriter_of(element) : NULL;
		if (!next || i == SHARES_MAX) {
			click_args_error(args, "MAPPING_CAPACITY: '%s' is not a rewriter%s",
					 owner->capacity_of, next ? " of its own" : "");
			return NULL;
		}
		owner = next;
	}
	return owner;
}

static struct click_rewriter_flows *make_flows(struct click_rewriter *owner,
					       struct click_args *args)
{
	struct click_router *router = owner->element.router;
	if (owner->flows)
		return owner->flows;
	struct click_rewriter_flows *flows = click_alloc(router, sizeof(*flows));
	if (!flows || !click_flows_init(&flows->table, router, owner->capacity)) {
		click_args_error(args, "no memory for %u mappings", owner->capacity);
		return NULL;
	}
	return owner->flows = flows;
}

static int join_flows(struct click_rewriter *rewriter, struct click_args *args)
{
	struct click_rewriter *owner = find_owner(rewriter, args);
	rewriter->flows = owner ? make_flows(owner, args) : NULL;
	if (!rewriter->flows)
		return -1;
	rewriter->map = (uint16_t)rewriter->flows->maps_count++;
	for (unsigned i = 0; i < CLICK_REWRITER_TIMEOUTS; i++) {
		if (!rewriter->lists[i].owner)
			continue;
		if (!click_flows_add_list(&rewriter->flows->table, &rewriter->lists[i])) {
			click_args_error(args, "too many elements share a capacity");
			return -1;
		}
	}
	return 0;
}

static void resolve_input(struct click_rewriter *rewriter, struct click_rewriter_input *input,
			  struct click_args *args)
{
	const bool has_ports = rewriter->kind->has_ports;
	if (!input->name)
		return;
	if (input->action == CLICK_REWRITER_PATTERN) {
		input->pattern = click_pattern_find(rewriter->element.router, input->name);
		if (!input->pattern)
			click_args_error(args, "there is no pattern '%s'", input->name);
		else if (input->pattern->is_of_addresses == has_ports)
			click_args_error(args, "the pattern '%s' has %s ports", input->name,
					 has_ports ? "no" : "got");
		return;
	}
	struct click_element *element = click_find(&rewriter->element, input->name);
	input->mapper = element ? click_mapper_of(element) : NULL;
	if (!input->mapper)
		click_args_error(args, "'%s' is neither a specification nor a mapper", input->name);
	else if (input->mapper->has_ports != has_ports)
		click_args_error(args, "'%s' is for another kind of rewriter", input->name);
	else if (input->mapper->output_max >= rewriter->element.outputs_count)
		click_args_error(args, "'%s' has an output %u", input->name,
				 input->mapper->output_max);
}

int click_rewriter_initialize(struct click_element *element, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	if (join_flows(rewriter, args) < 0)
		return -1;
	for (uint32_t i = 0; i < rewriter->inputs_count; i++)
		resolve_input(rewriter, &rewriter->inputs[i], args);
	click_timer_set(element, click_now_ns() + rewriter->reap_ns);
	return 0; /* what was told counts */
}

void click_rewriter_run_timer(struct click_element *element)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	uint64_t now_ns = click_now_ns();
	uint32_t removed = click_flows_expire(&rewriter->flows->table, now_ns, REAP_MAX);
	click_timer_set(element,
			now_ns + (removed == REAP_MAX ? REAP_AGAIN_NS : rewriter->reap_ns));
}

struct click_rewriter *click_rewriter_of(struct click_element *element)
{
	return element->more->class->push == click_rewriter_push ? (struct click_rewriter *)element
								 : NULL;
}

uint32_t click_rewriter_mappings(const struct click_rewriter *rewriter)
{
	uint32_t count = 0;
	for (unsigned i = 0; i < CLICK_REWRITER_TIMEOUTS; i++)
		count += rewriter->lists[i].count;
	return count;
}

/* --- packets --- */

/* What a new flow becomes. False: nothing. */
static bool map_flow(struct click_rewriter *rewriter, struct click_rewriter_input *input,
		     const struct click_flow_key *flow, uint64_t now_ns,
		     struct click_flow_key *ret_becomes, uint16_t ret_output[2])
{
	ret_output[0] = input->output[0];
	ret_output[1] = input->output[1];
	switch (input->action) {
	case CLICK_REWRITER_KEEP:
		*ret_becomes = *flow;
		return true;
	case CLICK_REWRITER_PATTERN:
		return click_pattern_apply(input->pattern, &rewriter->flows->table,
					   rewriter->element.router, flow, now_ns, ret_becomes);
	case CLICK_REWRITER_MAPPER:
		return input->mapper->map(input->mapper, rewriter, flow, now_ns, ret_becomes,
					  ret_output);
	case CLICK_REWRITER_DROP:
	case CLICK_REWRITER_PASS:
		break;
	}
	return false;
}

static struct click_flow *create(struct click_rewriter *rewriter,
				 struct click_rewriter_input *input,
				 const struct click_flow_key *forward, uint64_t now_ns)
{
	struct click_flow_key becomes;
	uint16_t output[2];
	struct click_flow *flow = NULL;
	if (map_flow(rewriter, input, forward, now_ns, &becomes, output) &&
	    (!rewriter->kind->accepts || rewriter->kind->accepts(forward, &becomes))) {
		struct click_flow_key reply = click_flow_reverse(&becomes);
		flow = click_flows_add(&rewriter->flows->table, forward, &reply,
				       &rewriter->lists[0], now_ns);
	}
	if (!flow) {
		rewriter->failures++;
		return NULL;
	}
	flow->output[0] = output[0];
	flow->output[1] = output[1];
	return flow;
}

static void pass_or_drop(struct click_rewriter *rewriter, const struct click_rewriter_input *input,
			 struct click_packet *packet)
{
	if (input->action == CLICK_REWRITER_PASS) {
		click_push(&rewriter->element, input->output[0], packet);
		return;
	}
	rewriter->drops++;
	click_kill(&rewriter->element, packet);
}

static void rewrite(struct click_rewriter *rewriter, struct click_packet *packet,
		    const struct click_ip *ip, struct click_flow *flow, unsigned way,
		    uint64_t now_ns)
{
	rewriter->kind->rewrite(rewriter, packet, ip, flow, way);
	unsigned timeout = rewriter->kind->timeout(rewriter, ip, flow, way);
	click_flows_use(&rewriter->flows->table, flow, &rewriter->lists[timeout], now_ns);
	if (way == 1 && rewriter->has_reply_anno)
		click_anno_set(packet, rewriter->reply_anno, 1, flow->state[3]);
	click_push(&rewriter->element, flow->output[way], packet);
}

void click_rewriter_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	struct click_rewriter_input *input = &rewriter->inputs[port];
	struct click_flow_table *table = &rewriter->flows->table;
	struct click_flow_key keys[2] = {0};
	struct click_ip ip;
	bool may_create = true;
	unsigned count = 0;
	if (click_ip_get(packet, &ip))
		count = rewriter->kind->keys(rewriter, &ip, keys, &may_create);
	uint64_t now_ns = click_now_ns();
	for (unsigned i = 0; i < count; i++) {
		keys[i].map = rewriter->map;
		uint32_t entry = click_flows_find(table, &keys[i], now_ns);
		if (entry != CLICK_FLOW_NONE) {
			rewrite(rewriter, packet, &ip, &table->flows[entry / 2], entry % 2, now_ns);
			return;
		}
	}
	struct click_flow *flow = NULL;
	if (count == 0 || !may_create)
		rewriter->unmappable += input->action != CLICK_REWRITER_PASS;
	else if (input->action >= CLICK_REWRITER_KEEP)
		flow = create(rewriter, input, &keys[0], now_ns);
	if (!flow) {
		pass_or_drop(rewriter, input, packet);
		return;
	}
	if (rewriter->has_reply_anno)
		flow->state[3] = (uint8_t)click_anno_get(packet, rewriter->reply_anno, 1);
	rewrite(rewriter, packet, &ip, flow, 0, now_ns);
}

/* --- checksums --- */

uint32_t click_change_u16(uint32_t old, uint32_t new)
{
	return (uint32_t)(uint16_t)~old + (uint16_t) new;
}

uint32_t click_change_address(uint32_t old, uint32_t new)
{
	uint32_t old_host = click_address_to_host(old), new_host = click_address_to_host(new);
	return click_change_u16(old_host >> 16, new_host >> 16) +
	       click_change_u16(old_host, new_host);
}

void click_rewriter_fix(uint8_t *at, uint32_t change)
{
	/* RFC 1624: HC' = ~(~HC + ~m + m') */
	uint32_t sum = (uint16_t)~click_get_u16(at);
	click_put_u16(at, click_sum_finish(sum + change));
}

uint32_t click_rewriter_set_addresses(uint8_t *header, uint32_t saddr, uint32_t daddr)
{
	uint32_t change = click_change_address(click_get_address(header + 12), saddr) +
			  click_change_address(click_get_address(header + 16), daddr);
	click_put_address(header + 12, saddr);
	click_put_address(header + 16, daddr);
	click_rewriter_fix(header + 10, change);
	return change;
}
