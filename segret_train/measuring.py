# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Models measured side by side on labelled images."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from segret_ros.labels.metrics import Scores
from segret_train.datasets import Sample

# Gives the (H, W) uint8 label of a (H, W, 3) uint8 RGB image and its confidence, of the same size
# as `Calibration` takes it.
Segment = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def score(samples: Iterable[Sample], segments: Sequence[Segment],
          num_classes: int) -> tuple[list[Scores], list[float]]:
    """
    Measure some models on the same labelled images.

    :return: the scores of each, and the share of all pixels that each labels as the first one.
    """
    scores = [Scores(num_classes) for _ in segments]
    equal, pixels = np.zeros(len(segments), np.int64), 0
    for sample in samples:
        image, true_label = sample.image(), sample.label()
        labels = []
        for model, segment in zip(scores, segments):
            label, confidence = segment(image)
            model.add(true_label, label, confidence)
            labels.append(label)
        equal += [np.count_nonzero(label == labels[0]) for label in labels]
        pixels += true_label.size
    return scores, (equal / pixels).tolist()
