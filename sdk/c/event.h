/*
 * For functions that an object triggers: which object it was, and what to call the result. Compile
 * event.c with your function, or use any JSON library instead: the event on standard input is the
 * record that AWS S3 notifications carry.
 */
#pragma once

#include <stdio.h>

#define EVENT_KEY_SIZE	  1025
#define EVENT_BUCKET_SIZE 64
#define EVENT_OBJECT	  "/event/object" /* the object itself, to be read */

struct event {
	char bucket[EVENT_BUCKET_SIZE];
	char key[EVENT_KEY_SIZE]; /* decoded: as the object is called */
};

/* Reads the event from IN. 0, or -1 when there is none in it. */
int event_read(FILE *in, struct event *ret_event);

/*
 * "DIRECTORY/KEY" into OUT with the key's extension, if it has one, replaced by ENDING: with
 * "/cooked", "cam/a.csv" and ".hour.csv" that is "/cooked/cam/a.hour.csv". 0, or -1: SIZE is too
 * small.
 */
int event_result_path(const struct event *event, const char *directory, const char *ending,
		      char *out, size_t size);

/* fopen(PATH, "wb"), and the folders that lead to it where they must be there first. */
FILE *event_open_result(const char *path);
