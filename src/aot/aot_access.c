/*
 * Finding loads that need no care.
 *
 * wasm2c writes a statement a line. Within a run of lines that are all simple (copies, constants,
 * arithmetic by an operator, loads, stores) nothing can leave but by a trap of a load or store. So
 * when what was loaded is an operand of floating-point arithmetic, and the result is stored in the
 * same run, the load is done exactly as often as the store, and its value is needed: with
 * signalling NaNs and infinities no such operation gives a result that does not depend on both
 * operands. Any other line ends the run, and what was not stored until then stays as it is.
 *
 * Copies alone do not count: storing what was just loaded from there may be left out.
 */
#include "aot/aot_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "aot/aot_protocol.h"
#include "base/buf.h"
#include "base/file.h"

#define LOADS_MAX     64u /* in one run: bits of a u64 */
#define VARIABLES_MAX 64u
#define MEMORY	      "(&instance->w2c_memory, (u64)("

struct name {
	const char *text;
	size_t len;
};

/* What a variable's value was made of; sets of run.loads. */
struct variable {
	struct name name;
	uint64_t loaded;   /* it is the value of these (at most one) */
	uint64_t computed; /* these went into it by arithmetic */
};

struct run {
	char *loads[LOADS_MAX];
	struct variable variables[VARIABLES_MAX];
	unsigned loads_count, variables_count;
	size_t marked; /* in all runs */
};

static void end_run(struct run *run)
{
	run->loads_count = 0;
	run->variables_count = 0;
}

/* The parser: each function moves *P over what it accepts. Lines end in '\n' or '\0', which no
 * function accepts. */

