/*
 * Compounds into elements: a whole name, arguments with the variables' values in their places, and
 * links by pseudo elements, one in front of each compound and one behind it.
 */
#include <string.h>

#include "parse.h"

static int no_memory(struct click_expansion *expansion)
{
	expansion->parser->no_memory = true;
	return -1;
}

static int complain(struct click_expansion *expansion, const char *file, uint32_t line,
		    const char *format, ...)
{
	va_list list;
	va_start(list, format);
	click_tell_va(expansion->parser->router, file, line, NULL, format, list);
	va_end(list);
	return -1;
}

/* --- arguments of compounds --- */

/* The word that TEXT begins with, if it can be a keyword, and what is behind it. */
static size_t keyword_len(const char *text, const char **ret_value)
{
	const char *at = text;
	while (click_is_variable(*at) || (*at != '\0' && strchr(":.?!", *at) != NULL))
		at++;
	if (*at != '\0' && !click_is_space(*at))
		return 0;
	size_t len = (size_t)(at - text);
	while (click_is_space(*at))
		at++;
	*ret_value = at;
	return len;
}

static bool is_rest(const struct click_variable *formal)
{
	return formal->key != NULL && strcmp(formal->key, "__REST__") == 0;
}

/* TEXT as "KEY value" for one of the formals from FIRST on. */
static bool take_keyword(const struct click_compound *compound, uint32_t first, const char *text,
			 const char **values)
{
	const char *value;
	size_t len = keyword_len(text, &value);
	for (uint32_t i = first; i < compound->formals_count && len > 0; i++) {
		const char *key = compound->variables[i].key;
		if (strlen(key) != len || memcmp(key, text, len) != 0 ||
		    is_rest(&compound->variables[i]))
			continue;
		values[i] = value; /* of several the last */
		return true;
	}
	return false;
}

/* "__REST__ $rest": all that are left, as they would be written. */
static const char *join_rest(struct click_expansion *expansion, struct click_arg *args,
			     uint32_t count)
{
	size_t len = 1;
	for (uint32_t i = 0; i < count; i++)
		len += args[i].is_read ? 0 : strlen(args[i].text) + 2;
	char *bytes = click_arena_alloc(expansion->parser->arena, len);
	if (bytes == NULL) {
		(void)no_memory(expansion);
		return "";
	}
	struct click_text text = {bytes, (uint32_t)len, 0};
	for (uint32_t i = 0; i < count; i++) {
		if (args[i].is_read)
			continue;
		if (text.len > 0)
			click_text_puts(&text, ", ");
		click_text_puts(&text, args[i].text);
		args[i].is_read = true;
	}
	return bytes;
}

/*
 * Gives each of COMPOUND's parameters its argument. False: they do not match. As many as there are
 * positional parameters are positional, whatever they look like; what is left over is __REST__'s,
 * if there is that.
 */
static bool bind(struct click_expansion *expansion, const struct click_compound *compound,
		 struct click_arg *args, uint32_t count, const char **values)
{
	uint32_t formals = compound->formals_count, positional = 0;
	bool has_rest = formals > 0 && is_rest(&compound->variables[formals - 1]);
	while (positional < formals && compound->variables[positional].key == NULL)
		positional++;
	for (uint32_t i = 0; i < count; i++) {
		args[i].is_read = i < positional;
		if (args[i].is_read)
			values[i] = args[i].text;
		else
			args[i].is_read = take_keyword(compound, positional, args[i].text, values);
		if (!args[i].is_read && !has_rest)
			return false;
	}
	for (uint32_t i = 0; i < formals - has_rest; i++)
		if (values[i] == NULL)
			return false;
	if (has_rest)
		values[formals - 1] = join_rest(expansion, args, count);
	return true;
}

static bool ports_match(const struct click_compound *compound, const struct click_decl *decl)
{
	return compound->decls[0].outputs == decl->inputs &&
	       compound->decls[1].inputs == decl->outputs;
}

static int tell_mismatch(struct click_expansion *expansion, const struct click_decl *decl,
			 const char *name, uint32_t count)
{
	const struct click_compound *compound = decl->compound;
	if (compound->overload != NULL || compound->rest.name != NULL)
		return complain(expansion, decl->file, decl->line,
				"%s :: %s: no definition has %u inputs, %u outputs and these %u "
				"arguments",
				name, compound->name, decl->inputs, decl->outputs, count);
	char wanted[200];
	struct click_text text = CLICK_TEXT(wanted);
	wanted[0] = '\0';
	for (uint32_t i = 0; i < compound->formals_count; i++)
		click_text_printf(&text, "%s%s%s$%s", i > 0 ? ", " : "",
				  compound->variables[i].key ? compound->variables[i].key : "",
				  compound->variables[i].key ? " " : "",
				  compound->variables[i].name);
	return complain(expansion, decl->file, decl->line,
			"%s :: %s: %u arguments do not match its parameters (%s)", name,
			compound->name[0] != '\0' ? compound->name : "{…}", count, wanted);
}

