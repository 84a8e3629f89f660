#!/usr/bin/python3
"""Trains the autoencoder of the sample inference and writes model.c and reference.h.

    sdk/samples/inference/train.py        # rewrites both files beside it

What is normal: a vibration of eight values a turn, of any phase and of an amplitude between 0.4 and
1.0, with noise. The network (16 inputs, 6 hidden units with ReLU, 16 outputs) learns to give a
window back through the narrow middle; what it has not learnt to give back is an anomaly. Weights
become bytes, and all that inference.c does is done here once more, with the same integers, for the
reference results. Needs no library.
"""
import math
import pathlib
import random

WINDOW = 16
HIDDEN = 6
INPUT_SCALE = 100  # an input of 1.00 is 100
STEPS = 60000
SHIFT = 24
FOLDER = pathlib.Path(__file__).resolve().parent


def normal_window(rng):
    phase = rng.random() * 2 * math.pi
    amplitude = 0.4 + 0.6 * rng.random()
    return [
        amplitude * math.sin(phase + i * 2 * math.pi / 8) + rng.uniform(-0.03, 0.03)
        for i in range(WINDOW)
    ]


def odd_windows(rng):
    """Windows of kinds that are not normal."""
    spike = normal_window(rng)
    spike[rng.randrange(WINDOW)] += rng.choice([-1, 1])
    stuck = [rng.uniform(0.3, 1.0)] * WINDOW
    faster = [0.8 * math.sin(i * 2 * math.pi / 3.1 + rng.random()) for i in range(WINDOW)]
    noise = [rng.uniform(-1, 1) for _ in range(WINDOW)]
    shifted = [value + 0.5 for value in normal_window(rng)]
    return [spike, stuck, faster, noise, shifted]


def train(rng):
    w1 = [[rng.uniform(-0.4, 0.4) for _ in range(WINDOW)] for _ in range(HIDDEN)]
    w2 = [[rng.uniform(-0.4, 0.4) for _ in range(HIDDEN)] for _ in range(WINDOW)]
    b1, b2 = [0.1] * HIDDEN, [0.0] * WINDOW
    for step in range(STEPS):
        rate = 0.02 * (1 - step / STEPS) + 0.0005
        x = normal_window(rng)
        hidden = [max(0.0, b + sum(w * v for w, v in zip(row, x))) for row, b in zip(w1, b1)]
        error = [
            b + sum(w * v for w, v in zip(row, hidden)) - target
            for row, b, target in zip(w2, b2, x)
        ]
        back = [
            sum(error[i] * w2[i][k] for i in range(WINDOW)) if hidden[k] > 0 else 0.0
            for k in range(HIDDEN)
        ]
        for i in range(WINDOW):
            b2[i] -= rate * error[i]
            for k in range(HIDDEN):
                w2[i][k] -= rate * error[i] * hidden[k]
        for k in range(HIDDEN):
            if back[k] != 0.0:
                b1[k] -= rate * back[k]
                for i in range(WINDOW):
                    w1[k][i] -= rate * back[k] * x[i]
    return w1, b1, w2, b2


def clamp(value, low, high):
    return max(low, min(high, value))


class Model:
    """The network in integers, as inference.c computes it."""

    def __init__(self, w1, b1, w2, b2, rng):
        scale1 = max(abs(w) for row in w1 for w in row) / 127
        scale2 = max(abs(w) for row in w2 for w in row) / 127
        most = max(
            b + sum(w * v for w, v in zip(row, normal_window(rng)))
            for _ in range(2000)
            for row, b in zip(w1, b1)
        )
        hidden_scale = 1.2 * most / 127
        self.w1 = [[round(w / scale1) for w in row] for row in w1]
        self.w2 = [[round(w / scale2) for w in row] for row in w2]
        self.b1 = [round(b * INPUT_SCALE / scale1) for b in b1]
        self.b2 = [round(b / (hidden_scale * scale2)) for b in b2]
        self.multiplier1 = round(scale1 / INPUT_SCALE / hidden_scale * 2**SHIFT)
        self.multiplier2 = round(hidden_scale * scale2 * INPUT_SCALE * 2**SHIFT)

    def score(self, x):
        half = 1 << (SHIFT - 1)
        hidden = [
            clamp((b + sum(w * v for w, v in zip(row, x))) * self.multiplier1 + half >> SHIFT, 0, 127)
            for row, b in zip(self.w1, self.b1)
        ]
        out = [
            clamp(
                (b + sum(w * v for w, v in zip(row, hidden))) * self.multiplier2 + half >> SHIFT,
                -127,
                127,
            )
            for row, b in zip(self.w2, self.b2)
        ]
        return sum((a - b) ** 2 for a, b in zip(x, out)) // WINDOW


def quantised(window):
    return [clamp(round(value * INPUT_SCALE), -127, 127) for value in window]


def row_text(values, indent="\t"):
    """Rows of 8 numbers."""
    lines = [values[i : i + 8] for i in range(0, len(values), 8)]
    return ",\n".join(indent + ", ".join(str(v) for v in line) for line in lines) + ","


def write_model(model, threshold):
    matrix = lambda rows: ",\n".join("\t{" + ", ".join(map(str, row)) + "}" for row in rows) + ","
    text = f"""/* Made by train.py: weights of the autoencoder. */
#include "inference.h"

/* clang-format off */
const struct model model = {{
	.weights1 = {{
{matrix(model.w1)}
	}},
	.weights2 = {{
{matrix(model.w2)}
	}},
	.bias1 = {{
{row_text(model.b1)}
	}},
	.bias2 = {{
{row_text(model.b2)}
	}},
	.multiplier1 = {model.multiplier1},
	.multiplier2 = {model.multiplier2},
	.threshold = {threshold},
}};
/* clang-format on */
"""
    (FOLDER / "model.c").write_text(text)


def write_reference(cases):
    rows = "\n".join(
        "\t{" + f"{{{', '.join(map(str, x))}}}, {score}, {str(odd).lower()}" + "},"
        for x, score, odd in cases
    )
    text = f"""/* Made by train.py: windows, their scores, and whether they are odd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "inference.h"

/* clang-format off */
static const struct {{
	int8_t window[MODEL_WINDOW];
	uint32_t score;
	bool is_odd;
}} reference[] = {{
{rows}
}};
/* clang-format on */
"""
    (FOLDER / "reference.h").write_text(text)


def main():
    rng = random.Random(20260101)
    model = Model(*train(rng), rng)
    scores = sorted(model.score(quantised(normal_window(rng))) for _ in range(5000))
    threshold = scores[-1] + scores[-1] // 4
    cases = []
    for _ in range(60):
        x = quantised(normal_window(rng))
        cases.append((x, model.score(x), False))
    for _ in range(20):
        for window in odd_windows(rng):
            x = quantised(window)
            cases.append((x, model.score(x), True))
    write_model(model, threshold)
    write_reference(cases)
    found = sum(score > threshold for _, score, odd in cases if odd)
    wrong = sum(score > threshold for _, score, odd in cases if not odd)
    print(f"threshold {threshold}: {found} of 100 anomalies found, {wrong} of 60 normal ones wrong")


if __name__ == "__main__":
    main()
