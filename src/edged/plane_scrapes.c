#include "edged/plane_scrapes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "plane/plane_metrics.h"

#define FRESH_NS  EOS_NS_PER_S
#define ANSWER_MS 3000 /* Prometheus itself waits for 10 s */

static const char up_text[] = "# HELP edgeos_plane_up Does the data plane answer?\n"
			      "# TYPE edgeos_plane_up gauge\n"
			      "edgeos_plane_up ";

struct plane_scrapes {
	struct plane_scrapes_config config;
	pthread_t thread;
	bool has_thread;
	/* The loop's thread. */
	struct eos_list waiting; /* struct ctl_metrics_query */
	struct eos_watch *watch;
	struct eos_timer *timer;	/* armed while somebody waits */
	struct eos_buf text;		/* the last answer */
	uint64_t asked_ns, answered_ns; /* 0: never */
	bool is_asking;
	int answer_fd; /* readable when ANSWER is there; written by the thread */
	pthread_mutex_t lock;
	pthread_cond_t cond; /* the thread's */
	/* Guarded by lock. */
	bool must_ask, must_end;
	struct eos_buf answer;
};

/* --- the thread --- */

static void ask(struct plane_scrapes *scrapes, struct eos_buf *text)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf state = {0};
	struct eos_why why = {""};
	eos_buf_puts(text, up_text);
	size_t len = text->len;
	eos_buf_puts(text, "1\n");
	/* Why it does not answer is in the log of whoever speaks with it. */
	if (scrapes->config.get_state(scrapes->config.ctx, &state, &why) < 0 ||
	    plane_metrics_format(state.data, state.len, text, &why) < 0) {
		text->len = EOS_MIN(len, text->len);
		eos_buf_puts(text, "0\n");
	}
}

static void *thread_main(void *ctx)
{
	struct plane_scrapes *scrapes = ctx;
	pthread_mutex_lock(&scrapes->lock);
	while (!scrapes->must_end) {
		if (!scrapes->must_ask) {
			pthread_cond_wait(&scrapes->cond, &scrapes->lock);
			continue;
		}
		struct eos_buf text = {0};
		scrapes->must_ask = false;
		pthread_mutex_unlock(&scrapes->lock);
		ask(scrapes, &text);
		pthread_mutex_lock(&scrapes->lock);
		eos_buf_fini(&scrapes->answer);
		scrapes->answer = text;
		(void)eventfd_write(scrapes->answer_fd, 1);
	}
	pthread_mutex_unlock(&scrapes->lock);
	return NULL;
}

/* --- the loop --- */

static void answer_all(struct plane_scrapes *scrapes, const char *text, size_t len)
{
	struct eos_list *node;
	eos_timer_disarm(scrapes->timer);
	while ((node = eos_list_take(&scrapes->waiting)) != NULL) {
		struct ctl_metrics_query *query =
			EOS_CONTAINER_OF(node, struct ctl_metrics_query, node);
		query->done(query, text, len);
	}
}

static void answer_down(struct plane_scrapes *scrapes)
{
	char text[sizeof(up_text) + 2];
	strcpy(text, up_text);
	strcat(text, "0\n");
	answer_all(scrapes, text, strlen(text));
}

static void on_timeout(void *ctx)
{
	answer_down(ctx);
}

static void on_answer(void *ctx)
{
	struct plane_scrapes *scrapes = ctx;
	eventfd_t count;
	if (eventfd_read(scrapes->answer_fd, &count) < 0)
		return;
	pthread_mutex_lock(&scrapes->lock);
	eos_buf_fini(&scrapes->text);
	scrapes->text = scrapes->answer;
	scrapes->answer = (struct eos_buf){0};
	pthread_mutex_unlock(&scrapes->lock);
	scrapes->is_asking = false;
	scrapes->answered_ns = eos_now_ns();
	if (eos_buf_failed(&scrapes->text))
		answer_down(scrapes);
	else
		answer_all(scrapes, scrapes->text.data, scrapes->text.len);
}

void plane_scrapes_ask(struct plane_scrapes *scrapes, struct ctl_metrics_query *query)
{
	uint64_t now_ns = eos_now_ns();
	bool was_empty = eos_list_is_empty(&scrapes->waiting);
	eos_list_add_tail(&scrapes->waiting, &query->node);
	if (scrapes->answered_ns != 0 && now_ns - scrapes->answered_ns < FRESH_NS &&
	    !eos_buf_failed(&scrapes->text)) {
		answer_all(scrapes, scrapes->text.data, scrapes->text.len);
		return;
	}
	if (!scrapes->is_asking) {
		scrapes->is_asking = true;
		scrapes->asked_ns = now_ns;
		pthread_mutex_lock(&scrapes->lock);
		scrapes->must_ask = true;
		pthread_cond_signal(&scrapes->cond);
		pthread_mutex_unlock(&scrapes->lock);
	} else if (now_ns - scrapes->asked_ns >= ANSWER_MS * EOS_NS_PER_MS) {
		answer_down(scrapes);
		return;
	}
	if (was_empty)
		eos_timer_arm(scrapes->timer, ANSWER_MS);
}

/* --- life --- */

static int start(struct plane_scrapes *scrapes)
{
	struct eos_loop *loop = scrapes->config.loop;
	scrapes->answer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (scrapes->answer_fd < 0)
		return -errno;
	int err = eos_watch_new(loop, scrapes->answer_fd, on_answer, scrapes, &scrapes->watch);
	if (err == 0)
		err = eos_timer_new(loop, on_timeout, scrapes, &scrapes->timer);
	if (err == 0)
		err = -pthread_create(&scrapes->thread, NULL, thread_main, scrapes);
	scrapes->has_thread = err == 0;
	return err;
}

int plane_scrapes_new(const struct plane_scrapes_config *config, struct plane_scrapes **ret_scrapes)
{
	struct plane_scrapes *scrapes = calloc(1, sizeof(*scrapes));
	if (scrapes == NULL)
		return -ENOMEM;
	scrapes->config = *config;
	scrapes->answer_fd = -1;
	eos_list_init(&scrapes->waiting);
	pthread_mutex_init(&scrapes->lock, NULL);
	pthread_cond_init(&scrapes->cond, NULL);
	int err = start(scrapes);
	if (err < 0) {
		plane_scrapes_free(scrapes);
		return err;
	}
	*ret_scrapes = scrapes;
	return 0;
}

struct plane_scrapes *plane_scrapes_free(struct plane_scrapes *scrapes)
{
	if (scrapes == NULL)
		return NULL;
	if (scrapes->has_thread) {
		pthread_mutex_lock(&scrapes->lock);
		scrapes->must_end = true;
		pthread_cond_signal(&scrapes->cond);
		pthread_mutex_unlock(&scrapes->lock);
		pthread_join(scrapes->thread, NULL);
	}
	EOS_ASSERT(eos_list_is_empty(&scrapes->waiting));
	eos_watch_free(scrapes->watch);
	eos_timer_free(scrapes->timer);
	eos_close(scrapes->answer_fd);
	eos_buf_fini(&scrapes->text);
	eos_buf_fini(&scrapes->answer);
	pthread_cond_destroy(&scrapes->cond);
	pthread_mutex_destroy(&scrapes->lock);
	free(scrapes);
	return NULL;
}
