/*
 * The language: what elements there are, how they are connected, and what is said of mistakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_fixture_test.h"

/* "name=Class name=Class …" */
static void check_elements(const char *text, const char *expected)
{
	struct test_router test;
	char all[4096] = "";
	test_must_load(&test, text);
	for (uint32_t i = 0; i < click_router_elements(test.router); i++) {
		const struct click_element *element = click_router_element(test.router, i);
		size_t len = strlen(all);
		(void)snprintf(all + len, sizeof(all) - len, "%s%s=%s", i > 0 ? " " : "",
			       element->more->name, element->more->class->name);
	}
	assert_string_equal(all, expected);
	test_unload(&test);
}

/* "from.port>to.port …" of push and pull connections, by names. */
static void check_links(const char *text, const char *expected)
{
	struct test_router test;
	char all[4096] = "";
	test_must_load(&test, text);
	for (uint32_t i = 0; i < click_router_elements(test.router); i++) {
		const struct click_element *e = click_router_element(test.router, i);
		for (uint32_t p = 0; p < e->outputs_count; p++) {
			size_t len = strlen(all);
			if (e->outputs[p].element != NULL)
				(void)snprintf(all + len, sizeof(all) - len, "%s.%u>%s.%u ",
					       e->more->name, p, e->outputs[p].element->more->name,
					       e->outputs[p].port);
		}
		for (uint32_t p = 0; p < e->inputs_count; p++) {
			size_t len = strlen(all);
			if (e->inputs[p].element != NULL)
				(void)snprintf(all + len, sizeof(all) - len, "%s.%u)%s.%u ",
					       e->inputs[p].element->more->name, e->inputs[p].port,
					       e->more->name, p);
		}
	}
	if (all[0] != '\0')
		all[strlen(all) - 1] = '\0';
	assert_string_equal(all, expected);
	test_unload(&test);
}

static void check_config(const char *text, const char *name, const char *expected)
{
	struct test_router test;
	char path[100], config[4096];
	test_must_load(&test, text);
	(void)snprintf(path, sizeof(path), "%s.config", name);
	assert_true(click_router_read(test.router, path, config, sizeof(config)) >= 0);
	assert_string_equal(config, expected);
	test_unload(&test);
}

static void test_declarations(void **state)
{
	check_elements("", "");
	check_elements(" \n// nothing\n/* at\nall */ ; ;", "");
	check_elements("a :: Idle; b, c :: Idle()", "a=Idle b=Idle c=Idle");
	check_elements("a :: Idle b :: Idle", "a=Idle b=Idle");
	check_elements("Idle -> Discard; Idle -> x :: Null -> Discard",
		       "Idle@1=Idle Discard@2=Discard Idle@3=Idle x=Null Discard@5=Discard");
	check_elements("a :: Idle; a => Discard, Discard(), { -> Discard }, d :: Discard",
		       "a=Idle Discard@2=Discard Discard@3=Discard @4/Discard@1=Discard d=Discard");
	check_elements("Idle@2 :: Idle; Idle; Idle", "Idle@2=Idle Idle@3=Idle Idle@4=Idle");
	check_elements("Idle@1 :: Idle; Idle -> Discard",
		       "Idle@1=Idle Idle@2=Idle Discard@3=Discard");
	/* Used before it is declared. */
	check_elements("a -> b; a :: Idle; b :: Discard", "a=Idle b=Discard");
	check_elements("an/element//comment\n:: Idle", "an/element=Idle");
	check_elements("require(click, package Counter); provide(x); a :: Idle", "a=Idle");
	check_elements("elementclass I Idle; a :: I", "a=Idle");
	check_links("a, b :: Idle; a, b, -> c :: Discard;", "a.0>c.0 b.0>c.0");
	test_must_fail_with("c/x :: Idle; c :: { x :: Idle }\n",
			    "f:1: element 'c/x' is declared already, in line 1\n");
	test_must_fail_with("define Idle", "f:1: 'Idle' where '(' is expected\n");
	test_must_fail_with("require\n", "f:2: the file ends where '(' is expected\n");
	test_must_fail_with("a :: $x", "f:1: '$x' where an element class is expected\n");
}

