# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure how steady labels are from frame to frame, without true labels.

The labels of the last frame are warped along the optical flow into the new one and compared with
its labels, after Varghese et al., "Unsupervised Temporal Consistency Metric for Video Segmentation
in Highly-Automated Driving" (CVPRW 2020). Steady labels need not be correct.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import statistics
from typing import Any

import cv2
import numpy as np
from segret_ros.labels.label_set import UNKNOWN
from segret_ros.labels.metrics import ConfusionMatrix, number
from segret_ros.offline.evaluation.output import Json

# Measured on the sample drive, by how well true labels are warped and cuts recognized.
SHORT_SIDE = 180  # pixels of the small frames that are compared; 240 takes twice the time
LEAST_SIDE = 32  # pixels; below it OpenCV's flow of a wide frame ends the process
FLOW_STEP = 4  # the flow is found for every fourth pixel and row, and interpolated between
BRIGHTNESS_TOLERANCE = 16  # grey levels between a pixel and the one that it comes from
LARGEST_GAIN = 2  # in exposure from frame to frame; more is another image
RETURN_TOLERANCE = 1.5  # pixels between a place and where the flow back and forth leads
CUT_SHARE = 0.2  # of the pixels: fewer return to themselves, or look the same, at a cut
USUAL_STEPS = 30  # the last ones, from which the usual share is estimated
LEAST_STEPS = 8  # of these before a change is reported
CHANGE_DEVIATIONS = 5  # standard deviations below the usual share of kept pixels
LEAST_CHANGE = 0.03  # below the usual share; a smaller drop is no sudden change
DEVIATION_PER_MAD = 1.4826  # of normally distributed numbers, over their median deviation
NO_ARRAY: Any = None  # for arguments that are optional, against the stubs of OpenCV


@dataclass(frozen=True)
class Step:
    """
    What became of a camera's labels from its last frame to the new one.

    Counts are of pixels of the small frames. A pixel is compared where the flow leads it to one
    inside the last frame that looks the same, and both labels are a class: what comes from or goes
    to unknown (255, or any id beyond the classes) is neither kept nor changed.

    :param confusion: of the last label, warped into the new frame, with the new one.
    :param followed: pixels that are compared here and, where they come from, in the step before.
    :param flickers: of those, the ones that changed their class and change it back.
    :param is_cut: the image itself jumped and labels can't be compared; all counts are 0.
    :param is_change: far fewer pixels than usual for this camera keep their class. A fault of one
        frame makes two changes: there and back.
    """

    confusion: ConfusionMatrix
    followed: int = 0
    flickers: int = 0
    is_cut: bool = False
    is_change: bool = False

    @property
    def kept(self) -> float | None:
        """Return the share of compared pixels that keep their class, 0..1; None without any."""
        return number(self.confusion.pixel_accuracy())

    @property
    def flicker(self) -> float | None:
        """Return the share of followed pixels that flicker, 0..1; None without any."""
        return self.flickers / self.followed if self.followed else None


class StabilityTally:
    """The steps of some frames, added up in integers: the same in any order."""

    def __init__(self, num_classes: int) -> None:
        self.confusion = ConfusionMatrix(num_classes)
        # Pairs of frames, cuts between them, changes, followed pixels and those that flicker.
        self.counts = np.zeros(5, np.int64)

    def add(self, step: Step) -> None:
        """Count one step; a cut is counted as such and as no pair of frames."""
        self.counts += (not step.is_cut, step.is_cut, step.is_change, step.followed, step.flickers)
        self.confusion.counts += step.confusion.counts

    def as_json(self, names: Sequence[str]) -> Json | None:
        """
        Return the tally as JSON values, null for what is undefined; None without any step.

        `consistency` is the mean over the classes that occur of their intersection over union.
        """
        pairs, cuts, changes, followed, flickers = self.counts.tolist()
        if not pairs and not cuts:
            return None
        return {'pairs': pairs,
                'consistency': number(self.confusion.mean_iou()),
                'pixel_consistency': number(self.confusion.pixel_accuracy()),
                'flicker': flickers / followed if followed else None,
                'classes': dict(zip(names, map(number, self.confusion.iou()))),
                'changes': changes,
                'cuts': cuts}


