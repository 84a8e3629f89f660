/* What can be read of rewriters: their mappings, counters and patterns; and what can be changed. */
#include <string.h>

#include "elements/out.h"
#include "elements/rewriter.h"
#include "elements/split.h"

uint64_t click_rewriter_count_mappings(struct click_element *element)
{
	return click_rewriter_mappings((const struct click_rewriter *)element);
}

uint64_t click_rewriter_count_failures(struct click_element *element)
{
	return ((const struct click_rewriter *)element)->failures;
}

uint64_t click_rewriter_count_drops(struct click_element *element)
{
	return ((const struct click_rewriter *)element)->drops;
}

uint64_t click_rewriter_count_size(struct click_element *element)
{
	const struct click_rewriter *rewriter = (const struct click_rewriter *)element;
	return rewriter->flows ? rewriter->flows->table.count : 0;
}

uint32_t click_rewriter_read_capacity(struct click_element *element, char *out, uint32_t size)
{
	const struct click_rewriter *rewriter = (const struct click_rewriter *)element;
	return click_out_number(out, size, rewriter->flows ? rewriter->flows->table.limit : 0);
}

int click_rewriter_write_capacity(struct click_element *element, const char *text,
				  struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	struct click_flow_table *table = &rewriter->flows->table;
	uint32_t capacity = 0;
	(void)text;
	click_arg_u32(args, "CAPACITY", CLICK_POSITIONAL | CLICK_MANDATORY, &capacity);
	if (capacity == 0 || capacity > table->capacity)
		click_args_error(args, "CAPACITY can be 1 to %u here", table->capacity);
	if (click_args_end(args) < 0)
		return -1;
	click_flows_set_limit(table, capacity);
	return 0;
}

int click_rewriter_write_clear(struct click_element *element, const char *text,
			       struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	struct click_flow_table *table = &rewriter->flows->table;
	(void)text;
	(void)args;
	for (unsigned i = 0; i < CLICK_REWRITER_TIMEOUTS; i++)
		while (rewriter->lists[i].count)
			click_flows_remove(table, &table->flows[rewriter->lists[i].first]);
	return 0;
}

