/*
 * supervisor_check_image(): another thread asks, the loop's thread tries, the other waits.
 *
 * A check has two references: the asking thread's and the loop's. Either may go first: the asker
 * when its time is over. The post to the loop carries the relay, which outlives the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/file.h"
#include "supervisor/supervisor_priv.h"

#define CHECK_SECONDS 10

struct supervisor_relay {
	_Atomic unsigned refs;
	struct supervisor *supervisor; /* the loop's thread; NULL: gone */
};

struct supervisor_check {
	_Atomic unsigned refs;
	struct supervisor_relay *relay; /* a reference */
	int fd;				/* of the image; owned */
	enum func_isolation isolation;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t done_cond;
	bool is_done;
	int err;
	struct eos_why why;
};

int supervisor_relay_new(struct supervisor *supervisor, struct supervisor_relay **ret_relay)
{
	struct supervisor_relay *relay = malloc(sizeof(*relay));
	if (relay == NULL)
		return -ENOMEM;
	atomic_init(&relay->refs, 1);
	relay->supervisor = supervisor;
	*ret_relay = relay;
	return 0;
}

static struct supervisor_relay *relay_ref(struct supervisor_relay *relay)
{
	atomic_fetch_add_explicit(&relay->refs, 1, memory_order_relaxed);
	return relay;
}

static void relay_unref(struct supervisor_relay *relay)
{
	if (atomic_fetch_sub_explicit(&relay->refs, 1, memory_order_acq_rel) == 1)
		free(relay);
}

void supervisor_relay_close(struct supervisor_relay *relay)
{
	if (relay == NULL)
		return;
	relay->supervisor = NULL;
	relay_unref(relay);
}

static void check_unref(struct supervisor_check *check)
{
	if (atomic_fetch_sub_explicit(&check->refs, 1, memory_order_acq_rel) != 1)
		return;
	eos_close(check->fd);
	relay_unref(check->relay);
	pthread_cond_destroy(&check->done_cond);
	pthread_mutex_destroy(&check->lock);
	free(check);
}

int supervisor_check_fd(const struct supervisor_check *check)
{
	return check->fd;
}

enum func_isolation supervisor_check_isolation(const struct supervisor_check *check)
{
	return check->isolation;
}

void supervisor_check_finish(struct supervisor_check *check, int err, const char *text,
			     size_t text_len)
{
	pthread_mutex_lock(&check->lock);
	EOS_ASSERT(!check->is_done);
	check->is_done = true;
	check->err = err;
	if (err < 0)
		eos_why(&check->why, err, "%.*s", (int)text_len, text);
	pthread_cond_signal(&check->done_cond);
	pthread_mutex_unlock(&check->lock);
	check_unref(check);
}

static void begin_check(void *ctx)
{
	static const char stopping[] = "the node is shutting down";
	struct supervisor_check *check = ctx;
	struct supervisor *supervisor = check->relay->supervisor;
	if (supervisor == NULL || supervisor->is_stopping)
		supervisor_check_finish(check, -EAGAIN, stopping, sizeof(stopping) - 1);
	else
		supervisor_image_check(supervisor, check);
}

static int new_check(struct supervisor *supervisor, const struct image *image,
		     struct supervisor_check **ret_check)
{
	pthread_condattr_t attributes;
	struct supervisor_check *check = calloc(1, sizeof(*check));
	if (check == NULL)
		return -ENOMEM;
	check->fd = fcntl(image_fd(image), F_DUPFD_CLOEXEC, 0);
	if (check->fd < 0) {
		free(check);
		return -errno;
	}
	atomic_init(&check->refs, 2);
	check->relay = relay_ref(supervisor->relay);
	pthread_mutex_init(&check->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&check->done_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	*ret_check = check;
	return 0;
}

static int wait_check(struct supervisor_check *check, struct eos_why *why)
{
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += CHECK_SECONDS;
	pthread_mutex_lock(&check->lock);
	int timed_out = 0;
	while (!check->is_done && timed_out == 0)
		timed_out = pthread_cond_timedwait(&check->done_cond, &check->lock, &end);
	int err = check->is_done ? check->err : -EAGAIN;
	if (!check->is_done)
		eos_why(why, err, "the cell did not answer within %d s", CHECK_SECONDS);
	else if (err < 0)
		eos_why(why, err, "%s", check->why.text);
	pthread_mutex_unlock(&check->lock);
	return err;
}

int supervisor_check_image(struct supervisor *supervisor, const struct image *image,
			   enum func_isolation isolation, struct eos_why *why)
{
	struct supervisor_check *check = NULL;
	int err = new_check(supervisor, image, &check);
	if (err < 0)
		return eos_why(why, err, "trying the image: %s", strerror(-err));
	check->isolation = isolation;
	err = eos_loop_post(supervisor->config.loop, begin_check, check);
	if (err < 0) {
		check_unref(check); /* the loop's */
		eos_why(why, err, "trying the image: %s", strerror(-err));
	} else {
		err = wait_check(check, why);
	}
	check_unref(check);
	return err;
}
