/* For the cases beside this file: a check that fails says where and ends the program. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(claim)                                                                               \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			fprintf(stderr, "%s:%d: %s (errno %d, %s)\n", __FILE_NAME__, __LINE__,     \
				#claim, errno, strerror(errno));                                   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* CALL fails with ERROR. */
#define CHECK_ERROR(call, error)                                                                   \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((call) == -1);                                                               \
		CHECK(errno == (error));                                                           \
	} while (0)
