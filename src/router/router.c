/*
 * The router's supervisors share their worker threads, so that more cells are not more threads of
 * edged. That says the order of the end: all cells are told to stop, the queue loses its executor,
 * the workers finish what is under way for anybody, then the supervisors go.
 */
#include "router/router.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "router/router_choose.h"

struct router {
	struct func_queue *queue;
	struct eos_workers *file_workers, *image_workers;
	bool is_stopping;
	bool is_executor; /* of the queue */
	unsigned next;	  /* whose turn it is among equals */
	unsigned count;	  /* of those that are there; all of them once it has started */
	struct supervisor *cells[ROUTER_CELLS_MAX];
};

/* False: the kernel does not say; or there are more than a cpu_set_t holds. */
static bool get_processors(cpu_set_t *ret_set)
{
	return sched_getaffinity(0, sizeof(*ret_set), ret_set) == 0;
}

static unsigned default_cells(void)
{
	cpu_set_t set;
	unsigned processors = get_processors(&set) ? (unsigned)CPU_COUNT(&set) : 1;
	return EOS_MIN(EOS_MAX(processors, 2u) - 1, ROUTER_CELLS_DEFAULT_MAX);
}

/* The number of the INDEX-th processor of SET. */
static int processor_at(const cpu_set_t *set, unsigned index)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, set) && index-- == 0)
			return i;
	return SUPERVISOR_ANY_PROCESSOR;
}

/* Where cell INDEX of CELLS stays. */
static int choose_processor(unsigned index, unsigned cells)
{
	cpu_set_t set;
	if (cells < 2 || !get_processors(&set) || cells > (unsigned)CPU_COUNT(&set))
		return SUPERVISOR_ANY_PROCESSOR;
	return processor_at(&set, (index + 1) % (unsigned)CPU_COUNT(&set));
}

/* The first cell is stopped before all others, so it refuses what comes while they are: no cell
 * that was not told yet begins something new. */
static struct supervisor *choose_cell(struct router *router, const struct func_call *call)
{
	struct router_cell cells[ROUTER_CELLS_MAX];
	if (router->is_stopping)
		return router->cells[0];
	for (unsigned i = 0; i < router->count; i++) {
		struct supervisor_stats stats;
		supervisor_stats(router->cells[i], &stats);
		cells[i] = (struct router_cell){
			.calls = stats.calls_under_way,
			.is_ready = stats.is_ready,
		};
	}
	return router->cells[router_choose(call, cells, router->count, &router->next)];
}

static void start_call(void *ctx, struct func_call *call)
{
	supervisor_call_start(choose_cell(ctx, call), call);
}

static int start_cells(struct router *router, const struct router_config *config,
		       struct eos_why *why)
{
	unsigned cells = config->cells > 0 ? config->cells : default_cells();
	struct supervisor_config cell = config->cell;
	EOS_ASSERT(cells <= ROUTER_CELLS_MAX);
	cell.file_workers = router->file_workers;
	cell.image_workers = router->image_workers;
	for (unsigned i = 0; i < cells; i++) {
		cell.processor = choose_processor(i, cells);
		int err = supervisor_new(&cell, &router->cells[i], why);
		if (err < 0)
			return err;
		router->count++;
	}
	return 0;
}

static int start_workers(struct router *router, struct eos_loop *loop)
{
	int err = eos_workers_new(loop, SUPERVISOR_FILE_THREADS, NULL, NULL, &router->file_workers);
	if (err < 0)
		return err;
	return eos_workers_new(loop, SUPERVISOR_IMAGE_THREADS, NULL, NULL, &router->image_workers);
}

int router_new(const struct router_config *config, struct router **ret_router, struct eos_why *why)
{
	struct router *router = calloc(1, sizeof(*router));
	if (router == NULL)
		return eos_why(why, -ENOMEM, "starting the cells: %s", strerror(ENOMEM));
	router->queue = config->cell.queue;
	int err = start_workers(router, config->cell.loop);
	if (err < 0)
		eos_why(why, err, "starting threads for the cells: %s", strerror(-err));
	else
		err = start_cells(router, config, why);
	if (err < 0) {
		router_free(router);
		return err;
	}
	const struct func_executor executor = {
		.start = start_call,
		.cancel = supervisor_call_cancel,
		.ctx = router,
	};
	func_queue_set_executor(router->queue, &executor);
	router->is_executor = true;
	*ret_router = router;
	return 0;
}

void router_stop(struct router *router)
{
	router->is_stopping = true;
	for (unsigned i = 0; i < router->count; i++)
		supervisor_stop(router->cells[i]);
}

struct router *router_free(struct router *router)
{
	if (router == NULL)
		return NULL;
	router_stop(router);
	if (router->is_executor)
		func_queue_set_executor(router->queue, NULL);
	router->image_workers = eos_workers_free(router->image_workers);
	router->file_workers = eos_workers_free(router->file_workers);
	for (unsigned i = 0; i < router->count; i++)
		router->cells[i] = supervisor_free(router->cells[i]);
	free(router);
	return NULL;
}

bool router_is_ready(const struct router *router)
{
	for (unsigned i = 0; i < router->count; i++)
		if (supervisor_is_ready(router->cells[i]))
			return true;
	return false;
}

unsigned router_cells(const struct router *router)
{
	return router->count;
}

void router_stats(const struct router *router, unsigned cell, struct supervisor_stats *ret_stats)
{
	EOS_ASSERT(cell < router->count);
	supervisor_stats(router->cells[cell], ret_stats);
}

int router_check_image(struct router *router, const struct image *image,
		       enum func_isolation isolation, struct eos_why *why)
{
	/* If none is ready, the first one says so. */
	unsigned chosen = 0;
	for (unsigned i = router->count; i-- > 0;)
		if (supervisor_is_ready(router->cells[i]))
			chosen = i;
	return supervisor_check_image(router->cells[chosen], image, isolation, why);
}