static void test_connections(void **state)
{
	check_links("a :: Idle -> b :: Discard", "a.0>b.0");
	check_links("a :: Idle; a [1] -> b :: Discard; a -> Discard", "a.0>Discard@3.0 a.1>b.0");
	check_links("a, b :: Idle; a, b -> c :: Discard", "a.0>c.0 b.0>c.0");
	check_links("a :: Idle; a [0,2] -> c :: Discard; a [1] -> c", "a.0>c.0 a.1>c.0 a.2>c.0");
	check_links("a :: Idle; b, c, d :: Discard; a [0-2] => b, c, d", "a.0>b.0 a.1>c.0 a.2>d.0");
	check_links("a :: Idle; b, c :: Discard; a => b, c", "a.0>b.0 a.1>c.0");
	check_links("a, b :: Idle; i :: Idle -> Discard; a, b => [0,1] i",
		    "a.0>i.0 b.0>i.1 i.0>Discard@4.0");
	check_links("a :: Idle; a => ( [1] -> d :: Discard; [0] -> e :: Discard )",
		    "a.0>e.0 a.1>d.0");
	check_links("a :: Idle -> ( -> n :: Null -> ) -> d :: Discard", "a.0>n.0 n.0>d.0");
	/* Pull connections are the input's. */
	check_links("q :: Queue; Idle -> q -> d :: Discard", "Idle@2.0>q.0 q.0)d.0");
}

/* x -> y several times over is the same connection. */
static void test_repeated(void **state)
{
	static const char *const ways[] = {
		"x -> y",
		"x -> ( input -> output ) -> y",
		"x -> ( [0] -> [0] ) -> y",
		"x -> (->) -> y",
		"x -> { -> } -> y",
		"x -> ( [0]->[0]; [1]->[1] ) => ( [0]->[0]; [1]->[1] ) -> y",
	};
	char text[1024] = "x :: Idle; y :: Discard; ";
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		strcat(text, ways[i]);
		strcat(text, ";");
		check_links(text, "x.0>y.0");
	}
}

static void test_double_arrows(void **state)
{
	static const char declared[] = "a, b, c, d :: Idle; ";
	static const char *const ways[] = {
		"a [0,1,2] => c, b, d",
		"a => c, b, d",
		"a [0-2] => c, b, d",
		"a [] => c, b, d",
		"a [0], a [1-] => c, b, d",
		"a [0], a [1], a [2] => c, b, d",
		"a => ( -> c ), ( -> b ), d",
		"a => ( [0] -> c; [1] -> b; [2] -> d )",
		"a => ( [0] -> c; [1] -> b ), d",
		"a => [0,1,2] ( [0] -> c; [1] -> b; [2] -> d )",
	};
	char text[200];
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", declared, ways[i]);
		check_links(text, "a.0>c.0 a.1>b.0 a.2>d.0");
	}
	check_links("a, b, c :: Idle; a => b, c, [0,1] a", "a.0>b.0 a.1>c.0 a.2>a.0 a.3>a.1");
	check_links("elementclass O { input [0] -> x :: Discard; input [1] -> x "
		    "|| input [2] -> Discard; input [0,1] -> Discard }\n"
		    "a, b :: Idle; a, b => o :: O",
		    "a.0>o/x.0 b.0>o/x.0");
	test_must_fail_with("a, b :: Idle; a [0,1] -> [0,1] b",
			    "f:1: '->' connects 2 outputs to 2 inputs: '=>' connects them one by "
			    "one\n");
	test_must_fail_with("a, b :: Idle; a [] => [] b", "f:1: only one '[]' can be in a conn");
	test_must_fail_with("a, b :: Idle; a [0,1] => [0,1,2] b",
			    "f:1: '=>' connects 2 outputs to 3 inputs");
}

