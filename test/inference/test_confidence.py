# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Confidence at a model's temperature against a softmax in numpy, and labels of unsure pixels."""

from dataclasses import replace
from pathlib import Path
import time

import cv2
import numpy as np
import onnx
import pytest
from segret_ros.inference import Model, Segmentation, Segmenter
from segret_ros.inference.engines.engine import open_engine
from segret_train.onnx_model import save_model

IMAGE = cv2.resize(np.random.default_rng(5).integers(0, 256, (9, 12, 3)).astype(np.uint8),
                   (213, 131), interpolation=cv2.INTER_CUBIC)


def with_temperature(model: Path, temperature: float, folder: Path) -> Path:
    """Copy a model file with another temperature."""
    path = folder / f'temperature_{temperature}.onnx'
    save_model(onnx.load(model), replace(Model.load(model).info, temperature=temperature), path)
    return path


def softmax_of_label(model: Path, image: np.ndarray, temperature: float) -> np.ndarray:
    """Compute the largest probability of each pixel times 255, (H, W) float64."""
    height, width = Model.load(model).info.input_size
    logits = open_engine(Model.load(model), 'cpu').run(cv2.resize(image, (width, height)))
    size = image.shape[1], image.shape[0]
    logits = np.stack([cv2.resize(plane, size) for plane in logits]).astype(float) / temperature
    odds = np.exp(logits - logits.max(axis=0))
    return 255 / odds.sum(axis=0)


@pytest.mark.parametrize('temperature', [0.4, 1.7, 6.0])
def test_confidence_is_the_softmax_at_the_temperature(network_file: Path, tmp_path: Path,
                                                      temperature: float) -> None:
    changed = Segmenter(with_temperature(network_file, temperature, tmp_path), 'cpu')(IMAGE)
    as_it_was = Segmenter(network_file, 'cpu')(IMAGE)
    error = changed.confidence - softmax_of_label(network_file, IMAGE, temperature)
    assert error.max() <= 0.52  # of rounding: never more confident
    assert error.min() >= -4  # see confidence_of
    assert np.abs(error).mean() < 0.4
    np.testing.assert_array_equal(changed.label, as_it_was.label)
    assert np.abs(changed.confidence - as_it_was.confidence.astype(float)).mean() > 10


@pytest.fixture(scope='module')
def segmenter(network_file: Path) -> Segmenter:
    """Open a segmenter on the CPU."""
    return Segmenter(network_file, 'cpu')


@pytest.fixture(scope='module')
def sure(segmenter: Segmenter) -> Segmentation:
    """Segment `IMAGE`, keeping all labels."""
    return segmenter(IMAGE)


@pytest.mark.parametrize('min_confidence', [1e-9, 0.5, 151 / 255, np.float32(0.7), 1, 1.0])
def test_unsure_pixels_are_unknown(segmenter: Segmenter, sure: Segmentation,
                                   min_confidence: float) -> None:
    result = segmenter(IMAGE, min_confidence)
    unsure = sure.confidence < min_confidence * 255
    np.testing.assert_array_equal(result.label, np.where(unsure, 255, sure.label))
    np.testing.assert_array_equal(result.confidence, sure.confidence)
    assert result.label.dtype == np.uint8


def test_a_threshold_parts_the_pixels(segmenter: Segmenter, sure: Segmentation) -> None:
    assert sure.label.max() < 255
    at_median = segmenter(IMAGE, float(np.median(sure.confidence)) / 255).label
    assert 0.2 < np.mean(at_median == 255) < 0.6
    np.testing.assert_array_equal(segmenter(IMAGE, min_confidence=0).label, sure.label)


def test_an_image_of_one_pixel_may_be_unknown(segmenter: Segmenter) -> None:
    assert segmenter(IMAGE[:1, :1], 1).label.tolist() == [[255]]


@pytest.mark.parametrize('min_confidence', [-0.01, 1.01, 128, float('nan'), float('inf')])
def test_what_is_no_probability_is_refused(segmenter: Segmenter, min_confidence: float) -> None:
    with pytest.raises(ValueError) as caught:
        segmenter(IMAGE, min_confidence)
    assert f'min_confidence is {min_confidence}: it must be' in str(caught.value)


def test_unsure_pixels_need_the_confidence(network_file: Path, sure: Segmentation) -> None:
    segmenter = Segmenter(network_file, 'cpu', confidence=False)
    with pytest.raises(ValueError, match='min_confidence is 0.5.*confidence=True'):
        segmenter(IMAGE, 0.5)
    assert segmenter(IMAGE).confidence is None
    np.testing.assert_array_equal(segmenter(IMAGE, 0.0).label, sure.label)


@pytest.mark.parametrize('min_confidence', [0.0, 0.9])
def test_the_label_is_reported_as_soon_as_it_is_final(segmenter: Segmenter,
                                                      min_confidence: float) -> None:
    told, listened_s = [], []

    def note(label: np.ndarray) -> None:
        told.append(label.copy())
        started = time.perf_counter()
        time.sleep(0.05)
        listened_s.append(time.perf_counter() - started)

    started = time.perf_counter()
    result = segmenter(IMAGE, min_confidence, note)
    passed_s = time.perf_counter() - started
    assert len(told) == 1
    np.testing.assert_array_equal(told[0], result.label)
    assert (255 in told[0]) == bool(min_confidence)
    # The listener's time is not the stages'.
    assert sum(result.stages_ms.values()) / 1e3 <= passed_s - sum(listened_s)