/*
 * Which of DECL's definitions it is, with its parameters' values in RET_ENV. RET_CLASS if "..." led
 * to a class of ours.
 */
static int choose(struct click_expansion *expansion, const struct click_decl *decl,
		  const char *name, const char *config, struct click_environment *ret_env,
		  const struct click_class **ret_class)
{
	struct click_arena *arena = expansion->parser->arena;
	struct click_arg *args;
	uint32_t count;
	if (click_args_split(arena, config, &args, &count) < 0)
		return no_memory(expansion);
	bool is_overloaded = decl->compound->overload != NULL || decl->compound->rest.name != NULL;
	const struct click_compound *compound = decl->compound;
	*ret_class = NULL;
	while (compound != NULL) {
		const char **values =
			click_arena_alloc(arena, (compound->variables_count + 1) * sizeof(*values));
		if (values == NULL)
			return no_memory(expansion);
		if ((!is_overloaded || ports_match(compound, decl)) &&
		    bind(expansion, compound, args, count, values)) {
			*ret_env = (struct click_environment){compound, NULL, values};
			return 0;
		}
		if (compound->overload != NULL) {
			compound = compound->overload;
		} else if (compound->rest.class != NULL) {
			*ret_class = compound->rest.class;
			return 0;
		} else {
			compound = compound->rest.compound;
		}
	}
	return tell_mismatch(expansion, decl, name, count);
}

/* --- elements --- */

static uint32_t add_element(struct click_expansion *expansion,
			    const struct click_flat_element *element)
{
	struct click_flat *flat = expansion->flat;
	if (flat->elements_count >= 3 * CLICK_ELEMENTS_MAX) {
		(void)complain(expansion, element->file, element->line,
			       "more than %u elements and compounds", 3 * CLICK_ELEMENTS_MAX);
		return CLICK_NONE;
	}
	if (!click_arena_grow(expansion->parser->arena, &flat->elements, flat->elements_count,
			      &flat->elements_capacity, sizeof(*flat->elements))) {
		(void)no_memory(expansion);
		return CLICK_NONE;
	}
	flat->elements[flat->elements_count] = *element;
	return flat->elements_count++;
}

static int add_link(struct click_expansion *expansion, const struct click_flat_link *link)
{
	struct click_flat *flat = expansion->flat;
	if (flat->links_count >= CLICK_CONNECTIONS_MAX)
		return complain(expansion, link->file, link->line, "more than %u connections",
				CLICK_CONNECTIONS_MAX);
	if (!click_arena_grow(expansion->parser->arena, &flat->links, flat->links_count,
			      &flat->links_capacity, sizeof(*flat->links)))
		return no_memory(expansion);
	flat->links[flat->links_count++] = *link;
	return 0;
}

/* "prefix/name". NULL: told. */
static const char *whole_name(struct click_expansion *expansion, const struct click_decl *decl,
			      const char *prefix)
{
	char whole[CLICK_NAME_MAX + 2];
	struct click_text out = CLICK_TEXT(whole);
	click_text_printf(&out, "%s%s%s", prefix, prefix[0] != '\0' ? "/" : "", decl->name);
	if (out.len > CLICK_NAME_MAX) {
		(void)complain(expansion, decl->file, decl->line,
			       "the name '%.*s…' is longer than %u bytes", 40, whole,
			       CLICK_NAME_MAX);
		return NULL;
	}
	return click_parse_copy(expansion->parser, whole, out.len);
}

static int expand_into(struct click_expansion *expansion, const struct click_compound *compound,
		       const struct click_environment *env, const char *prefix,
		       const struct click_end *around);

/* What ENV's compound was written in: the environment of that, among those around the use. */
static const struct click_environment *find_parent(const struct click_environment *env,
						   const struct click_compound *compound)
{
	while (env != NULL && env->compound != compound)
		env = env->parent;
	return env;
}