/* A small detour; its names are those around it, but for input and output. */
static void test_groups(void **state)
{
	check_links("x :: Idle -> c :: Classifier(00/01, -) => (\n"
		    "  input [0] -> output;\n"
		    "  input [1] -> Paint(1) -> output\n"
		    ") -> y :: Discard",
		    "x.0>c.0 c.0>y.0 c.1>Paint@6.0 Paint@6.0>y.0");
	check_links("x :: Idle; y :: Discard; x => ( [0]->[0]; [1]->[1] ) -> y", "x.0>y.0 x.1>y.0");
	check_links("x :: Idle; y :: Discard; x => [0,1] ( [0]->[0]; [1]->[1] ) [0,1] -> y",
		    "x.0>y.0 x.1>y.0");
	check_links("input :: Idle -> ( input -> n :: Null -> output ) -> output :: Discard",
		    "input.0>n.0 n.0>output.0");
	check_links("an, x1, x2, c :: Idle; x1 -> an -> x2;\n"
		    "c => [1] an [1], foo :: { -> c2 :: Idle => (->), Paint(1) -> } -> p :: Idle",
		    "an.0>x2.0 an.1>p.0 x1.0>an.0 c.0>an.1 c.1>foo/c2.0 foo/c2.0>p.0 "
		    "foo/c2.1>foo/Paint@5.0 foo/Paint@5.0>p.0");
	test_must_fail("x :: Idle; y :: Idle; x => [0] ( [0]->[0]; [1]->Idle ) -> y",
		       "f:1: '(…)': its input 1 is not connected\n");
	test_must_fail("x :: Idle; y :: Idle; x => ( [0]->[0]; [2]->Idle ) -> y",
		       "f:1: a group uses its input 2, but not 1\n");
	test_must_fail_with("x :: Idle -> ( x -> input ) -> Discard",
			    "f:1: packets come from 'input' and go to 'output'\n");
	test_must_fail_with("Idle -> ( input :: Null ) -> Discard",
			    "f:1: element 'input' is declared already");
}

static void test_compounds(void **state)
{
	check_links("a :: Idle -> { input -> output } -> d :: Discard", "a.0>d.0");
	check_links("a :: Idle -> c :: { -> x :: Null -> } -> d :: Discard", "a.0>c/x.0 c/x.0>d.0");
	check_elements("elementclass C { input -> Null -> x :: Null -> output }\n"
		       "Idle -> c :: C -> C -> Discard",
		       "Idle@1=Idle c/Null@1=Null c/x=Null C@3/Null@1=Null C@3/x=Null "
		       "Discard@4=Discard");
	/* Two ports, crossed. */
	check_links("elementclass X { input -> [1] output; input [1] -> output }\n"
		    "a :: Idle; x :: X; a -> x; a [1] -> [1] x; x -> d :: Discard; x [1] -> e :: "
		    "Discard",
		    "a.0>e.0 a.1>d.0");
	/* Several ports of input and output. */
	check_links("a, b, d, e :: Idle; c :: { [0], [1] -> x :: Idle; x [] => [1], [0] }\n"
		    "a, b => c => d, e",
		    "a.0>c/x.0 b.0>c/x.0 c/x.0>e.0 c/x.1>d.0");
	/* The name means what it meant before. */
	check_elements("elementclass Null { input -> Null -> output }\n"
		       "Idle -> Null -> Discard",
		       "Idle@1=Idle Null@2/Null@1=Null Discard@3=Discard");
}

