/*
 * The memory that the engine keeps for speed: places of dead FWPs with their pages, templates of
 * functions without calls.
 *
 * It is given back when no FWP was made for SHRINK_NS, or when the machine has less than
 * 1/MEMORY_LOW_PART of its memory left. The kernel's figure is read at most once in CHECK_NS, and
 * only when FWPs were made since the last time that everything was given back: a cell that does
 * nothing does not wake up to look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "cell/cell_priv.h"

#define SHRINK_NS	(5 * EOS_NS_PER_S)
#define CHECK_NS	EOS_NS_PER_S
#define MEMORY_LOW_PART 16u

EOS_COUNTER(shrinks_total, "cell.shrinks_total", "Times that unused memory was given back.")
EOS_COUNTER(pressure_total, "cell.memory_pressure_total",
	    "Of these, because the machine had little memory left.")

int cell_memory_parse(const char *text, const char *name, uint64_t *ret_kib)
{
	size_t len = strlen(name);
	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			char number[24] = "";
			if (sscanf(line + len + 1, " %23[0-9] kB", number) != 1)
				return -EBADMSG;
			return eos_parse_u64(number, ret_kib) < 0 ? -EBADMSG : 0;
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return -ENOENT;
}

static int read_kib(const struct cell *cell, const char *name, uint64_t *ret_kib)
{
	char text[512]; /* what is wanted is in the first lines */
	ssize_t n = pread(cell->meminfo_fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return cell_memory_parse(text, name, ret_kib);
}

void cell_memory_open(struct cell *cell)
{
	uint64_t total_kib;
	cell->meminfo_fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	if (cell->meminfo_fd < 0 || read_kib(cell, "MemTotal", &total_kib) < 0) {
		eos_log(EOS_LOG_WARN, "cell", "memory pressure is not seen: no /proc/meminfo");
		cell->meminfo_fd = eos_close(cell->meminfo_fd);
		return;
	}
	cell->memory_low_kib = total_kib / MEMORY_LOW_PART;
}

void cell_memory_close(struct cell *cell)
{
	cell->meminfo_fd = eos_close(cell->meminfo_fd);
}

void cell_memory_note_use(struct cell *cell, uint64_t now_ns)
{
	cell->memory_used_ns = now_ns;
	cell->has_used_memory = true;
}

static void shrink(struct cell *cell)
{
	fwp_engine_shrink(cell->engine);
	cell->has_used_memory = false;
	eos_counter_add(&shrinks_total, 1);
}

static bool is_short(struct cell *cell, uint64_t now_ns)
{
	uint64_t available_kib;
	if (cell->meminfo_fd < 0 || now_ns < cell->memory_check_ns)
		return false;
	cell->memory_check_ns = now_ns + CHECK_NS;
	return read_kib(cell, "MemAvailable", &available_kib) == 0 &&
	       available_kib < cell->memory_low_kib;
}

uint64_t cell_memory_check(struct cell *cell)
{
	if (!cell->has_used_memory)
		return UINT64_MAX;
	uint64_t now_ns = eos_now_ns();
	if (is_short(cell, now_ns)) {
		eos_counter_add(&pressure_total, 1);
		cell_functions_shrink(cell);
		shrink(cell);
		return UINT64_MAX;
	}
	if (now_ns - cell->memory_used_ns < SHRINK_NS)
		return cell->memory_used_ns + SHRINK_NS;
	shrink(cell);
	return UINT64_MAX;
}
