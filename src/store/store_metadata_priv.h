/* The form of metadata: pairs of texts, each ended by NUL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The pair at *OFFSET, which moves behind it. False at the end, or where the text is broken. */
bool store_metadata_pair(const char *metadata, uint32_t len, uint32_t *offset,
			 const char **ret_name, const char **ret_value);
/* Whole pairs with names that are not empty, at most STORE_METADATA_MAX bytes. */
bool store_metadata_is_valid(const char *metadata, uint32_t len);