static void test_parameters(void **state)
{
	static const char definition[] =
		"elementclass Q { $cap, KEY $k | input -> q :: Queue($cap) -> "
		"p :: Print(\"<$k>\", MAXLENGTH ${cap}) -> output }\n";
	char text[512];
	(void)snprintf(text, sizeof(text), "%sIdle -> q :: Q(5, KEY 'x y') -> Discard", definition);
	check_config(text, "q/q", "5");
	check_config(text, "q/p", "\"<'x y'>\", MAXLENGTH 5");
	check_config("define($n 7, $m 2); Idle -> q :: Queue($n$m) -> Discard", "q", "72");
	check_config("define($n 7); Idle -> p :: Print('$n'$m) -> Discard", "p", "'$n'$m");
	/* Whatever the order of definitions is. */
	check_config("Idle -> q :: Queue($a) -> Discard; define($a ${b}1, $b 3)", "q", "31");
	check_config("define($a $a); Idle -> p :: Print($a) -> Discard", "p", "$a");
	/* Defaults, and words. */
	check_config("define($a 4); Idle -> q :: Queue(${ a - 9 }${b-7}) -> Discard", "q", "47");
	check_config("define($d x); Idle -> p :: Print(${n-$d}${d-$d}$(d)) -> Discard", "p",
		     "xx$(d)");
	check_config("define($a 'x y' z, $n 1); Idle -> p :: Print(${a[0]}${a[$n]}${a[2]}.) -> "
		     "Discard",
		     "p", "'x y'z.");
	/* What is between double quotes is the value, whatever there is in it. */
	check_config("define($a \"b\\$\"'\\'); Idle -> p :: Print(\"<$a>\") -> Discard", "p",
		     "\"<\\\"b\\\\\\$\\\"'\\\\'>\"");
	/* Comments are none of it, nor are backslashes without quotes. */
	check_config("define($n 7); Idle -> p :: Print(x, // it's $n\n MAXLENGTH $n) -> Discard",
		     "p", "x, // it's $n\n MAXLENGTH 7");
	check_config("define($n 7); Idle -> p :: Print(\"\\$n\"\\$n) -> Discard", "p",
		     "\"\\$n\"\\7");
	test_must_fail_with("define($a $b,\n$b $c, $c $d, $d $e, $e $f, $f $g, $g $h, $h $i, $i $j,"
			    " $j $k, $k $l, $l 1)",
			    "f:2: variables refer to each other deeper than 10\n");
	/* Inner definitions hide outer ones; outer ones are seen inside. */
	check_config("define($a 1, $b 2)\n"
		     "elementclass C { $a | define($c $a$b) Idle -> Queue($c) -> output }\n"
		     "c :: C(3) -> Discard",
		     "c/Queue@2", "32");
	check_config("elementclass R { $a, __REST__ $r | Idle -> p :: Print($a, $r) -> Discard }\n"
		     "r :: R(x, 3, ACTIVE false)",
		     "r/p", "x, 3, ACTIVE false");
	check_config("elementclass R { $a, COUNT $c, __REST__ $r |"
		     " Idle -> p :: Print(\"$a|$c|$r\") -> Discard }\n"
		     "r :: R(1, 2, COUNT 3, FOO 4)",
		     "r/p", "\"1|3|2, FOO 4\"");
	/* Keywords of any letters, the last one counts; the first arguments are positional. */
	check_config("elementclass R { $a, max_len $c | Idle -> p :: Print($a, $c) -> Discard }\n"
		     "r :: R(max_len 1, max_len 2, max_len 3)",
		     "r/p", "max_len 1, 3");
	test_must_fail_with("elementclass R { K $k, $a | }", "f:1: parameter '$a' comes too late");
	test_must_fail_with("elementclass R { K $k, K $a | }",
			    "f:1: two parameters have the keyword 'K'\n");
	test_must_fail_with("elementclass P { $a | Idle -> Discard }\n\np :: P",
			    "f:3: p :: P: 0 arguments do not match its parameters ($a)\n");
	test_must_fail_with("elementclass P { $a | Idle -> Discard }\np :: P(1, 2)",
			    "f:2: p :: P: 2 arguments do not match its parameters ($a)\n");
	test_must_fail_with("define($a 1)\ndefine($a 2)", "f:2: '$a' is defined twice\n");
	test_must_fail_with("define(a 1)", "f:1: define: 'a 1' is not '$name value'\n");
}

static void test_overloading(void **state)
{
	static const char definition[] = "elementclass O { input -> n :: Null -> output\n"
					 "|| $a | input -> q :: Queue($a) -> Unqueue -> output\n"
					 "|| input -> d :: Discard }\n";
	char text[512];
	(void)snprintf(text, sizeof(text), "%sIdle -> o :: O -> Discard", definition);
	check_elements(text, "Idle@1=Idle o/n=Null Discard@3=Discard");
	(void)snprintf(text, sizeof(text), "%sIdle -> o :: O(3) -> Discard", definition);
	check_elements(text, "Idle@1=Idle o/q=Queue o/Unqueue@2=Unqueue Discard@3=Discard");
	(void)snprintf(text, sizeof(text), "%sIdle -> o :: O", definition);
	check_elements(text, "Idle@1=Idle o/d=Discard");
	(void)snprintf(text, sizeof(text), "%sIdle -> o :: O(1, 2)", definition);
	test_must_fail(text, "f:4: o :: O: no definition has 1 inputs, 0 outputs and these 2 "
			     "arguments\n");
	/* More for a class that is there. */
	check_elements("elementclass Queue { $a, $b | input -> Queue($a) -> output || ... }\n"
		       "Idle -> Queue(1, 2) -> Unqueue -> q :: Queue(3) -> Discard",
		       "Idle@1=Idle Queue@2/Queue@1=Queue Unqueue@3=Unqueue q=Queue "
		       "Discard@5=Discard");
}

