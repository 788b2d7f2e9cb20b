# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The frames that a newly built engine is compared on."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from segret_ros.files.share import default_model
from segret_ros.images.image_file import ENDINGS, image_files, read_image
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.labels import Blocks
from segret_ros.inference.model_file import read_model_info
from segret_ros.inference.model_info import ModelError, ModelInfo
from segret_ros.inference.serving.parity_frames import decode, ParityFrame


def frames_of(path: str | Path, info: ModelInfo, most: int | None = None) -> list[ParityFrame]:
    """
    Give the frames of a model file; for an older one, which has none, the shipped model's images.

    :param most: only so many, the first; None: all.
    :raises ModelError: for damaged frames.
    """
    try:
        frames = decode(info.parity_frames)[:most]
    except ValueError as error:
        raise ModelError(f'{path}: {error}') from error
    for frame in frames:
        if frame.label.max() >= len(info.labels):
            raise ModelError(f'{path}: its parity frames are damaged (label {frame.label.max()} '
                             f'of {len(info.labels)} classes)')
    return frames or labelled(shipped_images()[:most], path, info)


def frames_of_folder(folder: Path, path: str | Path, info: ModelInfo) -> list[ParityFrame]:
    """
    Give the images of a folder with what the model file sees in them.

    :raises ModelError: for a model file that is no float32 network.
    :raises ValueError: for a folder without images, or with a file that can't be read.
    """
    if info.precision != 'float32':
        raise ModelError(f'{path}: it computes in {info.precision}, so what it sees is no '
                         'measure; its own frames have the labels of the float32 network: '
                         'compare without a folder')
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder of images')
    files = image_files(folder)
    if not files:
        raise ValueError(f'{folder}: no image ({", ".join(ENDINGS)}) is in it')
    return labelled([read_image(file) for file in files], path, info)


def labelled(images_rgb: Sequence[np.ndarray], path: str | Path, info: ModelInfo
             ) -> list[ParityFrame]:
    """Give images at the model's input size, with what ONNX Runtime sees in them on the CPU."""
    height, width = info.input_size
    reference = open_engine(path, 'cpu')
    frames = []
    for image_rgb in images_rgb:
        resized = cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_LINEAR)
        label = Blocks(reference.run(resized), info.input_size).labels()
        frames.append(ParityFrame(resized, label))
    return frames


def shipped_images() -> list[np.ndarray]:
    """Give the images of the shipped model's frames, (H, W, 3) uint8 RGB."""
    frames = decode(read_model_info(default_model()).parity_frames)
    return [frame.image_rgb for frame in frames]
