/* The form of metadata: pairs of texts, each ended by NUL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whole pairs with names that are not empty, at most STORE_METADATA_MAX bytes. */
bool store_metadata_is_valid(const char *metadata, uint32_t len);
