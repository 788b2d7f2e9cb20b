# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Weights that make rare classes count for more."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from segret_ros.labels.label_set import UNKNOWN
from segret_train.datasets import Sample
from tqdm import tqdm


def balanced_weights(samples: list[Sample], classes: int, balance: float) -> list[float]:
    """
    Give a weight for each class, whose mean over all labelled pixels is 1.

    :param samples: whose labels are read, each once.
    :param balance: 0..1; a hundredth of another's pixels makes 100 ** balance of its weight.
    """
    counts = np.zeros(classes, np.int64)
    with ThreadPoolExecutor() as pool:
        for pixels in tqdm(pool.map(_count, samples), 'counting classes', len(samples),
                           unit='image', leave=False):
            counts += pixels[:classes]
    weights = np.maximum(counts, 1) ** -float(balance)  # a class without pixels needs no weight
    return (weights * counts.sum() / (weights * counts).sum()).tolist()


def _count(sample: Sample) -> np.ndarray:
    return np.bincount(sample.label().ravel(), minlength=UNKNOWN + 1)