static void test_syntax_errors(void **state)
{
	test_must_fail("\n\na :: Cuonter", "f:3: unknown element class 'Cuonter'; did you mean "
					   "'Counter'?\n");
	test_must_fail("Idle -> Dsicard", "f:1: unknown element or class 'Dsicard'; did you mean "
					  "'Discard'?\n");
	test_must_fail("counter1 :: Idle; counter2 -> Discard",
		       "f:1: unknown element or class 'counter2'; did you mean 'counter1'?\n");
	test_must_fail_with("a :: Idle; a :: Idle", "f:1: element 'a' is declared already");
	test_must_fail_with("Queue :: Idle", "f:1: 'Queue' is an element class\n");
	test_must_fail_with("a :: Idle(1", "f:1: '(' is never closed\n");
	test_must_fail_with("elementclass A {\n input -> output", "f:2: the file ends where '}'");
	test_must_fail_with("a :: Idle -> ;", "f:1: an arrow needs an element on both sides\n");
	test_must_fail_with("-> Discard", "f:1: an arrow needs an element on both sides\n");
	test_must_fail_with("a :: Idle [1]", "f:1: an output port at the end of a chain\n");
	test_must_fail_with("Idle [999] -> Discard", "f:1: '999' is not a port");
	test_must_fail_with("Idle [x] -> Discard", "f:1: 'x' is not a port");
	test_must_fail_with("Idle => Discard", "f:1: '=>': say which ports");
	test_must_fail_with("Idle [0,1] => Discard, Discard, Discard",
			    "f:1: '=>' connects 2 outputs to 3 inputs");
	test_must_fail_with("}", "f:1: '}' where a statement is expected\n");
	test_must_fail_with("a :: 'x'", "f:1: ''' where an element class is expected\n");
	test_must_fail_with("Idle() :: Idle", "f:1: '::' needs the name of an element");
	test_must_fail_with("Idle -> {} :: Idle", "f:1: '::' needs the name of an element");
	test_must_fail_with("require(fastclassifier)", "f:1: require: there is no package "
						       "'fastclassifier' here\n");
	test_must_fail_with("require(library x.click)", "f:1: require(library …) is not supported");
	test_must_fail_with("Idle -> { Idle -> input } -> Discard",
			    "f:1: packets come from 'input' and go to 'output'\n");
	test_must_fail_with("Idle -> { input -> Discard } -> Discard",
			    "f:1: '@2' has no output 0\n");
	test_must_fail("i :: Idle; i -> [1] c :: { input -> Discard }",
		       "f:1: 'c': its input 0 is not connected\nf:1: 'c' has no input 1\n");
	test_must_fail_with("Idle -> c :: { input -> t :: Tee -> output; t [1] -> [1] output } -> "
			    "Discard",
			    "f:1: 'c': its output 1 is not connected\n");
	test_must_fail_with("Idle -> { input [1] -> Discard }",
			    "f:1: {…} uses its input 1, but not 0\n");
	test_must_fail_with("x, 1/x :: Idle", "f:1: '1/x' is no name, but a number\n");
	/* In a chain each name declares itself. */
	test_must_fail_with("n1, n2 :: Idle -> Discard", "f:1: unknown element or class 'n1'");
	test_must_fail_with("a :: Idle; a, b :: Idle", "f:1: element 'a' is declared already");
	test_must_fail_with("elementclass L { input -> output }\na, b :: L; a -> b -> a; Idle -> a",
			    "f:2: connections through compounds go in circles, or too far\n");
}

/* "#line" moves what messages say. */
static void test_line_directives(void **state)
{
	test_must_fail_with("# 12 \"other.click\"\nx :: Nonsense",
			    "other.click:12: unknown element class 'Nonsense'");
	test_must_fail_with("a :: Idle\n#line 5\nx :: Nonsense\n", "f:5: unknown element class");
	test_must_fail_with("#line 5 \"a\\\"b\"\n# 7 \"\"\nx :: Nonsense\n", "f:7: unknown");
	/* Within arguments, too, of which they are no part. */
	check_config("p :: Print(x,\n# 7 \"y's (\"\nMAXLENGTH 3); Idle -> p -> Discard", "p",
		     "x,\n           \nMAXLENGTH 3");
	test_must_fail_with("i :: Idle(\n# 70 \"o\"\n)\nx :: Nonsense", "o:71: unknown element");
	/* Whatever a line ends with. */
	test_must_fail_with("//\r\n/*\r\r\n\n*/x :: Nonsense", "f:5: unknown element class");
	test_must_fail_with("//\r# 12\rx :: Nonsense", "f:12: unknown element class");
	/* Other lines of that kind are mistakes. */
	test_must_fail("#include \"x :: y\"\na :: Idle", "f:1: '#include \"x :: y\"' where a "
							 "statement is expected\n");
	test_must_fail_with("a :: Idle # 12", "f:1: '#' where a statement is expected\n");
}

