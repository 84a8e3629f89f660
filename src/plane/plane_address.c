#include "plane/plane_address.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"

#define V4_AT 12

static const uint8_t v4_prefix[V4_AT] = {[10] = 0xff, [11] = 0xff};

bool plane_address_is_v4(const uint8_t address[16])
{
	return memcmp(address, v4_prefix, sizeof(v4_prefix)) == 0;
}

void plane_address_mask(uint8_t address[16], unsigned bits)
{
	for (unsigned bit = bits; bit < 128; bit++)
		address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

bool plane_address_parse(const char *text, uint8_t ret_address[16], uint8_t *ret_bits)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t address[16] = {0};
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint64_t bits = 128;
	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	bool is_v4 = inet_pton(AF_INET, copy, address + V4_AT) == 1;
	if (is_v4)
		memcpy(address, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, copy, address) != 1)
		return false;
	if (slash != NULL && (eos_parse_u64(slash + 1, &bits) < 0 || bits > (is_v4 ? 32 : 128)))
		return false;
	if (slash != NULL && is_v4)
		bits += 8 * V4_AT;
	memcpy(ret_address, address, sizeof(address));
	*ret_bits = (uint8_t)bits;
	return true;
}

void plane_address_format(const uint8_t address[16], char out[PLANE_ADDRESS_TEXT_SIZE])
{
	bool is_v4 = plane_address_is_v4(address);
	if (inet_ntop(is_v4 ? AF_INET : AF_INET6, address + (is_v4 ? V4_AT : 0), out,
		      PLANE_ADDRESS_TEXT_SIZE) == NULL)
		out[0] = '\0';
}

socklen_t plane_address_to_kernel(const uint8_t address[16], uint16_t port, bool wants_v6,
				  struct sockaddr_storage *ret_address)
{
	*ret_address = (struct sockaddr_storage){0};
	if (plane_address_is_v4(address) && !wants_v6) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, address + V4_AT, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, address, 16);
	return sizeof(*v6);
}

bool plane_address_from_kernel(const struct sockaddr_storage *from, uint8_t ret_address[16],
			       uint16_t *ret_port)
{
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
		memcpy(ret_address, v4_prefix, sizeof(v4_prefix));
		memcpy(ret_address + V4_AT, &v4->sin_addr, 4);
		*ret_port = ntohs(v4->sin_port);
		return true;
	}
	if (from->ss_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	memcpy(ret_address, &v6->sin6_addr, 16);
	*ret_port = ntohs(v6->sin6_port);
	return true;
}
