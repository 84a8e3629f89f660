#include "elements/out.h"

#include <string.h>

void click_out_init(struct click_out *to, char *out, uint32_t size)
{
	*to = (struct click_out){.out = out, .size = size};
}

void click_out_char(struct click_out *to, char c)
{
	if (to->len < to->size)
		to->out[to->len++] = c;
}

void click_out_add(struct click_out *to, const char *string)
{
	while (*string)
		click_out_char(to, *string++);
}

void click_out_u64(struct click_out *to, uint64_t value)
{
	char digits[20];
	unsigned count = 0;
	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (count)
		click_out_char(to, digits[--count]);
}

void click_out_i64(struct click_out *to, int64_t value)
{
	if (value < 0)
		click_out_char(to, '-');
	click_out_u64(to, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* PART of 10^DECIMALS, without zeroes at the end. */
static void add_decimals(struct click_out *to, uint64_t part, unsigned decimals)
{
	if (!part)
		return;
	char digits[9];
	for (unsigned i = decimals; i > 0; i--) {
		digits[i - 1] = (char)('0' + part % 10);
		part /= 10;
	}
	while (digits[decimals - 1] == '0')
		decimals--;
	click_out_char(to, '.');
	for (unsigned i = 0; i < decimals; i++)
		click_out_char(to, digits[i]);
}

void click_out_fraction(struct click_out *to, uint64_t value, unsigned bits)
{
	uint64_t part = value & ((1ull << bits) - 1);
	/* Rounded: 0.02 of 16 bits is to read as 0.019989, not as less. */
	uint64_t millionths = (part * 1000000 + (1ull << bits) / 2) >> bits;
	uint64_t whole = (value >> bits) + millionths / 1000000;
	click_out_u64(to, whole);
	add_decimals(to, millionths % 1000000, 6);
}

void click_out_seconds(struct click_out *to, uint64_t value_ns)
{
	click_out_u64(to, value_ns / 1000000000);
	add_decimals(to, value_ns % 1000000000, 9);
}

void click_out_ip(struct click_out *to, uint32_t address)
{
	uint8_t bytes[4];
	memcpy(bytes, &address, sizeof(bytes));
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			click_out_char(to, '.');
		click_out_u64(to, bytes[i]);
	}
}

void click_out_prefix(struct click_out *to, uint32_t address, unsigned len)
{
	click_out_ip(to, address);
	click_out_char(to, '/');
	click_out_u64(to, len);
}

uint32_t click_out_number(char *out, uint32_t size, uint64_t value)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_u64(&to, value);
	return to.len;
}
