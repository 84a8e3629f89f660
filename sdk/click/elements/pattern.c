#include "elements/pattern.h"

#include <string.h>

#include "elements/out.h"
#include "ip.h"

/* --- parsing --- */

static bool is_dash(const char *word)
{
	return word[0] == '-' && word[1] == '\0';
}

static bool parse_address(struct click_router *router, const char *word, uint32_t *ret)
{
	return is_dash(word) || click_parse_ip_name(router, word, ret);
}

static bool parse_port(const char *word, uint16_t *ret)
{
	uint32_t port;
	if (!click_parse_u32(word, &port) || port > 65535)
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* 0 would mean what '-' does. */
static bool parse_single_port(const char *word, uint16_t *ret)
{
	return is_dash(word) || (parse_port(word, ret) && *ret > 0);
}

/* Splits "LOW-HIGH#" into TEXT, which has 64 bytes. HIGH is NULL when there is no dash. */
static bool split_range(struct click_pattern *pattern, const char *word, char *text,
			const char **ret_high)
{
	size_t len = strlen(word);
	if (len == 0 || len > 63)
		return false;
	memcpy(text, word, len + 1);
	char last = text[len - 1];
	pattern->prefers_source = last != '#' && last != '?';
	pattern->is_sequential = last == '#';
	if (!pattern->prefers_source)
		text[len - 1] = '\0';
	char *dash = strchr(text, '-');
	*ret_high = dash ? dash + 1 : NULL;
	if (dash)
		*dash = '\0';
	return true;
}

static bool set_range(struct click_pattern *pattern, uint32_t low, uint32_t high)
{
	if (low > high)
		return false;
	pattern->is_range = low < high;
	pattern->low = low;
	pattern->span = high - low;
	return true;
}

static bool parse_port_range(struct click_pattern *pattern, const char *word)
{
	char text[64];
	const char *high_text;
	uint16_t low = 0, high = 0;
	if (is_dash(word))
		return true;
	if (!split_range(pattern, word, text, &high_text) || !parse_port(text, &low))
		return false;
	high = low;
	if (high_text ? !parse_port(high_text, &high) : low == 0)
		return false;
	if (!set_range(pattern, low, high))
		return false;
	pattern->sport = low;
	return true;
}

/* The addresses of a prefix, without its first and its last: the network's own, and all hosts'. */
static bool prefix_range(uint32_t address, uint32_t mask, uint32_t *ret_low, uint32_t *ret_high)
{
	uint32_t hosts = ~click_address_to_host(mask);
	if ((hosts & (hosts + 1)) != 0)
		return false;
	*ret_low = click_address_to_host(address);
	*ret_high = *ret_low;
	if (hosts == 0)
		return true;
	*ret_low &= ~hosts;
	*ret_high = *ret_low | hosts;
	if (hosts > 1) {
		++*ret_low;
		--*ret_high;
	}
	return true;
}

static bool parse_address_range(struct click_router *router, struct click_pattern *pattern,
				const char *word)
{
	char text[64];
	const char *high_text;
	uint32_t low = 0, high = 0, mask;
	if (is_dash(word))
		return true;
	if (click_parse_ip_name(router, word, &pattern->saddr)) {
		low = click_address_to_host(pattern->saddr);
		return set_range(pattern, low, low);
	}
	if (!split_range(pattern, word, text, &high_text))
		return false;
	pattern->prefers_source = false;
	if (!high_text) {
		if (!click_parse_ip_prefix_name(router, text, &low, &mask) ||
		    !prefix_range(low, mask, &low, &high))
			return false;
	} else {
		if (!click_parse_ip_name(router, text, &low) ||
		    !click_parse_ip_name(router, high_text, &high))
			return false;
		low = click_address_to_host(low);
		high = click_address_to_host(high);
	}
	pattern->saddr = click_address_to_network(low);
	return set_range(pattern, low, high);
}

bool click_pattern_parse(struct click_pattern *pattern, struct click_router *router,
			 const char *const *words, unsigned count, struct click_args *args)
{
	memset(pattern, 0, sizeof(*pattern));
	pattern->is_of_addresses = count == 2;
	const char *bad = NULL;
	if (count == 2) {
		if (!parse_address_range(router, pattern, words[0]))
			bad = words[0];
		else if (!parse_address(router, words[1], &pattern->daddr))
			bad = words[1];
	} else if (!parse_address(router, words[0], &pattern->saddr)) {
		bad = words[0];
	} else if (!parse_port_range(pattern, words[1])) {
		bad = words[1];
	} else if (!parse_address(router, words[2], &pattern->daddr)) {
		bad = words[2];
	} else if (!parse_single_port(words[3], &pattern->dport)) {
		bad = words[3];
	}
	if (bad)
		click_args_error(args, "bad word '%s' of a pattern", bad);
	return !bad;
}

/* --- new flows --- */

static void set_value(const struct click_pattern *pattern, uint32_t offset,
		      struct click_flow_key *flow)
{
	uint32_t value = pattern->low + offset;
	if (pattern->is_of_addresses)
		flow->saddr = click_address_to_network(value);
	else
		flow->sport = (uint16_t)value;
}

static bool is_free(struct click_flow_table *table, const struct click_flow_key *flow,
		    uint64_t now_ns)
{
	struct click_flow_key reply = click_flow_reverse(flow);
	return click_flows_find(table, &reply, now_ns) == CLICK_FLOW_NONE;
}

static uint32_t first_offset(const struct click_pattern *pattern, struct click_router *router,
			     uint16_t sport)
{
	if (pattern->is_sequential)
		return pattern->next;
	if (pattern->prefers_source && sport >= pattern->low &&
	    sport - pattern->low <= pattern->span)
		return sport - pattern->low;
	uint64_t values = (uint64_t)pattern->span + 1;
	return (uint32_t)(click_random(router) * values >> 32);
}

/* Where it is remembered that there was nothing left for flows like FLOW, whose value is taken
 * out. */
static struct click_pattern_full *full_of(struct click_pattern *pattern,
					  struct click_flow_key *flow)
{
	if (pattern->is_of_addresses)
		flow->saddr = 0;
	else
		flow->sport = 0;
	uint32_t hash = (flow->daddr ^ (uint32_t)flow->dport << 16 ^ flow->saddr ^ flow->protocol) *
			0x9e3779b1u;
	return &pattern->full[hash >> 16 & (CLICK_PATTERN_FULL - 1)];
}

/* A value from the range for RET, whose other parts are there. */
static bool choose(struct click_pattern *pattern, struct click_flow_table *table,
		   struct click_router *router, uint16_t sport, uint64_t now_ns,
		   struct click_flow_key *ret)
{
	uint32_t offset = first_offset(pattern, router, sport);
	set_value(pattern, offset, ret);
	if (!pattern->is_sequential && is_free(table, ret, now_ns))
		return true;
	/* Where the source port is not free, a random one is next. */
	if (!pattern->is_sequential)
		offset = (uint32_t)(click_random(router) * ((uint64_t)pattern->span + 1) >> 32);
	for (uint32_t i = 0; i < CLICK_PATTERN_PROBES && i <= pattern->span; i++) {
		set_value(pattern, offset, ret);
		offset = offset < pattern->span ? offset + 1 : 0;
		if (pattern->is_sequential)
			pattern->next = offset;
		if (is_free(table, ret, now_ns))
			return true;
	}
	return false;
}

bool click_pattern_apply(struct click_pattern *pattern, struct click_flow_table *table,
			 struct click_router *router, const struct click_flow_key *flow,
			 uint64_t now_ns, struct click_flow_key *ret)
{
	*ret = *flow;
	if (pattern->saddr)
		ret->saddr = pattern->saddr;
	if (pattern->sport)
		ret->sport = pattern->sport;
	if (pattern->daddr)
		ret->daddr = pattern->daddr;
	if (pattern->dport)
		ret->dport = pattern->dport;
	if (!pattern->is_range)
		return is_free(table, ret, now_ns);
	struct click_flow_key key = *ret;
	struct click_pattern_full *full = full_of(pattern, &key);
	if (now_ns < full->until_ns && memcmp(&full->flow, &key, sizeof(key)) == 0)
		return false;
	if (choose(pattern, table, router, flow->sport, now_ns, ret))
		return true;
	*full = (struct click_pattern_full){key, now_ns + CLICK_PATTERN_FULL_NS};
	return false;
}

/* --- text --- */

static void print_address(struct click_out *to, uint32_t address)
{
	if (address)
		click_out_ip(to, address);
	else
		click_out_char(to, '-');
}

static void print_port(struct click_out *to, uint16_t port)
{
	if (port)
		click_out_u64(to, port);
	else
		click_out_char(to, '-');
}

static void print_range_end(const struct click_pattern *pattern, struct click_out *to)
{
	if (!pattern->is_range)
		return;
	uint32_t high = pattern->low + pattern->span;
	click_out_char(to, '-');
	if (pattern->is_of_addresses)
		click_out_ip(to, click_address_to_network(high));
	else
		click_out_u64(to, high);
	if (pattern->is_sequential)
		click_out_char(to, '#');
	else if (!pattern->prefers_source && !pattern->is_of_addresses)
		click_out_char(to, '?');
}

void click_pattern_print(const struct click_pattern *pattern, struct click_out *to)
{
	print_address(to, pattern->saddr);
	if (pattern->is_of_addresses) {
		print_range_end(pattern, to);
	} else {
		click_out_char(to, ' ');
		if (pattern->is_range)
			click_out_u64(to, pattern->low);
		else
			print_port(to, pattern->sport);
		print_range_end(pattern, to);
	}
	click_out_char(to, ' ');
	print_address(to, pattern->daddr);
	if (!pattern->is_of_addresses) {
		click_out_char(to, ' ');
		print_port(to, pattern->dport);
	}
}
