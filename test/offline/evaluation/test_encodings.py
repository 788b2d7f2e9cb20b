# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags as camera drivers write them: raw images of many encodings, and mosaics."""

from pathlib import Path

import cv2
import numpy as np
from pixel_layouts import mosaic, raw_image
from recordings import evaluate, first, images, metrics, write_bag
from segret_ros.files.share import default_model
from segret_ros.inference import Segmenter
from segret_ros.offline.bags import open_bag, Recorded, serialize, TYPESTORE
from segret_ros.offline.evaluation.result import new_header

CompressedImage = TYPESTORE.types['sensor_msgs/msg/CompressedImage']
Image = TYPESTORE.types['sensor_msgs/msg/Image']
START_NS, PERIOD_NS = 10**18, 10**8
ENCODINGS = ('8UC3', '8UC4', '16UC3', 'yuv422', 'YUYV', 'NV12', 'nv21', 'nv24')


def pictures(count: int) -> list[np.ndarray]:
    """Return small images of the sample drive, each another, (H, W, 3) uint8 RGB."""
    picture = cv2.resize(next(iter(images(first(1)).values())), (320, 240))
    return [np.roll(picture, 8 * index, axis=1) for index in range(count)]


def labels(bag: Path, output: Path) -> list[np.ndarray]:
    """Evaluate a bag of one camera, all of whose frames are sound; return its labels."""
    evaluate(bag, '--output', output, '--device', 'cpu')
    assert not metrics(output)['all']['problems']
    with open_bag(output / 'result.mcap') as result:
        return [recorded.message().data for recorded in result.messages(
            ['/camera/segmentation/label'])]


def assert_alike(found: list[np.ndarray], shown: list[np.ndarray], share: float) -> None:
    segmenter = Segmenter(default_model(), 'cpu')
    for label, picture in zip(found, shown, strict=True):
        assert np.mean(label == segmenter(picture).label.ravel()) > share


def raw(index: int, picture: np.ndarray, encoding: str) -> Recorded:
    """Return a raw image whose rows are padded, recorded."""
    fields = vars(raw_image(picture, encoding, padding=2))
    fields['data'] = np.frombuffer(fields['data'], np.uint8)
    time_ns = START_NS + index * PERIOD_NS
    return serialize('/camera/image_raw', time_ns, Image(new_header(time_ns, 'lens'), **fields))


def test_raw_encodings_are_labelled(tmp_path: Path) -> None:
    shown = pictures(len(ENCODINGS))
    bag = write_bag(tmp_path / 'drive', [
        raw(index, picture, encoding)
        for index, (picture, encoding) in enumerate(zip(shown, ENCODINGS))])
    assert_alike(labels(bag, tmp_path / 'out'), shown, 0.95)


def test_a_compressed_mosaic_is_labelled(tmp_path: Path) -> None:
    shown = pictures(2)
    bag = write_bag(tmp_path / 'drive', [
        serialize('/camera/image_raw/compressed', START_NS + index * PERIOD_NS, CompressedImage(
            new_header(START_NS + index * PERIOD_NS, 'lens'), 'bayer_rggb8; jpeg compressed ',
            cv2.imencode('.jpg', mosaic(picture, 'rggb'), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            .ravel()))
        for index, picture in enumerate(shown)])
    assert_alike(labels(bag, tmp_path / 'out'), shown, 0.9)
