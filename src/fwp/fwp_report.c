/*
 * The crash report: what a fault of the host leaves on standard error before the process ends.
 *
 * It runs in a signal handler of a process whose memory may be damaged: it allocates nothing, takes
 * no lock, and writes each line as soon as it is complete, the safest first. The backtrace is
 * last; should it fault, the kernel ends the process, as SIGSEGV is blocked by then.
 */
#include "fwp/fwp_priv.h"

#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_SIZE	 200
#define FRAMES_MAX	 48
#define BUILD_ID_SIZE	 20
#define REGISTERS_A_LINE 4

static char build_id[2 * BUILD_ID_SIZE + 1] = "none";

struct line {
	size_t len;
	char text[LINE_SIZE];
};

static void put(struct line *line, const char *text)
{
	while (*text != '\0' && line->len < LINE_SIZE - 1)
		line->text[line->len++] = *text++;
}

static void put_number(struct line *line, uint64_t value, unsigned base)
{
	char digits[21];
	size_t i = sizeof(digits) - 1;
	digits[i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	put(line, base == 16 ? "0x" : "");
	put(line, digits + i);
}

static void flush(struct line *line)
{
	line->text[line->len++] = '\n';
	/* Nobody is left who could be told that standard error is gone. */
	ssize_t n = write(STDERR_FILENO, line->text, line->len);
	(void)n;
	line->len = 0;
}

static int find_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const char *note = (const char *)(info->dlpi_addr + p->p_vaddr);
		if (p->p_type != PT_NOTE || p->p_memsz < sizeof(ElfW(Nhdr)) + 4)
			continue;
		ElfW(Nhdr) header;
		memcpy(&header, note, sizeof(header));
		const unsigned char *id = (const unsigned char *)note + sizeof(header) + 4;
		if (header.n_type != NT_GNU_BUILD_ID || header.n_namesz != 4 ||
		    header.n_descsz != BUILD_ID_SIZE ||
		    p->p_memsz < sizeof(header) + 4 + BUILD_ID_SIZE)
			continue;
		for (size_t k = 0; k < BUILD_ID_SIZE; k++) {
			build_id[2 * k] = "0123456789abcdef"[id[k] >> 4];
			build_id[2 * k + 1] = "0123456789abcdef"[id[k] & 15];
		}
	}
	return 1; /* the program itself comes first; libraries do not matter */
}

void fwp_report_init(void)
{
	(void)dl_iterate_phdr(find_build_id, NULL);
	/* The first call loads the unwinder, which a signal handler could not. */
	void *frame;
	(void)backtrace(&frame, 1);
}

static uint64_t place_of(const struct fwp_engine *engine, const struct fwp *fwp)
{
	return (uint64_t)(fwp - engine->places);
}

static void report_history(const struct fwp_engine *engine)
{
	uint64_t now_ns = eos_now_ns();
	struct line line = {0};
	put(&line, "  states of places:");
	unsigned first = engine->changes - EOS_MIN(engine->changes, FWP_HISTORY_MAX);
	for (unsigned i = first; i != engine->changes; i++) {
		const struct fwp_change *change = &engine->history[i % FWP_HISTORY_MAX];
		uint64_t when_ns = change->when_ns;
		if (line.len > LINE_SIZE - 80)
			flush(&line);
		put(&line, " ");
		put_number(&line, place_of(engine, change->fwp), 10);
		put(&line, " ");
		put(&line, fwp_state_text((enum fwp_state)change->state));
		put(&line, " ");
		put_number(&line, (now_ns - EOS_MIN(now_ns, when_ns)) / 1000, 10);
		put(&line, " us ago;");
	}
	flush(&line);
}

static void report_fwp(const struct fwp *fwp, const ucontext_t *context)
{
	struct line line = {0};
	put(&line, "  fwp ");
	put_number(&line, fwp->id, 10);
	put(&line, ", ");
	put(&line, fwp_state_text(fwp->state));
	put(&line, ", place ");
	put_number(&line, place_of(fwp->engine, fwp), 10);
	put(&line, ", memory at ");
	put_number(&line, (uintptr_t)fwp->slot.memory, 16);
	put(&line, ", stack ");
	put_number(&line, (uintptr_t)fwp->context.stack_low, 16);
	put(&line, " to ");
	put_number(&line, (uintptr_t)fwp->context.stack_low + fwp->context.stack_size, 16);
	flush(&line);
	const struct fwp_image *image = fwp->image;
	uintptr_t pc = fwp_machine_pc(context);
	if (image != NULL && fwp_elf_contains(&image->elf, (const void *)pc, 1, FWP_ELF_EXECUTE)) {
		char place[FWP_NAMES_TEXT_SIZE];
		fwp_image_describe(image, pc, place, sizeof(place));
		put(&line, "  in its image at ");
		put_number(&line, pc - (uintptr_t)image->elf.base, 16);
		put(&line, ", ");
		put(&line, place);
		flush(&line);
	}
	report_history(fwp->engine);
}

static void report_registers(const ucontext_t *context)
{
	struct fwp_machine_register registers[FWP_MACHINE_REGISTERS_MAX];
	unsigned count = fwp_machine_registers(context, registers);
	struct line line = {0};
	for (unsigned i = 0; i < count; i++) {
		put(&line, "  ");
		put(&line, registers[i].name);
		put(&line, "=");
		put_number(&line, registers[i].value, 16);
		if (i % REGISTERS_A_LINE == REGISTERS_A_LINE - 1 || i + 1 == count)
			flush(&line);
	}
}

static const char *signal_text(int sig)
{
	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	case SIGTRAP:
		return "SIGTRAP";
	default:
		return "signal";
	}
}

void fwp_report_crash(int sig, const siginfo_t *info, const ucontext_t *context)
{
	const struct fwp_engine *engine = fwp_engine_here;
	const struct fwp *fwp =
		engine != NULL ? atomic_load_explicit(&engine->current, memory_order_relaxed)
			       : NULL;
	bool in_guest = fwp != NULL && !atomic_load_explicit(&fwp->in_host, memory_order_relaxed);
	struct line line = {0};
	put(&line, "edgeos: crash: ");
	put(&line, signal_text(sig));
	put(&line, info->si_code <= 0 ? " (sent)" : "");
	put(&line, in_guest ? " in guest code at " : " in host code at ");
	put_number(&line, fwp_machine_pc(context), 16);
	put(&line, ", address ");
	put_number(&line, (uintptr_t)info->si_addr, 16);
	put(&line, ", pid "); /* which of several cells */
	put_number(&line, (uint64_t)getpid(), 10);
	put(&line, ", build ");
	put(&line, build_id);
	flush(&line);
	if (fwp != NULL)
		report_fwp(fwp, context);
	report_registers(context);
	void *frames[FRAMES_MAX];
	int count = backtrace(frames, FRAMES_MAX);
	backtrace_symbols_fd(frames, count, STDERR_FILENO);
}