static bool accept(char **p, const char *text)
{
	size_t len = strlen(text);
	if (strncmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool accept_name(char **p, struct name *ret_name)
{
	char *start = *p;
	if (!accept(p, "w2c_"))
		return false;
	while (is_word(**p))
		++*p;
	*ret_name = (struct name){start, (size_t)(*p - start)};
	return true;
}

/* "4294967295u", "-0.0625", "1e+10", "-INFINITY" */
static bool accept_number(char **p)
{
	(void)accept(p, "-");
	if (accept(p, "INFINITY"))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	while (is_word(**p) || **p == '.' || **p == '-' || **p == '+')
		++*p;
	return true;
}

/* "(&instance->w2c_memory, (u64)(w2c_i0) + 4u" */
static bool accept_address(char **p)
{
	struct name name;
	if (!accept(p, MEMORY) || !accept_name(p, &name) || !accept(p, ")"))
		return false;
	return !accept(p, " + ") || accept_number(p);
}

/* "f64_load": a type, an operation, and perhaps a size. */
static bool accept_access(char **p, const char *operation, bool *ret_is_float)
{
	static const char *const types[] = {"i32", "i64", "f32", "f64"};
	*ret_is_float = **p == 'f';
	for (size_t i = 0; i < EOS_ARRAY_SIZE(types); i++) {
		if (accept(p, types[i])) {
			if (!accept(p, operation))
				return false;
			while (is_word(**p))
				++*p;
			return true;
		}
	}
	return false;
}

static struct variable *find(struct run *run, const struct name *name)
{
	for (unsigned i = 0; i < run->variables_count; i++) {
		struct variable *variable = &run->variables[i];
		if (variable->name.len == name->len &&
		    memcmp(variable->name.text, name->text, name->len) == 0)
			return variable;
	}
	return NULL;
}

/* NAME gets a value of which only this is known. */
static void assign(struct run *run, const struct name *name, uint64_t loaded, uint64_t computed)
{
	struct variable *variable = find(run, name);
	if (variable == NULL && (loaded | computed) == 0)
		return;
	if (variable == NULL && run->variables_count == VARIABLES_MAX) {
		end_run(run);
		return;
	}
	if (variable == NULL)
		variable = &run->variables[run->variables_count++];
	*variable = (struct variable){*name, loaded, computed};
}

static void load(struct run *run, const struct name *to, char *call, bool is_float)
{
	if (is_float && run->loads_count == LOADS_MAX)
		end_run(run);
	if (is_float)
		run->loads[run->loads_count++] = call;
	assign(run, to, is_float ? UINT64_C(1) << (run->loads_count - 1) : 0, 0);
}

static void copy(struct run *run, const struct name *to, const struct name *from)
{
	const struct variable *source = find(run, from);
	assign(run, to, source != NULL ? source->loaded : 0, source != NULL ? source->computed : 0);
}

static void compute(struct run *run, const struct name *to, const struct name *operand)
{
	const struct variable *a = find(run, to), *b = find(run, operand);
	uint64_t computed = 0;
	if (a != NULL)
		computed |= a->loaded | a->computed;
	if (b != NULL)
		computed |= b->loaded | b->computed;
	assign(run, to, 0, computed);
}

static void store(struct run *run, const struct name *value)
{
	struct variable *variable = find(run, value);
	for (unsigned i = 0; variable != NULL && i < run->loads_count; i++) {
		if ((variable->computed >> i & 1) == 0)
			continue;
		/* "f64_load" */
		memcpy(run->loads[i] + 4, "read", 4);
		run->marked++;
	}
	/* Marked once; and others that were made of them have no need to mark them again. */
	uint64_t done = variable != NULL ? variable->computed : 0;
	for (unsigned i = 0; i < run->variables_count; i++)
		run->variables[i].computed &= ~done;
}

/* Behind "w2c_d0 ": the rest of an assignment. False: it is not a simple one. */
static bool parse_assignment(struct run *run, const struct name *to, char *p)
{
	static const char *const operators[] = {
		"+= ", "-= ", "*= ", "/= ", "&= ", "|= ", "^= ", "<<= ", ">>= "};
	struct name from;
	bool is_float;
	char *call = p + 2; /* behind "= " */
	if (accept(&p, "= ")) {
		if (accept_name(&p, &from)) {
			copy(run, to, &from);
		} else if (accept_access(&p, "_load", &is_float)) {
			if (!accept_address(&p) || !accept(&p, ")"))
				return false;
			load(run, to, call, is_float);
		} else if (accept_number(&p)) {
			assign(run, to, 0, 0);
		} else {
			return false;
		}
		return accept(&p, ";\n");
	}
	for (size_t i = 0; i < EOS_ARRAY_SIZE(operators); i++) {
		if (!accept(&p, operators[i]))
			continue;
		/* Shifts: "<<= (w2c_i1 & 31);". Integers hold nothing that matters here. */
		bool is_masked = accept(&p, "(");
		if (!accept_name(&p, &from) ||
		    (is_masked && (!accept(&p, " & ") || !accept_number(&p) || !accept(&p, ")"))))
			return false;
		compute(run, to, &from);
		return accept(&p, ";\n");
	}
	return false;
}

/* False: not one of the simple statements. */
static bool parse_statement(struct run *run, char *p)
{
	struct name name;
	bool is_float;
	if (accept_name(&p, &name))
		return accept(&p, " ") && parse_assignment(run, &name, p);
	if (!accept_access(&p, "_store", &is_float) || !accept_address(&p) || !accept(&p, ", ") ||
	    !accept_name(&p, &name) || !accept(&p, ");\n"))
		return false;
	if (is_float)
		store(run, &name);
	return true;
}

size_t aot_access_mark(char *text, size_t len)
{
	struct run run = {.marked = 0};
	char *end = text + len;
	for (char *line = text; line < end;) {
		char *next = memchr(line, '\n', (size_t)(end - line));
		line += strspn(line, " ");
		if (!parse_statement(&run, line))
			end_run(&run);
		line = next == NULL ? end : next + 1;
	}
	return run.marked;
}

int aot_access_rewrite(const char *file, struct eos_why *why)
{
	/* The last definition of wasm2c's own that ours must come behind. */
	static const char last[] = "\nDEFINE_STORE(i64_store32, u32, u64)\n";
	static const char include[] = "#include \"image_access.c\"\n";
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	int err = eos_read_file(AT_FDCWD, file, AOT_FILE_BYTES_MAX, &text);
	if (err < 0)
		return eos_why(why, err, "cannot read %s: %s", file, strerror(-err));
	char *found = text.len > 0 ? strstr(text.data, last) : NULL;
	if (found == NULL ||
	    strstr(text.data, "\n#define CALL_INDIRECT(table, t, ft, x, ...)") == NULL)
		return eos_why(why, -ENOTSUP,
			       "this version of wasm2c is not supported (wabt's "
			       "1.0.32 is)");
	size_t head = (size_t)(found - text.data) + strlen(last);
	(void)aot_access_mark(text.data + head, text.len - head);
	EOS_CLEANUP(eos_close_ptr) int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	err = fd < 0 ? -errno : eos_write_full(fd, text.data, head);
	if (err == 0)
		err = eos_write_full(fd, include, strlen(include));
	if (err == 0)
		err = eos_write_full(fd, text.data + head, text.len - head);
	return err < 0 ? eos_why(why, err, "cannot write %s: %s", file, strerror(-err)) : 0;
}
