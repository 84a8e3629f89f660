/*
 * The mover on a thread of its own: kicks from other threads, its sleep, and how others have it
 * stand still.
 *
 * Kicks: the port's is_kicked is set; who set it pushes the port on the stack mma->kicked. The
 * mover takes the whole stack, clears is_kicked, and only then reads the port's rings: so what was
 * written before a kick that found the flag set is seen by that turn or by a later one.
 *
 * Sleep: is_asleep is set, then the stack is looked at once more; a kicker pushes, then looks at
 * is_asleep. One of the two sees the other. The same with is_stirred and controllers, who make
 * ports ready directly.
 *
 * Standing still: a controller sets is_paused and waits for is_busy to be false; the mover sets
 * is_busy before each turn, then looks at is_paused, and steps back while it is set. Both sides
 * store, then load, with a fence between: at least one sees the other, and the mover is the one
 * that yields. This, not a mutex, because the mover's turn must not call the kernel, and a port's
 * end must not wait for more than one turn. Both spin a little and then yield the processor, as
 * they may share one.
 *
 * Fences, not sequentially consistent stores and loads: these would do by the language, and on
 * processors, but qemu, where the tests for the other processor run, puts no barrier between a
 * store-release and a load-acquire of another place, and so lets both sides miss each other.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "mma/mma_priv.h"

#define SPINS_BEFORE_YIELD 1000u
/* Between two looks at the clock. */
#define SPINS_PER_CLOCK 64u

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* What was stored before is seen by all before what is loaded next is loaded. */
static void store_then_load(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* While *FLAG is set. */
static void spin_while(const _Atomic bool *flag)
{
	for (unsigned spins = 0; atomic_load_explicit(flag, memory_order_acquire); spins++) {
		if (spins < SPINS_BEFORE_YIELD)
			relax();
		else
			sched_yield();
	}
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void mma_control_begin(struct mma *mma)
{
	EOS_ASSERT(!mma->is_moving);
	if (!mma->has_thread)
		return;
	EOS_ASSERT(!pthread_equal(mma->thread, pthread_self()));
	pthread_mutex_lock(&mma->control);
	atomic_store_explicit(&mma->is_paused, true, memory_order_relaxed);
	store_then_load();
	spin_while(&mma->is_busy);
}

void mma_control_end(struct mma *mma)
{
	if (!mma->has_thread)
		return;
	bool has_work = !eos_list_is_empty(&mma->ready);
	if (has_work)
		atomic_store_explicit(&mma->is_stirred, true, memory_order_release);
	atomic_store_explicit(&mma->is_paused, false, memory_order_release);
	pthread_mutex_unlock(&mma->control);
	if (has_work)
		mma_wake_thread(mma);
}

void mma_turn_begin(struct mma *mma)
{
	for (;;) {
		atomic_store_explicit(&mma->is_busy, true, memory_order_relaxed);
		store_then_load();
		if (EOS_LIKELY(!atomic_load_explicit(&mma->is_paused, memory_order_acquire)))
			return;
		atomic_store_explicit(&mma->is_busy, false, memory_order_release);
		spin_while(&mma->is_paused);
	}
}

void mma_turn_end(struct mma *mma)
{
	atomic_store_explicit(&mma->is_busy, false, memory_order_release);
}

void mma_wake_thread(struct mma *mma)
{
	if (!mma->has_thread)
		return;
	store_then_load();
	if (atomic_load_explicit(&mma->is_asleep, memory_order_relaxed) != 0 &&
	    atomic_exchange_explicit(&mma->is_asleep, 0, memory_order_acq_rel) != 0)
		(void)futex(&mma->is_asleep, FUTEX_WAKE, 1);
}

void mma_kick(struct mma_port *port)
{
	struct mma *mma = port->mma;
	if (!mma->has_thread) {
		mma_make_ready(port);
		return;
	}
	if (atomic_exchange_explicit(&port->is_kicked, true, memory_order_acq_rel))
		return;
	struct mma_port *top = atomic_load_explicit(&mma->kicked, memory_order_relaxed);
	do {
		port->kicked_next = top;
	} while (!atomic_compare_exchange_weak_explicit(
		&mma->kicked, &top, port, memory_order_release, memory_order_relaxed));
	mma_wake_thread(mma);
}

void mma_posted(struct mma_port *port)
{
	if (port->mma->has_thread)
		store_then_load();
	if (atomic_load_explicit(&port->has_waiters, memory_order_relaxed))
		mma_kick(port);
}

void mma_drain_kicked(struct mma *mma)
{
	if (atomic_load_explicit(&mma->kicked, memory_order_relaxed) == NULL)
		return;
	struct mma_port *port = atomic_exchange_explicit(&mma->kicked, NULL, memory_order_acquire);
	/* The stack has the last one first: turned round, they come in the order of their kicks. */
	struct mma_port *first = NULL;
	while (port != NULL) {
		struct mma_port *next = port->kicked_next;
		port->kicked_next = first;
		first = port;
		port = next;
	}
	while (first != NULL) {
		port = first;
		/* Once the flag is cleared, kicked_next is the kickers' again. */
		first = port->kicked_next;
		(void)atomic_exchange_explicit(&port->is_kicked, false, memory_order_acq_rel);
		mma_make_ready(port);
	}
}

/* Until it is kicked, but not without a last look. */
static void fall_asleep(struct mma *mma)
{
	atomic_store_explicit(&mma->is_asleep, 1, memory_order_relaxed);
	store_then_load();
	if (atomic_load_explicit(&mma->kicked, memory_order_relaxed) == NULL &&
	    !atomic_exchange_explicit(&mma->is_stirred, false, memory_order_acq_rel) &&
	    !atomic_load_explicit(&mma->is_stopping, memory_order_relaxed))
		(void)futex(&mma->is_asleep, FUTEX_WAIT, 1);
	atomic_store_explicit(&mma->is_asleep, 0, memory_order_relaxed);
}

static void *mover_main(void *arg)
{
	struct mma *mma = arg;
	uint64_t idle_since_ns = eos_now_ns();
	unsigned spins = 0;
	while (!atomic_load_explicit(&mma->is_stopping, memory_order_acquire)) {
		mma_turn_begin(mma);
		mma_drain_kicked(mma);
		uint64_t cost = mma_turn(mma);
		mma_count(mma);
		mma_turn_end(mma);
		if (cost > 0) {
			idle_since_ns = 0;
			continue;
		}
		relax();
		if (++spins % SPINS_PER_CLOCK != 0)
			continue;
		uint64_t now_ns = eos_now_ns();
		if (idle_since_ns == 0)
			idle_since_ns = now_ns;
		if (now_ns - idle_since_ns < mma->thread_config.spin_ns)
			continue;
		fall_asleep(mma);
		idle_since_ns = 0;
	}
	return NULL;
}

static int start_thread(struct mma *mma)
{
	/* The process's other threads expect its signals; the mover takes none from them. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&mma->thread, NULL, mover_main, mma);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int mma_thread_start(struct mma *mma, const struct mma_thread_config *config, struct eos_why *why)
{
	static const struct mma_thread_config defaults = {
		.cpu = -1,
		.spin_ns = MMA_SPIN_NS_DEFAULT,
	};
	if (mma->has_thread)
		return eos_why(why, -EBUSY, "the mover has its thread already");
	mma->thread_config = config != NULL ? *config : defaults;
	int cpu = mma->thread_config.cpu;
	if (cpu >= CPU_SETSIZE)
		return eos_why(why, -EINVAL, "there is no processor %d", cpu);
	atomic_store_explicit(&mma->is_stopping, false, memory_order_relaxed);
	mma->has_thread = true;
	int err = start_thread(mma);
	if (err < 0) {
		mma->has_thread = false;
		return eos_why(why, err, "cannot start the mover's thread: %s", strerror(-err));
	}
	if (cpu < 0)
		return 0;
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET((unsigned)cpu, &cpus);
	err = -pthread_setaffinity_np(mma->thread, sizeof(cpus), &cpus);
	if (err < 0) {
		mma_thread_stop(mma);
		return eos_why(why, err, "the mover cannot run on processor %d", cpu);
	}
	return 0;
}

void mma_thread_stop(struct mma *mma)
{
	if (!mma->has_thread)
		return;
	atomic_store_explicit(&mma->is_stopping, true, memory_order_release);
	mma_wake_thread(mma);
	pthread_join(mma->thread, NULL);
	mma->has_thread = false;
	mma_drain_kicked(mma);
}

bool mma_has_thread(const struct mma *mma)
{
	return mma->has_thread;
}
