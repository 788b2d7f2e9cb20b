# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How images are presented to a network, against sums by hand and mmsegmentation's arithmetic."""

import cv2
import numpy as np
import pytest
from segret_ros.network import MEAN, SegRet, STD
from segret_train.protocol import network_input, predict, Protocol, segment
import torch
from torch import nn, Tensor
from torch.nn import functional

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


class WindowMean(nn.Module):
    """A network of three classes with constant logits: 0, the image's mean, and -1e9."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int]] = []

    def forward(self, batch: Tensor) -> Tensor:
        """Return (1, 3, H / 4, W / 4)."""
        height, width = batch.shape[2:]
        self.seen.append((height, width))
        values = torch.stack([torch.zeros(()), batch.mean(), torch.tensor(-1e9)])
        return values[None, :, None, None].expand(1, 3, -(-height // 4), -(-width // 4))


def grey(values: np.ndarray) -> np.ndarray:
    """Return an image whose normalised channels are about some values, (H, W)."""
    return np.rint(values[..., None] * np.array(STD) + np.array(MEAN)).astype(np.uint8)


def test_whole_is_what_predict_gives(network: SegRet) -> None:
    label, confidence = segment(network, IMAGE, Protocol())
    np.testing.assert_array_equal(label, predict(network, IMAGE))
    with torch.inference_mode():
        logits = functional.interpolate(network(network_input(network, IMAGE)), IMAGE.shape[:2],
                                        mode='bilinear')[0]
    np.testing.assert_allclose(confidence, logits.softmax(0).amax(0), atol=1e-5)
    assert len(np.unique(label)) == 3


def test_a_window_as_large_as_the_image_is_the_whole(network: SegRet) -> None:
    whole = segment(network, IMAGE, Protocol())
    for crop in ((64, 96), (200, 100)):
        label, confidence = segment(network, IMAGE, Protocol(crop=crop, stride=(10, 10)))
        np.testing.assert_array_equal(label, whole[0])
        np.testing.assert_allclose(confidence, whole[1], atol=1e-5)


def test_overlapping_windows_are_averaged() -> None:
    columns = np.repeat([1.0, -1, 1, 1, 1], 8)
    network = WindowMean()
    label, confidence = segment(network, grey(np.tile(columns, (16, 1))),
                                Protocol(crop=(16, 16), stride=(16, 16)))
    # Windows at columns 0, 16 and, for the image ends at 40, 24: means 0, 1 and 1.
    assert network.seen == [(16, 16)] * 3
    expected = np.repeat([1 / 2, 1 / (1 + np.exp(-1))], [16, 24])
    np.testing.assert_allclose(confidence, np.tile(expected, (16, 1)), atol=0.01)
    label, confidence = segment(WindowMean(), grey(np.tile(columns, (16, 1))),
                                Protocol(crop=(16, 16), stride=(8, 8)))
    # At 0, 8, 16 and 24: means 0, 0, 1 and 1; columns 16 to 23 lie in the second and third.
    expected = 1 / (1 + np.exp(-np.repeat([0, 0, 0.5, 1, 1], 8)))
    np.testing.assert_allclose(confidence, np.tile(expected, (16, 1)), atol=0.01)
    assert (label[:, 16:] == 1).all()


def test_multi_scale_averages_probabilities_of_six_sizes_and_mirrors(network: SegRet) -> None:
    label, confidence = segment(network, IMAGE, Protocol(multi_scale=True))
    expected = []
    for height, width in ((32, 48), (48, 72), (64, 96), (80, 120), (96, 144), (112, 168)):
        resized = cv2.resize(IMAGE, (width, height), interpolation=cv2.INTER_LINEAR)
        for step in (1, -1):
            batch = network_input(network, np.ascontiguousarray(resized[:, ::step]))
            with torch.inference_mode():
                logits = functional.interpolate(network(batch), (height, width), mode='bilinear')
            logits = functional.interpolate(logits, IMAGE.shape[:2], mode='bilinear')[0]
            expected.append(logits.softmax(0).numpy()[:, :, ::step])
    mean = np.mean(expected, axis=0)
    assert (label == mean.argmax(0)).mean() > 0.999
    np.testing.assert_allclose(confidence, mean.max(0), atol=1e-4)
    assert (label != predict(network, IMAGE)).any()


@pytest.mark.parametrize(('short_side', 'size', 'shown'), [
    (512, (512, 683), (512, 704)),  # 683 to the next multiple of 32
    (512, (480, 640), (512, 704)),  # times 16 / 15 is 682.67
    (512, (2000, 1000), (1024, 512)),
    (512, (300, 3000), (224, 2048)),  # the long side ends at 2048: 204.8 x 2048
    (640, (300, 3000), (224, 2048))])
def test_the_short_side_as_the_paper_evaluates_ade20k(
        short_side: int, size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert Protocol(short_side=short_side).sizes(size) == [shown]


def test_sizes_of_multi_scale() -> None:
    assert Protocol(multi_scale=True).sizes((361, 480)) == [
        (181, 240), (271, 360), (361, 480), (451, 600), (542, 720), (632, 840)]
    assert Protocol(short_side=512, multi_scale=True).sizes((512, 683)) == [
        (256, 352), (384, 512), (512, 704), (640, 864), (768, 1056), (896, 1216)]


def test_a_network_sees_the_short_side() -> None:
    network = WindowMean()
    label, _ = segment(network, IMAGE, Protocol(short_side=100))
    assert network.seen == [(128, 160)]
    assert label.shape == IMAGE.shape[:2]


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'crop': (64, 64)}, 'both --crop and --stride'),
    ({'stride': (64, 64)}, 'both --crop and --stride'),
    ({'crop': (64, 64), 'stride': (32, 65)}, '--stride is 32 x 65, --crop 64 x 64'),
    ({'crop': (64, 64), 'stride': (0, 32)}, '--stride is 0 x 32'),
    ({'short_side': 31}, '--short-side is 31'),
])
def test_a_protocol_that_can_not_be_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Protocol(**arguments)


def test_a_diverged_network_is_refused() -> None:
    network = SegRet('nano', 3).eval()
    network.decoder.classify.bias.data[1] = float('nan')
    for protocol in (Protocol(), Protocol(multi_scale=True)):
        with pytest.raises(ValueError, match='logits are NaN or infinite'):
            segment(network, IMAGE, protocol)