static int add_compound(struct click_expansion *expansion, const struct click_decl *decl,
			const char *name, const struct click_environment *outer,
			struct click_environment *env, struct click_end *ret_map)
{
	struct click_flat_element pseudo = {
		.name = name, .line = decl->line, .file = decl->file, .what = "input"};
	const struct click_compound *compound = env->compound;
	ret_map->element = add_element(expansion, &pseudo);
	pseudo.what = "output";
	ret_map->port = add_element(expansion, &pseudo);
	if (ret_map->element == CLICK_NONE || ret_map->port == CLICK_NONE)
		return -1;
	env->parent = find_parent(outer, compound->parent);
	for (uint32_t i = compound->formals_count; i < compound->variables_count; i++)
		if (click_variable_value(expansion, env, i) == NULL)
			return -1;
	if (expansion->depth >= CLICK_DEPTH_MAX)
		return complain(expansion, decl->file, decl->line,
				"compounds contain each other deeper than %u", CLICK_DEPTH_MAX);
	expansion->depth++;
	int err = expand_into(expansion, compound, env, name, ret_map);
	expansion->depth--;
	return err;
}

/* Whole names of elements and compounds differ: "c/x" is x in c. */
static int check_names(struct click_expansion *expansion)
{
	const struct click_flat *flat = expansion->flat;
	struct click_names names = {0};
	for (uint32_t i = 0; i < flat->elements_count; i++) {
		const struct click_flat_element *element = &flat->elements[i];
		if (element->class == NULL && (element->what[0] == 'o' || element->name[0] == '('))
			continue; /* the other end of one, or a group's */
		uint32_t other = click_names_find(&names, element->name, strlen(element->name));
		if (other != CLICK_NONE)
			return complain(expansion, element->file, element->line,
					"element '%s' is declared already, in line %u",
					element->name, flat->elements[other].line);
		if (!click_names_add(expansion->parser->arena, &names, element->name, i))
			return no_memory(expansion);
	}
	return 0;
}

/* RET_MAP's element is where links to DECL go, its port (so to say) where links from it come from.
 */
static int add_decl(struct click_expansion *expansion, const struct click_environment *env,
		    const char *prefix, uint32_t index, struct click_end *ret_map)
{
	const struct click_decl *decl = &env->compound->decls[index];
	struct click_flat_element element = {
		.name = "(…)", .line = decl->line, .file = decl->file, .what = decl->name};
	if (decl->kind == CLICK_ELEMENT) {
		element.name = whole_name(expansion, decl, prefix);
		if (element.name == NULL)
			return -1;
		element.config =
			click_substitute(expansion, env, decl->config, decl->file, decl->line);
		if (element.config == NULL)
			return -1;
		element.class = decl->class;
		if (decl->compound != NULL) {
			struct click_environment inner;
			if (choose(expansion, decl, element.name, element.config, &inner,
				   &element.class) < 0)
				return -1;
			if (element.class == NULL)
				return add_compound(expansion, decl, element.name, env, &inner,
						    ret_map);
		}
	}
	ret_map->element = ret_map->port = add_element(expansion, &element);
	return ret_map->element == CLICK_NONE ? -1 : 0;
}

/* AROUND: the pseudo elements that are COMPOUND's input and output; NULL: it is the file. */
static int expand_into(struct click_expansion *expansion, const struct click_compound *compound,
		       const struct click_environment *env, const char *prefix,
		       const struct click_end *around)
{
	struct click_end *map = click_arena_alloc(expansion->parser->arena,
						  (compound->decls_count + 1) * sizeof(*map));
	if (map == NULL)
		return no_memory(expansion);
	for (uint32_t i = 0; i < compound->decls_count; i++) {
		if (around != NULL && i < 2) {
			map[i].element = map[i].port = i == 0 ? around->element : around->port;
			continue;
		}
		if (add_decl(expansion, env, prefix, i, &map[i]) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < compound->links_count; i++) {
		struct click_flat_link link = compound->links[i];
		link.from.element = map[link.from.element].port;
		link.to.element = map[link.to.element].element;
		if (add_link(expansion, &link) < 0)
			return -1;
	}
	return 0;
}

int click_expand(struct click_parser *parser, struct click_flat *flat)
{
	struct click_expansion expansion = {.parser = parser, .flat = flat};
	const struct click_compound *top = parser->scope;
	struct click_environment env = {.compound = top};
	env.values =
		click_arena_alloc(parser->arena, (top->variables_count + 1) * sizeof(*env.values));
	if (env.values == NULL)
		return no_memory(&expansion);
	for (uint32_t i = 0; i < top->variables_count; i++)
		if (click_variable_value(&expansion, &env, i) == NULL)
			return -1;
	return expand_into(&expansion, top, &env, "", NULL) < 0 ? -1 : check_names(&expansion);
}
