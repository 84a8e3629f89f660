#include "elements/out_more.h"

#include "ip.h"

void click_out_hex(struct click_out *to, uint64_t value, unsigned digits)
{
	while (digits--)
		click_out_char(to, "0123456789abcdef"[value >> (4 * digits) & 15]);
}

void click_out_time(struct click_out *to, uint64_t value_ns)
{
	click_out_u64(to, value_ns / 1000000000);
	click_out_char(to, '.');
	for (uint32_t unit = 100000000; unit >= 1000; unit /= 10)
		click_out_char(to, (char)('0' + value_ns / unit % 10));
}

void click_out_ether(struct click_out *to, const uint8_t address[6])
{
	for (unsigned i = 0; i < 6; i++) {
		if (i)
			click_out_char(to, '-');
		click_out_char(to, "0123456789ABCDEF"[address[i] >> 4]);
		click_out_char(to, "0123456789ABCDEF"[address[i] & 15]);
	}
}

void click_out_mask(struct click_out *to, uint32_t address, uint32_t mask)
{
	uint32_t host = click_address_to_host(mask);
	unsigned bits = 0;
	while (bits < 32 && host >> (31 - bits) & 1)
		bits++;
	if (bits == 32 || (uint32_t)(host << bits) == 0) {
		click_out_prefix(to, address, bits);
		return;
	}
	click_out_ip(to, address);
	click_out_char(to, '/');
	click_out_ip(to, mask);
}