uint32_t click_rewriter_read_patterns(struct click_element *element, char *out, uint32_t size)
{
	const struct click_rewriter *rewriter = (const struct click_rewriter *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	for (uint32_t i = 0; i < rewriter->inputs_count; i++) {
		const struct click_rewriter_input *input = &rewriter->inputs[i];
		if (!input->pattern)
			continue;
		click_pattern_print(input->pattern, &to);
		for (unsigned way = 0; way < 2; way++) {
			click_out_char(&to, ' ');
			click_out_u64(&to, input->output[way]);
		}
		click_out_char(&to, '\n');
	}
	return to.len;
}

/* --- mappings --- */

static void print_side(const struct click_rewriter *rewriter, uint32_t address, uint16_t port,
		       struct click_out *to)
{
	if (address)
		click_out_ip(to, address);
	else
		click_out_char(to, '-');
	if (!rewriter->kind->has_ports)
		return;
	click_out_add(to, ", ");
	click_out_u64(to, port);
}

static void print_key(const struct click_rewriter *rewriter, const struct click_flow_key *key,
		      struct click_out *to)
{
	click_out_char(to, '(');
	print_side(rewriter, key->saddr, key->sport, to);
	click_out_add(to, ", ");
	print_side(rewriter, key->daddr, key->dport, to);
	click_out_char(to, ')');
}

/* "(SA, SP, DA, DP) => (SA', SP', DA', DP') [*F R]", and the other way round. */
static void print_flow(const struct click_rewriter *rewriter, const struct click_flow *flow,
		       struct click_out *to)
{
	for (unsigned way = 0; way < 2; way++) {
		struct click_flow_key becomes = click_flow_reverse(&flow->key[!way]);
		print_key(rewriter, &flow->key[way], to);
		click_out_add(to, " => ");
		print_key(rewriter, &becomes, to);
		click_out_add(to, way == 0 ? " [*" : " [");
		click_out_u64(to, flow->output[0]);
		click_out_add(to, way == 0 ? " " : " *");
		click_out_u64(to, flow->output[1]);
		click_out_add(to, "]\n");
	}
}

/* Of PROTOCOL, or of all where that is 0. */
static uint32_t read_flows(struct click_element *element, uint8_t protocol, char *out,
			   uint32_t size)
{
	const struct click_rewriter *rewriter = (const struct click_rewriter *)element;
	const struct click_flow_table *table = &rewriter->flows->table;
	struct click_out to;
	click_out_init(&to, out, size);
	for (unsigned i = 0; i < CLICK_REWRITER_TIMEOUTS; i++) {
		if (rewriter->lists[i].count == 0)
			continue;
		uint32_t index = rewriter->lists[i].first;
		while (index != CLICK_FLOW_NONE && to.len < size) {
			const struct click_flow *flow = &table->flows[index];
			if (!protocol || flow->key[0].protocol == protocol)
				print_flow(rewriter, flow, &to);
			index = flow->next;
		}
	}
	return to.len;
}

uint32_t click_rewriter_read_table(struct click_element *element, char *out, uint32_t size)
{
	return read_flows(element, 0, out, size);
}

uint32_t click_rewriter_read_tcp_table(struct click_element *element, char *out, uint32_t size)
{
	return read_flows(element, CLICK_TCP, out, size);
}

uint32_t click_rewriter_read_udp_table(struct click_element *element, char *out, uint32_t size)
{
	return read_flows(element, CLICK_UDP, out, size);
}

/* --- lookups: a flow is written, and what it becomes is read --- */

static int write_lookup(struct click_element *element, uint8_t protocol, const char *text,
			struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	struct click_flow_key key = {.map = rewriter->map, .protocol = protocol};
	struct click_split split;
	uint32_t sport, dport;
	if (!click_split(&split, text, (uint32_t)strlen(text)) || split.count != 4 ||
	    !click_parse_ip_name(element->router, split.words[0], &key.saddr) ||
	    !click_parse_u32(split.words[1], &sport) || sport > 65535 ||
	    !click_parse_ip_name(element->router, split.words[2], &key.daddr) ||
	    !click_parse_u32(split.words[3], &dport) || dport > 65535) {
		click_args_error(args, "expected 'SADDR SPORT DADDR DPORT'");
		return -1;
	}
	key.sport = (uint16_t)sport;
	key.dport = (uint16_t)dport;
	rewriter->looked_up = key;
	rewriter->is_looked_up = true;
	return 0;
}

int click_rewriter_write_tcp_lookup(struct click_element *element, const char *text,
				    struct click_args *args)
{
	return write_lookup(element, CLICK_TCP, text, args);
}

int click_rewriter_write_udp_lookup(struct click_element *element, const char *text,
				    struct click_args *args)
{
	return write_lookup(element, CLICK_UDP, text, args);
}

uint32_t click_rewriter_read_lookup(struct click_element *element, char *out, uint32_t size)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	struct click_flow_table *table = &rewriter->flows->table;
	uint32_t entry = CLICK_FLOW_NONE;
	struct click_out to;
	click_out_init(&to, out, size);
	if (rewriter->is_looked_up)
		entry = click_flows_find(table, &rewriter->looked_up, click_now_ns());
	if (entry == CLICK_FLOW_NONE)
		return 0;
	const struct click_flow_key *other = &table->flows[entry / 2].key[!(entry % 2)];
	click_out_ip(&to, other->daddr);
	click_out_char(&to, ' ');
	click_out_u64(&to, other->dport);
	click_out_char(&to, ' ');
	click_out_ip(&to, other->saddr);
	click_out_char(&to, ' ');
	click_out_u64(&to, other->sport);
	return to.len;
}
