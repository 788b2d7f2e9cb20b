# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Colours, overlays and legends, pixel by pixel."""

import numpy as np
from segret_ros.labels.label_set import LabelSet, load_label_set
from segret_ros.labels.visualization import colorize, legend, overlay

LABELS = LabelSet(('road', 'car'), ((128, 64, 128), (0, 0, 142)))
LABEL = np.array([[0, 1, 255], [1, 0, 7]], np.uint8)


def test_each_pixel_gets_its_class_colour() -> None:
    np.testing.assert_array_equal(
        colorize(LABEL, LABELS.color_table()),
        [[[128, 64, 128], [0, 0, 142], [0, 0, 0]], [[0, 0, 142], [128, 64, 128], [0, 0, 0]]])


def test_overlay_blends_and_leaves_unknown_pixels() -> None:
    image = np.full((2, 3, 3), 100, np.uint8)
    blended = overlay(image, LABEL, LABELS.color_table(), alpha=0.25)
    np.testing.assert_array_equal(blended[0], [[107, 91, 107], [75, 75, 110], [100, 100, 100]])
    np.testing.assert_array_equal(image, np.full((2, 3, 3), 100))


def test_legend_shows_every_colour_within_its_width() -> None:
    for name in ('camvid', 'cityscapes', 'ade20k'):
        labels = load_label_set(name)
        strip = legend(labels, 640)
        assert strip.shape[1:] == (640, 3)
        colours = {tuple(colour) for colour in strip.reshape(-1, 3).tolist()}
        assert colours >= set(labels.colors)
