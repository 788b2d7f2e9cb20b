# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Segmenter against the reference semantics in PyTorch, on images of all sizes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from segret_ros.inference import Segmenter
from segret_ros.network import MEAN, SegRet, STD
import torch
from torch.nn import functional

SIZES = [(1, 1), (1, 200), (37, 53), (64, 96), (480, 640), (1080, 1920)]


@pytest.fixture(scope='module')
def segmenter(network_file: Path) -> Segmenter:
    """Open a segmenter on the CPU."""
    return Segmenter(network_file, device='cpu')


def camera_image(height: int, width: int) -> np.ndarray:
    """Make blurred noise, (height, width, 3) uint8."""
    noise = np.random.default_rng(height + width).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@torch.inference_mode()
def reference(network: SegRet, image: np.ndarray,
              input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Compute label and probability, each (H, W), by the reference semantics."""
    resized = cv2.resize(image, input_size[::-1], interpolation=cv2.INTER_LINEAR)
    normalised = (torch.from_numpy(resized) - torch.tensor(MEAN)) / torch.tensor(STD)
    logits = network(normalised.permute(2, 0, 1)[None])
    logits = functional.interpolate(logits, image.shape[:2], mode='bilinear', align_corners=False)
    probability, label = logits.softmax(1)[0].max(0)
    return label.numpy(), probability.numpy()


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_labels_and_confidence_are_the_references(segmenter: Segmenter, network: SegRet,
                                                  height: int, width: int) -> None:
    image = camera_image(height, width)
    label, probability = reference(network, image, segmenter.info.input_size)
    result = segmenter(image)
    assert result.label.shape == result.confidence.shape == (height, width)
    assert result.label.dtype == result.confidence.dtype == np.uint8
    assert np.mean(result.label == label) >= 0.999
    error = result.confidence - probability * 255
    assert error.max() <= 0.52  # of rounding: never more confident
    assert error.min() >= -4  # see confidence_of
    assert np.abs(error).mean() < 0.4 or height < 37
    if height >= 37:  # the comparison means something
        assert len(np.unique(label)) == 3
        assert np.ptp(result.confidence) > 50


def test_memory_layout_does_not_matter(segmenter: Segmenter) -> None:
    image = camera_image(64, 96)
    expected = segmenter(np.ascontiguousarray(image[:, ::-1])).label
    np.testing.assert_array_equal(segmenter(image[:, ::-1]).label, expected)
    read_only = image[:, ::-1].copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(segmenter(read_only).label, expected)


def test_it_reports_its_stages_device_and_name(segmenter: Segmenter) -> None:
    assert segmenter.engine.device == 'cpu'
    assert segmenter.model.name == 'segret_nano_random'
    stages_ms = segmenter(camera_image(37, 53)).stages_ms
    assert list(stages_ms) == ['resize', 'network', 'labels', 'confidence']
    assert all(stage_ms > 0 for stage_ms in stages_ms.values())
    segmenter.warm_up()


def test_threads_may_share_it(segmenter: Segmenter) -> None:
    images = [camera_image(64, width) for width in (50, 96, 130, 200)]
    expected = [segmenter(image).label for image in images]
    with ThreadPoolExecutor(len(images)) as threads:
        found = threads.map(lambda image: [segmenter(image).label for _ in range(5)], images)
    for labels, its_first in zip(found, expected, strict=True):
        np.testing.assert_array_equal(labels, [its_first] * 5)


@pytest.mark.parametrize(('image', 'value'), [
    (np.zeros((4, 5), np.uint8), 'shape (4, 5)'),
    (np.zeros((4, 5, 1), np.uint8), 'shape (4, 5, 1)'),
    (np.zeros((4, 5, 4), np.uint8), 'shape (4, 5, 4)'),
    (np.zeros((3, 4, 5), np.uint8), 'shape (3, 4, 5)'),
    (np.zeros((1, 4, 5, 3), np.uint8), 'one image at a time'),
    (np.zeros((0, 5, 3), np.uint8), 'at least 1 x 1'),
    (np.zeros((4, 5, 3), np.float32), 'dtype float32'),
    (np.zeros((4, 5, 3), np.uint16), 'dtype uint16'),
    ([[[0, 0, 0]]], 'is a list'),
    (None, 'is a NoneType'),
])
def test_another_image_is_refused(segmenter: Segmenter, image: object, value: str) -> None:
    with pytest.raises(ValueError) as caught:
        segmenter(image)
    assert value in str(caught.value)
    assert '(H, W, 3) uint8' in str(caught.value)


@pytest.mark.parametrize(('shape', 'conversion'), [
    ((4, 5), 'cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)'),
    ((4, 5, 1), 'cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)'),
    ((4, 5, 4), 'image[..., :3]'), ((4, 5, 4), 'cv2.cvtColor(image, cv2.COLOR_BGRA2RGB)'),
    ((3, 4, 5), 'image.transpose(1, 2, 0)'),
])
def test_an_image_of_another_shape_is_refused_with_its_conversion(
        segmenter: Segmenter, shape: tuple[int, ...], conversion: str) -> None:
    image = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match=re.escape(conversion)):
        segmenter(image)
    assert segmenter(eval(conversion)).label.shape == (4, 5)  # it is right as it stands


# Linux tells the largest memory in kilobytes.
EIGHT_MEGAPIXELS = """
import resource, sys
import numpy as np
from segret_ros.inference import Segmenter

def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

segmenter = Segmenter(sys.argv[1], device='cpu')
segmenter.warm_up()
image = np.random.default_rng(0).integers(0, 256, (2448, 3264, 3), np.uint8)
before = peak_megabytes()
result = segmenter(image)
assert result.label.shape == result.confidence.shape == (2448, 3264)
print(peak_megabytes() - before)
"""


def test_eight_megapixels_need_little_memory(network_file: Path) -> None:
    ran = subprocess.run([sys.executable, '-c', EIGHT_MEGAPIXELS, network_file], check=True,
                         capture_output=True, text=True)
    # The two results take 16 MB; one probability of each class and pixel would take 96 MB.
    assert float(ran.stdout) < 48