/* What is told is text, whatever there was. */
static void test_odd_bytes(void **state)
{
	struct test_router test;
	static const char zero[] = "a :: Idle;\n b :: Queue(5\0x)";
	struct click_errors errors = {0};
	test_must_fail("Idle -> \xff", "f:1: '?' where an element is expected\n");
	test_must_fail("\xc3\xa4 :: Idle", "f:1: '\xc3\xa4' where a statement is expected\n"
					   "f:1: '::' where a statement is expected\n");
	test_must_fail_with("\xc2\x9b:: Idle", "f:1: '?\?' where");
	test_must_fail_with("require(\xed\xa0\x80\xf0\x80\xe2\x82\xac\033[0m\xe2\x82)",
			    "f:1: require: there is no package '?????\xe2\x82\xac [0m?\?' here");
	check_elements("\xef\xbb\xbf# 1\na :: Idle", "a=Idle");
	test_must_load(&test, "");
	test_unload(&test);
	test.router = click_router_new(&test.host, NULL);
	assert_int_equal(click_router_load(test.router, zero, sizeof(zero) - 1, "f", &errors), -1);
	assert_int_equal(errors.count, 1);
	test_unload(&test);
}

static void test_limits(void **state)
{
	struct test_router test;
	char *text = calloc(1, 300000);
	assert_non_null(text);
	size_t len = 0;
	for (unsigned i = 0; i < 60; i++)
		len += (size_t)sprintf(text + len, "{");
	test_must_fail(text, "f:1: compounds are nested deeper than 32\n");
	len = 0;
	for (unsigned i = 0; i < 60; i++)
		len += (size_t)sprintf(text + len, "(");
	test_must_fail(text, "f:1: groups are nested deeper than 32\n");
	/* Each class twice the one before it: a thousand million elements. */
	len = (size_t)sprintf(text, "elementclass C0 { Idle -> Discard }\n");
	for (unsigned i = 1; i < 30; i++)
		len += (size_t)sprintf(text + len, "elementclass C%u { a, b :: C%u }\n", i, i - 1);
	(void)sprintf(text + len, "c :: C29");
	test_must_fail_with(text, "f:1: more than 12288 elements and compounds\n");
	len = 0;
	for (unsigned i = 0; i < 9000; i++)
		len += (size_t)sprintf(text + len, "e%u :: Idle\n", i);
	test_must_fail_with(text, "f:8193: more than 8192 elements\n");
	len = (size_t)sprintf(text, "a, b :: Idle\n");
	for (unsigned i = 0; i < 65; i++)
		len += (size_t)sprintf(text + len, "a [0-255] -> [%u] b\n", i);
	test_must_fail(text, "f:66: more than 16384 connections\n");
	len = (size_t)sprintf(text, "a :: Idle; a [1-] => a");
	for (unsigned i = 0; i < 255; i++)
		len += (size_t)sprintf(text + len, ", a");
	test_must_fail(text, "f:1: no element has more than 256 ports\n");
	/* Names that are taken already, one after the other. */
	len = 0;
	for (unsigned i = 0; i < 2000; i++)
		len += (size_t)sprintf(text + len, "Idle@%u :: Idle\n", 2001 + i);
	for (unsigned i = 0; i < 2000; i++)
		len += (size_t)sprintf(text + len, "Idle\n");
	(void)sprintf(text + len, "x, Idle@6001 :: Idle");
	test_must_load(&test, text);
	assert_non_null(click_router_find(test.router, "Idle@6000"));
	assert_non_null(click_router_find(test.router, "Idle@6001"));
	test_unload(&test);
	memset(text, 'n', 250);
	(void)sprintf(text + 250, " :: Idle");
	test_must_fail_with(text, "f:1: the name 'nnnn");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declarations),  cmocka_unit_test(test_connections),
		cmocka_unit_test(test_repeated),      cmocka_unit_test(test_double_arrows),
		cmocka_unit_test(test_groups),	      cmocka_unit_test(test_compounds),
		cmocka_unit_test(test_parameters),    cmocka_unit_test(test_overloading),
		cmocka_unit_test(test_syntax_errors), cmocka_unit_test(test_line_directives),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_odd_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
