#include "cli/find_terms.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

int find_term_parse(const char *text, struct find_term *ret_term)
{
	/* The longer ones first, for the shorter are their beginnings. */
	static const char *const ops[] = {"<=", ">=", "=", "<", ">"};
	size_t name_len = strcspn(text, "=<>");
	if (name_len == 0 || text[name_len] == '\0')
		return -EINVAL;
	size_t i = 0;
	while (!eos_str_starts_with(text + name_len, ops[i]))
		i++;
	*ret_term = (struct find_term){
		.name = text,
		.name_len = name_len,
		.op = ops[i],
		.value = text + name_len + strlen(ops[i]),
	};
	return 0;
}

int find_time_parse(const char *text, uint64_t now_ns, uint64_t *ret_wall_ns)
{
	uint64_t age_ns;
	int err = eos_parse_duration(text, &age_ns);
	if (err == -EINVAL)
		return eos_parse_iso8601(text, ret_wall_ns);
	if (err < 0 || age_ns > now_ns)
		return -ERANGE;
	*ret_wall_ns = now_ns - age_ns;
	return 0;
}
