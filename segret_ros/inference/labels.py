# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From logits at stride 4 to the class of each camera pixel."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BATCH_PIXELS = 65536  # pixels interpolated at a time: small enough for a processor's cache


@dataclass(frozen=True)
class Axis:
    """
    How the blocks of one axis lie between the cells of the logits; all blocks hold a pixel.

    :param place: (blocks,) number of cells before the middle of each block.
    :param low: (blocks,) the cell before it, or the first one.
    :param high: (blocks,) the cell behind it, or the last one.
    :param block: (pixels,) the block of each pixel.
    :param pixel: (most, blocks) the pixels of each block, its last one again where it has fewer.
    :param weight: (most, blocks) float32, the share of `high` in those pixels.
    """

    place: np.ndarray
    low: np.ndarray
    high: np.ndarray
    block: np.ndarray
    pixel: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Batch:
    """
    Some blocks; the last axis of all arrays goes over them, which makes long inner loops.

    :param cells: (4, n) the cells at the corners: upper left and right, lower left and right.
    :param down: (most rows, n) float32, the share of the lower cells in the pixels.
    :param across: (most columns, n) float32, the share of the cells to the right.
    :param rows: (most rows, n) the pixels.
    :param columns: (most columns, n)
    """

    cells: np.ndarray
    down: np.ndarray
    across: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    def in_order(self, order: np.ndarray) -> 'Batch':
        """Return the blocks in another order."""
        # take, since an index would leave the blocks on the slowest axis of the memory
        return Batch(*(array.take(order, axis=1) for array in
                       (self.cells, self.down, self.across, self.rows, self.columns)))

    def view(self, buffer: np.ndarray, count: int) -> np.ndarray:
        """
        Return the start of a buffer as room for pixels: (most rows, most columns, count).

        :param buffer: of `Blocks.buffer`.
        :param count: of blocks.
        """
        shape = len(self.rows), len(self.columns), count
        return buffer[:shape[0] * shape[1] * count].reshape(shape)

    def interpolate(self, corners: np.ndarray, buffer: np.ndarray) -> np.ndarray:
        """
        Return the values of the pixels.

        :param corners: (4, m) float32, values at the corners of the first m blocks.
        :param buffer: float32, of `Blocks.buffer`.
        :return: (most rows, most columns, m) float32, a view of the buffer.
        """
        m = corners.shape[1]
        left = corners[0] + (corners[2] - corners[0]) * self.down[:, :m]
        right = corners[1] + (corners[3] - corners[1]) * self.down[:, :m]
        right -= left
        value = np.multiply(right[:, None], self.across[:, :m], out=self.view(buffer, m))
        value += left[:, None]
        return value

    def write(self, image: np.ndarray, value: np.ndarray, buffer: np.ndarray) -> None:
        """
        Write the values of the pixels.

        :param image: (height, width), contiguous.
        :param value: (most rows, most columns, n) of the same dtype.
        :param buffer: intp, of `Blocks.buffer`.
        """
        index = self.view(buffer, value.shape[2])
        np.add((self.rows * image.shape[1])[:, None], self.columns, out=index)
        image.reshape(-1)[index] = value


