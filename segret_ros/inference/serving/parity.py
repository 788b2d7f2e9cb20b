# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The parity check: whether an engine's labels are those of the float32 network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from segret_ros.files.share import default_model
from segret_ros.images.image_file import ENDINGS, image_files, read_image
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.parity_frames import ParityFrame
from segret_ros.labels.metrics import ConfusionMatrix

# Of all pixels, as an engine computes; in float32 the rest are ties. Measured on the parity frames
# of the shipped nano and Tiny, the lower of labels equal and of worst class (docs/precision.md):
# float16 99.99 % and 99.8 %, bfloat16 99.95 % and 99.0 %, int8 99.88 % and 96.7 %; int8 of wrong
# ranges at most 99.6 % and 85 %.
LEAST_SHARE_EQUAL = {'float32': 0.999, 'float16': 0.99, 'bfloat16': 0.99, 'int8': 0.99}
LEAST_CLASS_IOU = {'float32': 0.98, 'float16': 0.95, 'bfloat16': 0.95, 'int8': 0.9}
SMALLEST_CLASS = 0.002  # share of the pixels; the edges alone decide on smaller ones


@dataclass(frozen=True)
class Parity:
    """
    How an engine's labels compare with those of the float32 network.

    :param precision: what the engine computes in.
    :param frames: number of images compared.
    :param share_equal: of all pixels with the same label, 0..1.
    :param class_iou: intersection over union of the two labellings, 0..1, by class; None for one
        of fewer pixels than `SMALLEST_CLASS`.
    :param finite: no logit is NaN or infinite.
    """

    precision: str
    frames: int
    share_equal: float
    class_iou: list[float | None]
    finite: bool

    def __post_init__(self) -> None:
        if self.precision not in LEAST_SHARE_EQUAL:
            raise ValueError(f'precision {self.precision!r} is unknown')

    def problem(self) -> str:
        """Return why the engine must not be used, or nothing where it passes."""
        if not self.finite:
            return 'logits are NaN or infinite'
        least = LEAST_SHARE_EQUAL[self.precision]
        if not self.share_equal >= least:  # true for NaN too
            return (f"{self.share_equal:.3%} of the labels are the float32 network's, and at "
                    f'least {least:.1%} must be in {self.precision}')
        least = LEAST_CLASS_IOU[self.precision]
        for index, iou in enumerate(self.class_iou):
            if iou is not None and not iou >= least:
                return (f'class {index} has an IoU of {iou:.1%} with that of the float32 network, '
                        f'and at least {least:.0%} must be in {self.precision}')
        return ''

    def __str__(self) -> str:
        known = [iou for iou in self.class_iou if iou is not None]
        worst = f', worst class {min(known):.2%}' if known else ''
        return (f'{self.share_equal:.3%} of the labels of {self.frames} frames equal in '
                f'{self.precision}{worst}')


def compare(engine: Engine, frames: Sequence[ParityFrame], num_classes: int,
            precision: str) -> Parity:
    """
    Run an engine on frames and compare.

    :param frames: one at least.
    :param num_classes: of the model.
    :param precision: what the model file or else the engine computes in.
    """
    confusion = ConfusionMatrix(num_classes)
    finite = True
    for image_rgb, expected in frames:
        image_rgb = np.ascontiguousarray(image_rgb)
        finite = finite and bool(np.isfinite(engine.run(image_rgb)).all())
        confusion.add(expected, engine.predict(CameraImage(image_rgb), None).label())
    smallest = SMALLEST_CLASS * confusion.counts.sum()
    class_iou = [float(iou) if union >= smallest else None
                 for iou, union in zip(confusion.iou(), confusion.union())]
    return Parity(precision, len(frames), confusion.pixel_accuracy(), class_iou, finite)


def frames_of(model: Model, most: int | None = None) -> list[ParityFrame]:
    """
    Return the frames of a model; for an older one, which has none, the shipped model's images.

    :param most: how many of them, the first ones; None: all.
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
    reference = open_engine(model, 'cpu')
    frames = []
    for image_rgb in images_rgb:
        resized = CameraImage(image_rgb).resized(model.info.input_size)
        prediction = reference.predict(CameraImage(resized), None)
        frames.append(ParityFrame(resized, prediction.label()))
    return frames


def shipped_images() -> list[np.ndarray]:
    """Return the images of the shipped model's frames, (H, W, 3) uint8 RGB."""
    return [frame.image_rgb for frame in Model.load(default_model()).parity_frames]
