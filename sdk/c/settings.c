#include "settings.h"

#include <stdlib.h>
#include <string.h>

#include "edgeos.h"

#define NS_PER_S	UINT64_C(1000000000)
#define DURATION_MAX_NS (366 * 86400 * NS_PER_S)

bool settings_text(const char *key, struct piece *ret)
{
	static char text[SETTINGS_TEXT_MAX];
	int32_t len = edgeos_config(key, (uint32_t)strlen(key), text, sizeof(text));
	if (len < 0)
		return false;
	*ret = (struct piece){text, (uint32_t)len};
	if (ret->len > sizeof(text)) {
		ret->len = 0;
		settings_fail(key, "too long", *ret);
	}
	return true;
}

_Noreturn void settings_fail(const char *key, const char *what, struct piece piece)
{
	char line[256];
	const struct piece parts[] = {{key, (uint32_t)strlen(key)},
				      {": ", 2},
				      {what, (uint32_t)strlen(what)},
				      {": ", 2},
				      piece};
	uint32_t len = 0;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint32_t n = parts[i].len;
		if (n > sizeof(line) - len)
			n = (uint32_t)sizeof(line) - len;
		memcpy(line + len, parts[i].text, n);
		len += n;
	}
	edgeos_log(EDGEOS_ERROR, line, len);
	abort();
}

uint64_t settings_u64(const char *key, uint64_t min, uint64_t max, uint64_t otherwise)
{
	struct piece piece;
	uint64_t value = otherwise;
	if (settings_text(key, &piece) && !piece_u64(piece, min, max, &value))
		settings_fail(key, "not a number within its bounds", piece);
	return value;
}

bool settings_bool(const char *key, bool otherwise)
{
	struct piece piece;
	if (!settings_text(key, &piece))
		return otherwise;
	if (piece_is(piece, "yes") || piece_is(piece, "true"))
		return true;
	if (!piece_is(piece, "no") && !piece_is(piece, "false"))
		settings_fail(key, "neither yes nor no", piece);
	return false;
}

uint64_t settings_rate(const char *key, uint64_t otherwise)
{
	struct piece piece;
	uint64_t value = otherwise;
	if (settings_text(key, &piece) && !piece_rate(piece, &value))
		settings_fail(key, "not a rate (10Mbit)", piece);
	return value;
}

uint64_t settings_size(const char *key, uint64_t otherwise)
{
	struct piece piece;
	uint64_t value = otherwise;
	if (settings_text(key, &piece) && !piece_size(piece, &value))
		settings_fail(key, "not a size (64KiB)", piece);
	return value;
}

uint64_t settings_duration_ns(const char *key, uint64_t otherwise)
{
	struct piece piece;
	uint64_t value = otherwise;
	if (settings_text(key, &piece) &&
	    (!piece_duration_ns(piece, &value) || value == 0 || value > DURATION_MAX_NS))
		settings_fail(key, "not a duration (30s) of up to a year", piece);
	return value;
}

/* --- pieces --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct piece trimmed(struct piece piece)
{
	while (piece.len > 0 && is_blank(piece.text[0])) {
		piece.text++;
		piece.len--;
	}
	while (piece.len > 0 && is_blank(piece.text[piece.len - 1]))
		piece.len--;
	return piece;
}

bool piece_split(struct piece *rest, const char *separators, struct piece *ret)
{
	uint32_t n = 0;
	if (rest->len == 0)
		return false;
	while (n < rest->len && (rest->text[n] == '\0' || !strchr(separators, rest->text[n])))
		n++;
	*ret = trimmed((struct piece){rest->text, n});
	uint32_t taken = n < rest->len ? n + 1 : n;
	rest->text += taken;
	rest->len -= taken;
	return true;
}

bool piece_word(struct piece *rest, struct piece *ret)
{
	*rest = trimmed(*rest);
	return piece_split(rest, " \t\r\n", ret);
}

bool piece_is(struct piece piece, const char *text)
{
	return strlen(text) == piece.len && memcmp(piece.text, text, piece.len) == 0;
}

int piece_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes the digits off the front. */
static bool take_u64(struct piece *piece, uint64_t *ret)
{
	uint64_t value = 0;
	uint32_t n = 0;
	for (; n < piece->len && piece->text[n] >= '0' && piece->text[n] <= '9'; n++) {
		uint64_t digit = (uint64_t)(piece->text[n] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	piece->text += n;
	piece->len -= n;
	*ret = value;
	return n > 0;
}

bool piece_u64(struct piece piece, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;
	if (!take_u64(&piece, &value) || piece.len > 0 || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor, divisor;
};

static bool take_with_unit(struct piece piece, const struct unit *units, uint64_t *ret)
{
	uint64_t value;
	if (!take_u64(&piece, &value))
		return false;
	piece = trimmed(piece);
	for (; units->name != NULL; units++) {
		if (!piece_is(piece, units->name))
			continue;
		/* What is no whole number of bytes would be another one. */
		if (value > UINT64_MAX / units->factor || value * units->factor % units->divisor)
			return false;
		*ret = value * units->factor / units->divisor;
		return true;
	}
	return false;
}

bool piece_rate(struct piece piece, uint64_t *ret)
{
	static const struct unit units[] = {
		{"bit", 1, 8},		 {"kbit", 1000, 8},	{"Mbit", 1000000, 8},
		{"Gbit", 1000000000, 8}, {"B", 1, 1},		{"kB", 1000, 1},
		{"MB", 1000000, 1},	 {"GB", 1000000000, 1}, {"KiB", 1024, 1},
		{"MiB", 1u << 20, 1},	 {NULL, 0, 0},
	};
	uint64_t value;
	if (!take_with_unit(piece, units, &value) || value == 0)
		return false;
	*ret = value;
	return true;
}

bool piece_size(struct piece piece, uint64_t *ret)
{
	static const struct unit units[] = {
		{"", 1, 1},	  {"B", 1, 1},		{"kB", 1000, 1}, {"MB", 1000000, 1},
		{"KiB", 1024, 1}, {"MiB", 1u << 20, 1}, {NULL, 0, 0},
	};
	return take_with_unit(piece, units, ret);
}

bool piece_duration_ns(struct piece piece, uint64_t *ret)
{
	static const struct unit units[] = {
		{"ms", NS_PER_S / 1000, 1},    {"s", NS_PER_S, 1},
		{"min", 60 * NS_PER_S, 1},     {"h", 3600 * NS_PER_S, 1},
		{"us", NS_PER_S / 1000000, 1}, {NULL, 0, 0},
	};
	return take_with_unit(piece, units, ret);
}