class Blocks:
    """
    Logits over a camera image, cut into the blocks of pixels that lie between the same four cells.

    Resized bilinearly (half-pixel centres, align_corners false), a pixel's logits are a weighted
    mean of those four cells', so a class with the largest logit in all four has it in between.
    Mixed blocks are those whose cells disagree; only they need interpolation to be labelled.

    :param logits: (classes, h, w) float32.
    :param size: (height, width) of the camera.
    """

    def __init__(self, logits: np.ndarray, size: tuple[int, int]) -> None:
        self.logits = np.ascontiguousarray(logits)
        self.size = size
        self.rows = _axis(logits.shape[1], size[0])
        self.columns = _axis(logits.shape[2], size[1])
        self._batch = max(1, BATCH_PIXELS // (len(self.rows.pixel) * len(self.columns.pixel)))
        self.winner, self.best = _argmax(self.logits)
        corners = [self.winner[row][:, column] for row in (self.rows.low, self.rows.high)
                   for column in (self.columns.low, self.columns.high)]
        self.upper_left = corners[0]
        self.mixed = np.any([corner != corners[0] for corner in corners[1:]], axis=0)

    def labels(self) -> np.ndarray:
        """Return the class of each pixel's largest logit, (height, width) uint8."""
        label = self.upper_left[:, self.columns.block].take(self.rows.block, axis=0)
        buffers = [self.buffer(dtype) for dtype in (np.float32, np.float32, np.uint8, bool)]
        index = self.buffer(np.intp)
        for batch in self.batches(self.mixed):
            corners = at_corners(self.logits, batch)
            order, rounds = in_rounds(within_reach(corners, margin=0))
            batch = batch.in_order(order)
            batch.write(label, self._labels_of(batch, rounds, buffers), index)
        return label

    def buffer(self, dtype: type) -> np.ndarray:
        """Return room for a batch's pixels; to take new memory for each batch costs more time."""
        return np.empty(self._batch * len(self.rows.pixel) * len(self.columns.pixel), dtype)

    def batches(self, chosen: np.ndarray) -> Iterator[Batch]:
        """
        Return the chosen blocks, as many at a time as suit a processor's cache.

        :param chosen: bool, of the shape of `mixed`.
        """
        rows, columns, width = self.rows, self.columns, self.logits.shape[2]
        every_row, every_column = np.nonzero(chosen)
        for start in range(0, len(every_row), self._batch):
            row = every_row[start:start + self._batch]
            column = every_column[start:start + self._batch]
            upper, lower = rows.low[row] * width, rows.high[row] * width
            left, right = columns.low[column], columns.high[column]
            yield Batch(np.stack([upper + left, upper + right, lower + left, lower + right]),
                        rows.weight.take(row, axis=1), columns.weight.take(column, axis=1),
                        rows.pixel.take(row, axis=1), columns.pixel.take(column, axis=1))

    def _labels_of(self, batch: Batch, rounds: list[np.ndarray],
                   buffers: list[np.ndarray]) -> np.ndarray:
        """Return the labels of the pixels of some blocks, as `Batch.write` takes them."""
        value_buffer, best_buffer, label_buffer, wins_buffer = buffers
        best = batch.interpolate(of_classes(self.logits, batch, rounds[0]), best_buffer)
        label = batch.view(label_buffer, len(rounds[0]))
        label[...] = rounds[0]
        for classes in rounds[1:]:
            m = len(classes)
            value = batch.interpolate(of_classes(self.logits, batch, classes), value_buffer)
            wins = np.greater(value, best[:, :, :m], out=batch.view(wins_buffer, m))
            wins = wins.view(np.uint8)
            wins *= classes.astype(np.uint8)
            # Classes ascend, so the larger id won later; a copy by mask takes 5 times as long.
            np.maximum(label[:, :, :m], wins, out=label[:, :, :m])
            np.maximum(best[:, :, :m], value, out=best[:, :, :m])
        return label


def at_corners(planes: np.ndarray, batch: Batch) -> np.ndarray:
    """Return all classes' values at the corners of some blocks: (classes, 4, n)."""
    return planes.reshape(len(planes), -1).take(batch.cells, axis=1)


def of_classes(planes: np.ndarray, batch: Batch, classes: np.ndarray) -> np.ndarray:
    """Return the values of one class a block at the corners of the first m blocks: (4, m)."""
    return planes.reshape(-1).take(classes * planes[0].size + batch.cells[:, :len(classes)])


def within_reach(corners: np.ndarray, margin: float) -> np.ndarray:
    """
    Return which classes may come within a margin of the largest somewhere in a block.

    The largest is nowhere below any class's smallest corner, a class nowhere above its largest.

    :param corners: (classes, 4, n).
    :return: (classes, n) bool; of any block at least one class.
    """
    floor = corners.min(axis=1).max(axis=0)
    return ~(corners.max(axis=1) < floor - margin)  # true for NaN too


def in_rounds(reaching: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """
    Return each block's classes one a round, ascending; those with more classes come first.

    :param reaching: (classes, n) bool, at least one a block.
    :return: (n,) order of the blocks; for each round, (m,) class of each of the first m blocks.
    """
    counts = reaching.sum(axis=0)
    order = np.argsort(-counts, kind='stable')
    counts = counts[order]
    classes = np.nonzero(reaching.T.take(order, axis=0))[1]  # block by block
    first = np.cumsum(counts) - counts
    sizes = np.searchsorted(-counts, -np.arange(counts[0]))  # blocks with more classes than that
    return order, [classes[first[:size] + number] for number, size in enumerate(sizes)]


@lru_cache(maxsize=32)
def _axis(cells: int, pixels: int) -> Axis:
    source = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    low, first, block, counts = np.unique(np.floor(source).astype(np.intp), return_index=True,
                                          return_inverse=True, return_counts=True)
    pixel = first + np.minimum(np.arange(counts.max())[:, None], counts - 1)
    return Axis(low + 1, low.clip(0), (low + 1).clip(None, cells - 1), block, pixel,
                (source[pixel] - low).astype(np.float32))


def _argmax(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of the largest plane, the first of equals, and its value: both (h, w)."""
    winner = np.zeros(planes.shape[1:], np.uint8)
    best = planes[0].copy()
    for index, plane in enumerate(planes[1:], start=1):
        np.copyto(winner, index, where=plane > best)
        np.maximum(best, plane, out=best)
    return winner, best
