/*
 * edge-cell: featherweight processes for others.
 *
 *   edge-cell --node MEMFD BELL-TO-CELL BELL-TO-NODE SOCKET PUBLIC-KEY PARENT-PID SETTINGS
 * PROCESSOR edge-cell --run [OPTIONS] FILE.wasm [ARGS…]
 *
 * Programs start it, not people: edged the first form, `edgeos run` the second.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "cell/cell.h"
#include "cell/run.h"

static int usage(void)
{
	fputs("edge-cell: started by edged and by edgeos run\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct eos_why why = {""};
	struct cell_config config;
	if (argc < 2)
		return usage();
	if (eos_fault_init(&why) < 0) {
		fprintf(stderr, "edge-cell: EDGEOS_FAULTS: %s\n", why.text);
		return 2;
	}
	if (strcmp(argv[1], "--run") == 0)
		return cell_run_main(argc - 2, argv + 2);
	if (strcmp(argv[1], "--node") != 0 || cell_parse_args(argc - 2, argv + 2, &config) < 0)
		return usage();
	/* Everything was freed; what is left of exit() is a sanitizer's search for leaks, which
	 * needs files that the sandbox took. */
	_exit(cell_node(&config));
}
