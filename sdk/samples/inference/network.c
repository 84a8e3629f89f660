#include "inference.h"

static int32_t scaled(int32_t sum, int32_t multiplier, int32_t min, int32_t max)
{
	int64_t product = (int64_t)sum * multiplier + (INT64_C(1) << (MODEL_SHIFT - 1));
	int64_t value = product >> MODEL_SHIFT;
	return value < min ? min : value > max ? max : (int32_t)value;
}

uint32_t model_score(const int8_t window[MODEL_WINDOW])
{
	int32_t hidden[MODEL_HIDDEN];
	uint32_t score = 0;
	for (unsigned k = 0; k < MODEL_HIDDEN; k++) {
		int32_t sum = model.bias1[k];
		for (unsigned i = 0; i < MODEL_WINDOW; i++)
			sum += model.weights1[k][i] * window[i];
		hidden[k] = scaled(sum, model.multiplier1, 0, 127);
	}
	for (unsigned i = 0; i < MODEL_WINDOW; i++) {
		int32_t sum = model.bias2[i];
		for (unsigned k = 0; k < MODEL_HIDDEN; k++)
			sum += model.weights2[i][k] * hidden[k];
		int32_t difference = window[i] - scaled(sum, model.multiplier2, -127, 127);
		score += (uint32_t)(difference * difference);
	}
	return score / MODEL_WINDOW;
}
