/*
 * What Check...Header elements share: counts of what was wrong, by reason, their log lines and
 * their handlers.
 */
#pragma once

#include <click.h>

#define CLICK_REASONS_MAX 8u

/* Behind the element in the struct of each that uses this. */
struct click_check {
	struct click_element element;
	const char *what;	    /* "IP": for the log */
	const char *const *reasons; /* their texts */
	uint32_t reasons_count;
	bool is_verbose, has_details;
	uint64_t *passed, *drops;
	uint64_t by_reason[CLICK_REASONS_MAX];
};

/* VERBOSE and DETAILS. */
void click_check_configure(struct click_check *check, struct click_args *args);
/* Counts, tells of it the first time or always (VERBOSE), and sends PACKET to output 1. */
struct click_packet *click_check_drop(struct click_check *check, unsigned reason,
				      struct click_packet *packet);
/* count, drops and drop_details. */
extern const struct click_handler click_check_handlers[];
