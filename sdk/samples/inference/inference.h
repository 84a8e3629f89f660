/*
 * An autoencoder in integers: 16 values in, 16 values out through a layer of 6, and how far these
 * are from those.
 */
#pragma once

#include <stdint.h>

#define MODEL_WINDOW 16
#define MODEL_HIDDEN 6
#define MODEL_SHIFT  24
#define MODEL_SCALE  100 /* an input of 1.00 is 100; from -127 to 127 */

struct model {
	int8_t weights1[MODEL_HIDDEN][MODEL_WINDOW], weights2[MODEL_WINDOW][MODEL_HIDDEN];
	int32_t bias1[MODEL_HIDDEN], bias2[MODEL_WINDOW];
	int32_t multiplier1, multiplier2; /* a layer's sum times this, >> SHIFT: the next's input */
	uint32_t threshold;		  /* of the score, above which it is an anomaly */
};
extern const struct model model;

/* The mean of the squared differences. */
uint32_t model_score(const int8_t window[MODEL_WINDOW]);
