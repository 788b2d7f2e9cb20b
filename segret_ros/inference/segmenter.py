"""From a camera image to labels: what the node, the evaluation and your own code call."""

from dataclasses import dataclass
from pathlib import Path
import time

import cv2
import numpy as np
from segret_ros.inference.confidence import confidence_of
from segret_ros.inference.engine import open_engine
from segret_ros.inference.labels import Blocks
from segret_ros.inference.model_file import read_model_info

STAGES = ('resize', 'network', 'labels', 'confidence')


@dataclass(frozen=True)
class Segmentation:
    """
    What is where in one image.

    :param label: (H, W) uint8 class ids of the model; 255 is unknown.
    :param confidence: (H, W) uint8, the label's probability times 255, or None when not asked for.
    :param stages_ms: wall time of `resize`, `network`, `labels` and `confidence`; of the last
        about 0 when not asked for.
    """

    label: np.ndarray
    confidence: np.ndarray | None
    stages_ms: dict[str, float]


class Segmenter:
    """
    A model file ready to label images of any size.

    Each image is resized bilinearly to the model's input size, normalised and run through the
    network; the logits are resized bilinearly to the image's size and the largest wins. Calls from
    several threads at once are safe.

    :param model: path of a model file of `segret_export`.
    :param device: `auto`, `cpu`, `openvino`, `cuda`, `cuda:1`, `tensorrt`; only `auto` may fall
        back.
    :param confidence: compute `Segmentation.confidence` too.
    :raises ModelError: for a file that is missing, damaged or does not explain itself.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, model: str | Path, device: str = 'auto', confidence: bool = True) -> None:
        self.info = read_model_info(model)
        self._engine = open_engine(model, device)
        self._confidence = confidence
        self.device = self._engine.device
        self.engine = self._engine.name
        self.model_name = Path(model).stem

    def __call__(self, image_rgb: np.ndarray) -> Segmentation:
        """
        Give the labels of an image.

        :param image_rgb: (H, W, 3) uint8, RGB, 0..255; H and W from 1.
        :raises ValueError: for another shape or dtype.
        """
        _check_image(image_rgb)
        times = [time.perf_counter()]
        height, width = self.info.input_size
        resized = np.ascontiguousarray(image_rgb)
        if resized.shape[:2] != (height, width):
            resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_LINEAR)
        times.append(time.perf_counter())
        logits = self._engine.run(resized)
        times.append(time.perf_counter())
        blocks = Blocks(logits, image_rgb.shape[:2])
        label = blocks.labels()
        times.append(time.perf_counter())
        confidence = confidence_of(blocks) if self._confidence else None
        times.append(time.perf_counter())
        stages_ms = dict(zip(STAGES, (np.diff(times) * 1e3).tolist()))
        return Segmentation(label, confidence, stages_ms)

    def warm_up(self) -> None:
        """Run once on a black image, so that the first camera image is as fast as the next."""
        self(np.zeros((*self.info.input_size, 3), np.uint8))


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray):
        raise ValueError(f'the image is a {type(image).__name__}: '
                         'give a (H, W, 3) uint8 array, RGB')
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return
    hint = ''
    if image.ndim == 2:
        hint = '; for a grey image give cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)'
    elif image.dtype != np.uint8:
        hint = '; convert it with image.astype(numpy.uint8) once its values are 0..255'
    raise ValueError(f'the image has shape {image.shape} and dtype {image.dtype}: it must be '
                     f'(H, W, 3) uint8, RGB, of at least 1 x 1{hint}')
