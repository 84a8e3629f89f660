/*
 * The verbs and what `edgeos help` says of them.
 */
#include "cli/cli.h"

#include <string.h>

const struct cli_verb cli_verbs[] = {
	{
		.name = "up",
		.run = cmd_up,
		.usage = "[-c FILE] [--data DIR]",
		.summary = "start a node in the foreground",
		.help = "Prints the node's addresses and, on its first start, its keys; runs until "
			"Ctrl-C.\n"
			"Without FILE the defaults of /etc/edgeos/edgeos.yaml's documentation "
			"hold.\n"
			"\n"
			"  edgeos up\n"
			"  edgeos up --data /srv/edgeos -c /etc/edgeos/edgeos.yaml\n",
	},
	{
		.name = "status",
		.run = cmd_status,
		.usage = "[--json]",
		.summary = "what the node is doing",
		.help = "  edgeos status\n"
			"  edgeos status --json --data /srv/edgeos\n",
	},
	{
		.name = "run",
		.run = cmd_run,
		.usage = "[-e K=V] [--dir HOST::GUEST[::ro]] [--memory N] [--timeout T] FILE.wasm "
			 "[ARGS…]",
		.summary = "run one WASI program as a featherweight process, without a node",
		.help = "The program's exit code is the command's; a trap is 134, a timeout 124.\n"
			"Options stand before FILE.wasm; everything behind it is the program's.\n"
			"A directory with ::ro is for reading only.\n"
			"\n"
			"  edgeos run hello.wasm world\n"
			"  edgeos run --dir .::/data --timeout 2s convert.wasm /data/in.csv\n",
	},
	{
		.name = "build",
		.run = cmd_build,
		.usage = "FILE.wasm|FILE.click [-o FILE.fwp] [--target x86_64|aarch64]",
		.summary = "compile a module or a Click configuration to an image",
		.help = "`edgeos run` starts an image at once and needs no compiler; it takes only "
			"images\n"
			"signed with the same key, ~/.local/share/edgeos/image.key, on the "
			"machine it\n"
			"is for. Another machine's processor needs Debian's cross compiler:\n"
			"gcc-aarch64-linux-gnu and libc6-dev-arm64-cross, or "
			"gcc-x86-64-linux-gnu and\n"
			"libc6-dev-amd64-cross.\n"
			"A Click configuration becomes a packet function, FILE.fwp; -o FILE.wasm "
			"keeps the\n"
			"module, which `edgeos build` takes too.\n"
			"\n"
			"  edgeos build hello.wasm -o hello.fwp\n"
			"  edgeos build hello.wasm -o hello-arm.fwp --target aarch64\n"
			"  edgeos build firewall.click\n",
	},
	{
		.name = "deploy",
		.run = cmd_deploy,
		.usage = "FILE.yaml | NAME FILE.wasm [--http PATH] [--on-object BUCKET[/PREFIX]] "
			 "[--read BUCKET] [--write BUCKET]",
		.summary = "put a function on the node",
		.help = "From a manifest (docs/manifest.md), or from a module and triggers. The "
			"function is\n"
			"compiled, checked and stored; a new version replaces the old one at "
			"once.\n"
			"\n"
			"  edgeos deploy downsample.yaml\n"
			"  edgeos deploy hello hello.wasm --http /hello\n"
			"  edgeos deploy thumb thumb.wasm --on-object photos/in --write thumbs\n",
	},
	{
		.name = "chain",
		.run = cmd_chain,
		.usage = "apply FILE.yaml | list | show NAME | rm NAME",
		.summary = "chains of packet functions in the data plane",
		.help = "From a manifest (docs/chains.md): whose packets, which stages (Click "
			"configurations or\n"
			"modules), where they leave. A new version replaces the old one without "
			"losing packets.\n"
			"The node's configuration must have the key plane.\n"
			"\n"
			"  edgeos chain apply subscriber.yaml\n"
			"  edgeos chain show subscriber --json\n",
	},
	{
		.name = "function",
		.run = cmd_function,
		.usage = "list | show NAME | logs NAME | invoke NAME [FILE] | rm NAME",
		.summary = "look at functions, run and remove them",
		.help = "invoke runs NAME with FILE (or -, standard input) as its input and prints "
			"its output.\n"
			"\n"
			"  edgeos function list --json\n"
			"  edgeos function logs downsample\n"
			"  echo '{}' | edgeos function invoke hello -\n",
	},
	{
		.name = "bucket",
		.run = cmd_bucket,
		.usage = "create NAME | list | show NAME | rm NAME |\n"
			 "       set NAME [--versioning on|suspended] [--compress on|off] "
			 "[--encrypt on|off]\n"
			 "                [--quota-bytes N|none] [--quota-objects N|none]",
		.summary = "make, list and remove buckets, and change their settings",
		.help = "With versioning on, what is replaced or deleted stays as an older "
			"version. "
			"Compression\n"
			"and encryption are of what is written from then on. A quota counts all "
			"versions; what\n"
			"would exceed it is refused.\n"
			"\n"
			"  edgeos bucket create raw\n"
			"  edgeos bucket set raw --quota-bytes 10GiB --compress on\n"
			"  edgeos bucket show raw --json\n",
	},
	{
		.name = "find",
		.run = cmd_find,
		.usage = "[--bucket B] [--prefix P] [--tag 'K=V']… [--meta 'K>V']… [--since T] "
			 "[--until T]\n"
			 "            [--limit N]",
		.summary = "find objects by tags, metadata and time",
		.help = "All conditions must hold. Between name and value stands one of = < <= > "
			">=; two\n"
			"numbers are compared as numbers, else texts as bytes. --meta K is what S3 "
			"clients call\n"
			"x-amz-meta-K. T is a time in ISO 8601 (UTC, if it names no zone) or an "
			"age, "
			"as 7d or\n"
			"2h; since and until are of the last change of the object's data. Without "
			"--bucket all\n"
			"are searched. Shows up to 1,000 objects, or N, at most 10,000.\n"
			"\n"
			"  edgeos find --tag site=berlin --meta 'celsius>=30' --since 7d\n"
			"  edgeos find --bucket raw --prefix cam1/ --until 2026-11-22T12:00 "
			"--json\n",
	},
	{
		.name = "store",
		.run = cmd_store,
		.usage = "stats | verify | repair | compact | rekey [--key FILE]",
		.summary = "look at the store, check it, repair it, make it smaller",
		.help = "verify reads everything and names what is damaged. repair removes what "
			"cannot be read\n"
			"whole, names it, and sets counts right. compact gives the space of what "
			"was "
			"deleted\n"
			"back. The node goes on working meanwhile; where none runs, the store is "
			"opened for it.\n"
			"Ctrl-C stops the job. Exit code 1: something is damaged, was removed by "
			"repair, or the\n"
			"job did not end. rekey makes a new node key, which opens what is "
			"encrypted; keep a copy\n"
			"of it elsewhere. --key names its file where no node runs and the "
			"configuration moved it.\n"
			"\n"
			"  edgeos store stats\n"
			"  edgeos store verify --data /srv/edgeos\n"
			"  edgeos store compact --json\n",
	},
	{
		.name = "tenant",
		.run = cmd_tenant,
		.usage = "create NAME [--quota-bytes N] [--quota-objects N] | list | show NAME | "
			 "rm NAME |\n"
			 "         key NAME [--rm ACCESS_KEY] | quota NAME [--quota-bytes N] "
			 "[--quota-objects N]",
		.summary = "who shares the node: keys and quotas of tenants",
		.help = "create and key print a new pair of S3 keys; the secret is shown only "
			"then. A quota of 0\n"
			"is none. A tenant that owns buckets cannot be removed.\n"
			"\n"
			"  edgeos tenant create acme --quota-bytes 10GiB\n"
			"  edgeos tenant key acme --rm EDGEXXXXXXXXXXXXXXXX\n",
	},
	{
		.name = "cp",
		.run = cmd_cp,
		.usage = "FILE s3://BUCKET/KEY | s3://BUCKET/KEY FILE",
		.summary = "copy a file into the store or out of it",
		.help = "A KEY that is empty or ends with / gets the file's name.\n"
			"\n"
			"  edgeos cp today.csv s3://raw/cam1/\n"
			"  edgeos cp s3://cooked/today.csv .\n",
	},
	{
		.name = "ls",
		.run = cmd_ls,
		.usage = "[s3://BUCKET[/PREFIX]] [--recursive]",
		.summary = "list buckets or objects",
		.help = "  edgeos ls\n"
			"  edgeos ls s3://raw/cam1/ --json\n",
	},
	{
		.name = "cat",
		.run = cmd_cat,
		.usage = "s3://BUCKET/KEY",
		.summary = "print an object",
		.help = "  edgeos cat s3://cooked/today.csv\n",
	},
	{
		.name = "rm",
		.run = cmd_rm,
		.usage = "s3://BUCKET/KEY",
		.summary = "delete an object",
		.help = "  edgeos rm s3://raw/cam1/today.csv\n",
	},
	{
		.name = "bench",
		.run = cmd_bench,
		.usage = "NAME [--json]",
		.summary = "measure this box, side by side with what it is compared to",
		.help = "NAME is one of\n"
			"  start       how long a start takes, beside processes and containers\n"
			"  churn       how many can be started and ended in a second\n"
			"  switch      from one to the other on one core\n"
			"  message     bytes from one to the other on one core\n"
			"  neighbour   what one tenant's work costs another in time\n"
			"  density     the memory of one that waits\n"
			"  chain       what a packet costs that passes packet functions\n"
			"  chain_churn chains made for new clients, a second\n"
			"  plane_echo  a datagram there and back, beside a server on the kernel's "
			"sockets\n"
			"  plane_idle  what a node with a data plane takes that has nothing to do\n"
			"  flood       what established clients feel of a flood of others, as "
			"root\n"
			"  memcached   a thousand caches on one processor, beside as many "
			"processes\n"
			"  flow        which flow a packet belongs to, of a million\n"
			"  compute     the speed of what is computed, beside native code\n"
			"  http        requests a second, beside nginx and CGI\n"
			"  node        the start of a whole node\n"
			"  store       objects in and out, beside nginx and restic\n"
			"Baselines that are not installed are named and left out. Exit code 1: a "
			"figure "
			"is not as it must be.\n"
			"\n"
			"  edgeos bench start\n"
			"  edgeos bench http --json\n",
	},
	{
		.name = "version",
		.run = cmd_version,
		.usage = "[--json]",
		.summary = "the version of EdgeOS",
		.help = "",
	},
	{
		.name = "help",
		.run = cmd_help,
		.usage = "[VERB]",
		.summary = "this text, or that of a verb",
		.help = "",
	},
	{.name = NULL},
};

const struct cli_verb *cli_find_verb(const char *name)
{
	const struct cli_verb *v = cli_verbs;
	while (v->name != NULL && strcmp(v->name, name) != 0)
		v++;
	return v;
}
