# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The frames that a newly built engine is validated on."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from segret_ros.files.share import default_model
from segret_ros.images.image_file import ENDINGS, image_files, read_image
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.parity_frames import ParityFrame


def frames_of(model: Model, most: int | None = None) -> list[ParityFrame]:
    """
    Return the frames of a model; for an older one, which has none, the shipped model's images.

    :param most: only so many, the first; None: all.
    :raises ModelError: for corrupt frames.
    """
    return model.parity_frames[:most] or labelled(shipped_images()[:most], model)


def frames_of_folder(folder: Path, model: Model) -> list[ParityFrame]:
    """
    Read the images of a folder, and label them with a float32 model.

    :raises ModelError: for a model of another precision.
    :raises ValueError: for a folder without images, or with a file that can't be read.
    """
    if model.info.precision != 'float32':
        raise ModelError(f'{model.path}: it computes in {model.info.precision}, so its labels are '
                         'no reference; its own frames have the labels of the float32 network: '
                         'validate without a folder')
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder of images')
    files = image_files(folder)
    if not files:
        raise ValueError(f'{folder}: there is no image ({", ".join(ENDINGS)}) in it')
    return labelled([read_image(file) for file in files], model)


def labelled(images_rgb: Sequence[np.ndarray], model: Model) -> list[ParityFrame]:
    """Resize images to the model's input, and label them with ONNX Runtime on the CPU."""
    height, width = model.info.input_size
    reference = open_engine(model, 'cpu')
    frames = []
    for image_rgb in images_rgb:
        resized = cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_LINEAR)
        prediction = reference.predict(resized, model.info.input_size, None)
        frames.append(ParityFrame(resized, prediction.label()))
    return frames


def shipped_images() -> list[np.ndarray]:
    """Return the images of the shipped model's frames, (H, W, 3) uint8 RGB."""
    return [frame.image_rgb for frame in Model.load(default_model()).parity_frames]