class Stability:
    """
    The stability of one camera's labels, with the memory of its last frames.

    The same frames give the same steps, whatever the number of OpenCV's threads.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._classes = np.full(256, UNKNOWN, np.uint8)  # by id
        self._classes[:num_classes] = np.arange(num_classes)
        self._last: _Frame | None = None
        self._usual: deque[float] = deque(maxlen=USUAL_STEPS)  # shares of kept pixels
        self._grid = np.zeros((0, 0, 2), np.float32)  # x and y of each pixel of a small frame

    def __call__(self, image_rgb: np.ndarray, label: np.ndarray) -> Step | None:
        """
        Compare the camera's next frame with its last one.

        :param image_rgb: (H, W, 3) uint8, RGB. Nothing of it is kept, nor of the label.
        :param label: (H, W) uint8.
        :return: None for the first frame, and for one of another size than the last or with a side
            below `LEAST_SIDE`.
        :raises ValueError: when the label has not the image's size.
        """
        if image_rgb.shape[:2] != label.shape:
            raise ValueError(f'the image is {image_rgb.shape[:2]}, its label {label.shape}: both '
                             'must have the same height and width')
        last, new = self._last, self._small(image_rgb, label)
        self._last = new
        if last is None or last.size != new.size or min(new.grey.shape) < LEAST_SIDE:
            return None
        places, returns = self._places(last.grey, new.grey)
        unlike = _unlike(last.grey, new.grey, places)
        if min(returns, np.mean(unlike == 0)) < CUT_SHARE:
            return Step(ConfusionMatrix(self._num_classes), is_cut=True)
        # Unknown, outside the image and where it looks different, is the largest id.
        new.earlier = cv2.max(_warped(last.label, places, borderValue=UNKNOWN), unlike)
        first = None
        if last.earlier is not None:
            first = cv2.max(_warped(last.earlier, places, borderValue=UNKNOWN), unlike)
        return self._step(first, new.earlier, new.label)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the memory of the last frames as arrays by name, for `restore`."""
        last = vars(self._last) if self._last is not None else {}
        return {'usual': np.array(self._usual), **{
            name: np.array(value) for name, value in last.items() if value is not None}}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue after the frames whose memory `arrays` returned."""
        self._usual.extend(arrays['usual'].tolist())
        if 'size' in arrays:
            self._last = _Frame(tuple(arrays['size'].tolist()), arrays['grey'], arrays['label'],
                                arrays.get('earlier'))

    def _small(self, image_rgb: np.ndarray, label: np.ndarray) -> '_Frame':
        grey = _small_grey(image_rgb)
        small = cv2.resize(label, grey.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return _Frame(label.shape, grey, cv2.LUT(small, self._classes))

    def _places(self, last: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
        """
        Find where each pixel of the new grey frame was in the last one, and how sure that is.

        :return: (h, w, 2) float32, x and y; the share of pixels, 0..1, that the flow back and
            forth returns to where they are.
        """
        if self._grid.shape[:2] != new.shape:
            rows, columns = np.indices(new.shape, np.float32)
            self._grid = np.dstack([columns, rows])
        back, forth = _flow(new, last), _flow(last, new)
        some = np.s_[::FLOW_STEP, ::FLOW_STEP]
        miss = back[some].copy()
        back += self._grid
        miss += _warped(forth, back[some], borderValue=(np.inf, np.inf))
        return back, float(np.mean(cv2.magnitude(miss[..., 0], miss[..., 1]) <= RETURN_TOLERANCE))

    def _step(self, first: np.ndarray | None, second: np.ndarray, third: np.ndarray) -> Step:
        """Count the last step of three frames by their labels, all warped into the last frame."""
        confusion = ConfusionMatrix(self._num_classes)
        confusion.add(second, third)
        confusion = confusion.of_known()
        followed = flickers = 0
        if first is not None:
            over_all = cv2.max(cv2.max(first, second), third) != UNKNOWN
            followed = int(np.count_nonzero(over_all))
            flickers = int(np.count_nonzero(over_all & (second != third) & (first == third)))
        kept = number(confusion.pixel_accuracy())
        return Step(confusion, followed, flickers,
                    is_change=kept is not None and self._is_change(kept))

    def _is_change(self, kept: float) -> bool:
        """Return whether a share of kept pixels drops suddenly; it counts as usual afterwards."""
        found = len(self._usual) >= LEAST_STEPS and kept < _least_usual(self._usual)
        self._usual.append(kept)
        return found


@dataclass
class _Frame:
    """
    What is kept of a frame.

    :param earlier: (h, w) uint8, the label of the frame before, warped here; unknown where it
        can't be. None without such a frame.
    """

    size: tuple[int, int]
    grey: np.ndarray
    label: np.ndarray
    earlier: np.ndarray | None = None


def _small_grey(image_rgb: np.ndarray) -> np.ndarray:
    """Return the brightness at a short side of `SHORT_SIDE`, (h, w) uint8; smaller images stay."""
    grey = cv2.cvtColor(np.ascontiguousarray(image_rgb), cv2.COLOR_RGB2GRAY)
    while min(grey.shape) >= 2 * SHORT_SIDE:
        height, width = (side // 2 for side in grey.shape)
        grey = cv2.resize(grey[:2 * height, :2 * width], (width, height),
                          interpolation=cv2.INTER_AREA)  # exact halves: much faster
    shrink = SHORT_SIDE / min(grey.shape)
    if shrink < 1:
        width, height = (round(side * shrink) for side in grey.shape[::-1])
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return grey


def _flow(grey: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Find how far each pixel moved to the other frame: (h, w, 2) float32, x and y."""
    # A new one each time, in 0.05 ms: it never forgets a setting that it makes for a tiny frame.
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    return flow.calc(grey, other, NO_ARRAY)


def _warped(values: np.ndarray, places: np.ndarray, **border: Any) -> np.ndarray:
    """Return the values of the pixels nearest to some places, (h, w, 2) float32, x and y."""
    return cv2.remap(values, places, NO_ARRAY, cv2.INTER_NEAREST, **border)


def _unlike(last: np.ndarray, new: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return 255 for pixels of the new grey frame that look different from before, else 0."""
    warped = _warped(last, places, borderMode=cv2.BORDER_REPLICATE)
    gain = cv2.sumElems(new)[0] / max(cv2.sumElems(warped)[0], 1)
    gain = min(max(gain, 1 / LARGEST_GAIN), LARGEST_GAIN)
    difference = cv2.absdiff(cv2.convertScaleAbs(warped, alpha=gain), new)
    return cv2.threshold(difference, BRIGHTNESS_TOLERANCE, UNKNOWN, cv2.THRESH_BINARY)[1]


def _least_usual(shares: Sequence[float]) -> float:
    median = statistics.median(shares)
    mad = statistics.median(abs(share - median) for share in shares)
    return median - max(CHANGE_DEVIATIONS * DEVIATION_PER_MAD * mad, LEAST_CHANGE)
