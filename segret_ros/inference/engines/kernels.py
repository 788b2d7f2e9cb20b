# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network's own kernels for NVIDIA GPUs, in Triton: each in place of several of PyTorch's.

Cells are rows of a matrix, (H W, C), contiguous but for columns of a wider one. All compute in
float32 and store in the type of their input, float16 or float32. Sizes are arguments of a kernel,
not part of it, so that one compiled kernel serves all of them.
"""

from contextlib import suppress
import os

import numpy as np
from segret_ros.files.user_cache import engine_folder
import torch
from torch import Tensor
import triton
from triton import language as tl

os.environ.setdefault('TRITON_DEFAULT_FP_FUSION', '1')  # as before Triton 3.10, and no warning
with suppress(RuntimeError):  # without a home folder Triton needs TRITON_CACHE_DIR itself
    os.environ.setdefault('TRITON_CACHE_DIR', str(engine_folder() / 'triton'))

EPSILON = tl.constexpr(1e-6)  # of every LayerNorm
TILE = 2048  # elements of a tile of cells by channels
QUERIES, KEYS = 64, 64  # of a tile of logits
ELEMENTS = 1024  # of a row that is resized
ONE = 2048  # the sum of two weights, as OpenCV's 8-bit images are resized


def resize(image: Tensor, output: Tensor, rows: Tensor, columns: Tensor) -> None:
    """
    Resize an image bilinearly, in integers as OpenCV does: the same to the bit.

    :param image: (H, W, 3) uint8.
    :param output: (h, w, 3) uint8, which is written.
    :param rows, columns: of `resize_taps`, for each axis.
    """
    height, width, channels = output.shape
    _resize[height, triton.cdiv(width * channels, ELEMENTS)](
        image, output, rows, columns, image.shape[1], height, width, ELEMENTS=ELEMENTS)


def resize_taps(pixels: int, target: int, axis: int) -> np.ndarray:
    """
    Return from what each pixel of a resized axis is interpolated.

    :param pixels: of the axis.
    :param target: pixels of the resized axis.
    :param axis: 0 for rows, which round twice at the ends too; 1 for columns, which do not.
    :return: (4, target) int32: two pixels, and their weights times `ONE`.
    """
    place = ((np.arange(target) + 0.5) / (target / pixels) - 0.5).astype(np.float32)
    first = np.floor(place)
    share = place - first
    if axis == 1:
        share[(first < 0) | (first >= pixels - 1)] = 0
    low, high = first.clip(0), (first + 1).clip(max=pixels - 1)
    return np.stack([low, high, np.rint((1 - share) * ONE), np.rint(share * ONE)]
                    ).astype(np.int32)


@triton.jit(do_not_specialize=['image_width', 'height', 'width'])
def _resize(image, output, rows, columns, image_width, height, width, ELEMENTS: tl.constexpr):
    """Resize a part of a row; 2048 are the weights' sum."""
    row = tl.program_id(0)
    element = tl.program_id(1) * ELEMENTS + tl.arange(0, ELEMENTS)
    inside = element < 3 * width
    column, channel = tl.minimum(element // 3, width - 1), element % 3
    left = tl.load(columns + column) * 3 + channel
    right = tl.load(columns + width + column) * 3 + channel
    left_weight = tl.load(columns + 2 * width + column)
    right_weight = tl.load(columns + 3 * width + column)
    upper = image + tl.load(rows + row) * image_width * 3
    lower = image + tl.load(rows + height + row) * image_width * 3
    above = (tl.load(upper + left).to(tl.int32) * left_weight
             + tl.load(upper + right).to(tl.int32) * right_weight)
    below = (tl.load(lower + left).to(tl.int32) * left_weight
             + tl.load(lower + right).to(tl.int32) * right_weight)
    value = (((above >> 4) * tl.load(rows + 2 * height + row) >> 16)
             + ((below >> 4) * tl.load(rows + 3 * height + row) >> 16) + 2) >> 2
    tl.store(output + row * width * 3 + element, value.to(tl.uint8), mask=inside)


def attend(query: Tensor, key: Tensor, value: Tensor, slopes: Tensor, grid: tuple[int, int],
           axes: str) -> Tensor:
    """
    Attend from cells to cells, the decay a function of their distance: no logits, no table.

    It is FlashAttention (Dao et al., arXiv 2205.14135) whose bias is slope times distance, along
    a line as in ALiBi (Press et al., arXiv 2108.12409), over a grid the sum of both axes'.

    :param query, key, value: (H W, C), the first two of one stride; their products are logits in
        base 2.
    :param slopes: (heads,) float32, the log decay of each head in base 2.
    :param grid: (H, W).
    :param axes: `rows`, `columns` or `grid`: what a cell attends to.
    :return: (H W, C).
    """
    height, width = grid
    lines, length, step, line_step = {'rows': (height, width, 1, width),
                                      'columns': (width, height, width, 1),
                                      'grid': (1, height * width, 1, 0)}[axes]
    output = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    heads = len(slopes)
    _attend[triton.cdiv(length, QUERIES), lines, heads](
        query, key, value, output, slopes, query.stride(0), value.stride(0), output.stride(0),
        length, step, line_step, width, DIM=value.shape[1] // heads, OVER_GRID=axes == 'grid',
        QUERIES=QUERIES, KEYS=KEYS)
    return output


@triton.jit(do_not_specialize=['length', 'step', 'line_step', 'width'])
def _attend(query, key, value, output, slopes, query_stride, value_stride, output_stride,
            length, step, line_step, width, DIM: tl.constexpr, OVER_GRID: tl.constexpr,
            QUERIES: tl.constexpr, KEYS: tl.constexpr):
    """Attend from a tile of a line's queries to all of its keys; see `attend`."""
    first = tl.program_id(1) * line_step
    head = tl.program_id(2)
    slope = tl.load(slopes + head)
    channels = head * DIM + tl.arange(0, DIM)
    queries = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    cells = first + queries * step
    inside = queries[:, None] < length
    q = tl.load(query + cells[:, None] * query_stride + channels, mask=inside, other=0)
    best = tl.full([QUERIES], float('-inf'), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    result = tl.zeros([QUERIES, DIM], tl.float32)
    for start in range(0, length, KEYS):
        keys = start + tl.arange(0, KEYS)
        others = first + keys * step
        there = keys[:, None] < length
        k = tl.load(key + others[:, None] * query_stride + channels, mask=there, other=0)
        v = tl.load(value + others[:, None] * value_stride + channels, mask=there, other=0)
        logits = tl.dot(q, tl.trans(k), input_precision='tf32x3')
        logits += slope * _distance(queries, keys, width, OVER_GRID)
        logits = tl.where(keys[None, :] < length, logits, float('-inf'))
        largest = tl.maximum(best, tl.max(logits, 1))
        weights = tl.exp2(logits - largest[:, None])
        shrink = tl.exp2(best - largest)
        total = total * shrink + tl.sum(weights, 1)
        result = tl.dot(weights.to(v.dtype), v, result * shrink[:, None],
                        input_precision='tf32x3')
        best = largest
    result = result / total[:, None]
    tl.store(output + cells[:, None] * output_stride + channels,
             result.to(output.dtype.element_ty), mask=inside)


@triton.jit
def _distance(queries, keys, width, OVER_GRID: tl.constexpr):
    """Return the distance in cells, over a grid that along both axes: (queries, keys)."""
    if OVER_GRID:
        rows = _line_distance(queries // width, keys // width)
        return rows + _line_distance(queries % width, keys % width)
    return _line_distance(queries, keys)


@triton.jit
def _line_distance(queries, keys):
    return tl.abs(queries.to(tl.float32)[:, None] - keys.to(tl.float32)[None, :])


def convolve_and_normalise(x: Tensor, weight: Tensor, bias: Tensor, grid: tuple[int, int],
                           ahead: Tensor) -> tuple[Tensor, Tensor]:
    """
    Convolve cells depthwise, and normalise the result over its channels.

    :param x: (H W, C).
    :param weight: (k k, C), by rows of the kernel.
    :param bias: (C,).
    :param ahead: (C,), added to the result after the norm has read it: the bias of a product that
        will be added to it.
    :return: the result and its LayerNorm, (H W, C) each.
    """
    output, normalised = torch.empty_like(x), torch.empty_like(x)
    _convolve_tiles(x, weight, bias, ahead, output, normalised, grid, normalise=True)
    return output, normalised


def convolve_and_add(x: Tensor, weight: Tensor, bias: Tensor, grid: tuple[int, int],
                     added: Tensor) -> Tensor:
    """
    Convolve cells depthwise, and add others.

    :param x, weight, bias: as of `convolve_and_normalise`.
    :param added: (H W, C), contiguous; the result takes its place.
    """
    _convolve_tiles(x, weight, bias, added, added, added, grid, normalise=False)
    return added


def _convolve_tiles(x: Tensor, weight: Tensor, bias: Tensor, added: Tensor, output: Tensor,
                    normalised: Tensor, grid: tuple[int, int], normalise: bool) -> None:
    (cells, channels), size = x.shape, round(len(weight) ** 0.5)
    block = triton.next_power_of_2(channels)
    rows = max(TILE // block, 1)
    _convolve[triton.cdiv(cells, rows),](
        x, weight, bias, added, output, normalised, *grid, channels, x.stride(0), SIZE=size,
        NORMALISE=normalise, CELLS=rows, CHANNELS=block)


@triton.jit(do_not_specialize=['height', 'width'])
def _convolve(x, weight, bias, added, output, normalised, height, width, channels, x_stride,
              SIZE: tl.constexpr, NORMALISE: tl.constexpr, CELLS: tl.constexpr,
              CHANNELS: tl.constexpr):
    """Convolve a tile of cells; `added` is (channels,) where it normalises, else (cells, C)."""
    cells = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    row, column = cells // width, cells % width
    channel = tl.arange(0, CHANNELS)
    known = channel < channels
    result = tl.zeros([CELLS, CHANNELS], tl.float32)
    result += tl.load(bias + channel, mask=known, other=0).to(tl.float32)
    for down in range(SIZE):
        for across in tl.static_range(SIZE):
            y, x_ = row + down - SIZE // 2, column + across - SIZE // 2
            there = (y >= 0) & (y < height) & (x_ >= 0) & (x_ < width)
            cell = tl.load(x + (y * width + x_)[:, None] * x_stride + channel,
                           mask=there[:, None] & known, other=0)
            tap = tl.load(weight + (down * SIZE + across) * channels + channel, mask=known,
                          other=0)
            result += cell.to(tl.float32) * tap.to(tl.float32)
    place = cells[:, None] * channels + channel
    inside = (cells < height * width)[:, None] & known
    if NORMALISE:
        _store(normalised + place, _norm(result, known, channels), inside)
        result += tl.load(added + channel, mask=known, other=0).to(tl.float32)
    else:
        result += tl.load(added + place, mask=inside, other=0).to(tl.float32)
    _store(output + place, result, inside)


def normalise(x: Tensor, ahead: Tensor) -> Tensor:
    """
    Return the LayerNorm of cells over their channels, (H W, C), and add `ahead` to them in place.

    :param x: (H W, C), contiguous.
    :param ahead: see `convolve_and_normalise`.
    """
    normalised = torch.empty_like(x)
    cells, channels = x.shape
    block = triton.next_power_of_2(channels)
    rows = max(TILE // block, 1)
    _normalise[triton.cdiv(cells, rows),](x, ahead, normalised, cells, channels, CELLS=rows,
                                          CHANNELS=block)
    return normalised


@triton.jit(do_not_specialize=['count'])
def _normalise(x, ahead, normalised, count, channels, CELLS: tl.constexpr,
               CHANNELS: tl.constexpr):
    cells = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    channel = tl.arange(0, CHANNELS)
    known = channel < channels
    place = cells[:, None] * channels + channel
    inside = (cells < count)[:, None] & known
    values = tl.load(x + place, mask=inside, other=0).to(tl.float32)
    _store(normalised + place, _norm(values, known, channels), inside)
    _store(x + place, values + tl.load(ahead + channel, mask=known, other=0), inside)


@triton.jit
def _norm(values, known, channels):
    """Return the LayerNorm of (cells, channels) float32 over the known channels; others are 0."""
    mean = tl.sum(values, 1) / channels
    centred = tl.where(known, values - mean[:, None], 0)
    variance = tl.sum(centred * centred, 1) / channels
    return centred * tl.rsqrt(variance + EPSILON)[:, None]


@triton.jit
def _store(place, values, inside):
    tl.store(place, values.to(place.dtype.element_ty), mask=inside)


def add_resized(levels: list[Tensor], grids: list[tuple[int, int]]) -> Tensor:
    """
    Return relu of the sum of four levels, resized bilinearly to the first one's grid: (H W, C).

    :param levels: (h w, C) each, the first the largest.
    :param grids: (h, w) of each.
    """
    output = torch.empty_like(levels[0])
    cells, channels = output.shape
    block = min(triton.next_power_of_2(channels), 128)
    rows = TILE // block
    sizes = [length for grid in grids for length in grid]
    _add_resized[triton.cdiv(cells, rows), triton.cdiv(channels, block)](
        *levels, output, *sizes, channels, CELLS=rows, CHANNELS=block)
    return output


@triton.jit(do_not_specialize=['h1', 'w1', 'h2', 'w2', 'h3', 'w3', 'h4', 'w4'])
def _add_resized(first, second, third, fourth, output, h1, w1, h2, w2, h3, w3, h4, w4, channels,
                 CELLS: tl.constexpr, CHANNELS: tl.constexpr):
    cells = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    place = cells[:, None] * channels + channel
    inside = (cells < h1 * w1)[:, None] & known
    result = tl.load(first + place, mask=inside, other=0).to(tl.float32)
    row, column = tl.minimum(cells // w1, h1 - 1), cells % w1
    result += _resized(second, h2, w2, row, column, h1, w1, channel, known, channels)
    result += _resized(third, h3, w3, row, column, h1, w1, channel, known, channels)
    result += _resized(fourth, h4, w4, row, column, h1, w1, channel, known, channels)
    _store(output + place, tl.maximum(result, 0), inside)


def label(logits: Tensor, size: tuple[int, int], temperature: float | None) -> list[Tensor]:
    """
    Compute the label, and with a temperature the confidence, of each camera pixel in one pass.

    :param logits: (h, w, classes), contiguous.
    :param size: (H, W) of the camera.
    :return: one or two (H, W) uint8; see `Prediction`.
    """
    planes = [torch.empty(size, dtype=torch.uint8, device=logits.device)
              for _ in range(1 if temperature is None else 2)]
    *grid, classes = logits.shape
    block = triton.next_power_of_2(classes)
    pixels = max(TILE // block, 1)
    _label[triton.cdiv(size[0] * size[1], pixels),](
        logits, planes[0], planes[-1], 1 / (temperature or 1), *grid, *size, classes,
        CONFIDENT=temperature is not None, PIXELS=pixels, CLASSES=block)
    return planes


@triton.jit(do_not_specialize=['sharpness', 'h', 'w', 'height', 'width', 'classes'])
def _label(logits, labels, confidences, sharpness, h, w, height, width, classes,
           CONFIDENT: tl.constexpr, PIXELS: tl.constexpr, CLASSES: tl.constexpr):
    pixels = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixels < height * width
    row, column = tl.minimum(pixels // width, height - 1), pixels % width
    index = tl.arange(0, CLASSES)
    known = index < classes
    scores = _resized(logits, h, w, row, column, height, width, index, known, classes)
    scores = tl.where(known, scores, float('-inf'))
    best, winner = tl.max(scores, 1, return_indices=True)
    tl.store(labels + pixels, winner.to(tl.uint8), mask=inside)
    if CONFIDENT:
        total = tl.sum(tl.exp((scores - best[:, None]) * sharpness), 1)
        tl.store(confidences + pixels, (255 / total + 0.5).to(tl.uint8), mask=inside)


@triton.jit
def _resized(image, h, w, row, column, height, width, channel, known, channels):
    """
    Return some pixels of an image, (h w, channels), resized bilinearly to height and width.

    Half-pixel centres, align_corners false, in the order of PyTorch's own kernel.
    """
    y = tl.maximum((row + 0.5) * (h / height) - 0.5, 0)
    x = tl.maximum((column + 0.5) * (w / width) - 0.5, 0)
    top, left = y.to(tl.int32), x.to(tl.int32)
    down, across = (y - top)[:, None], (x - left)[:, None]
    bottom, right = tl.minimum(top + 1, h - 1), tl.minimum(left + 1, w - 1)
    upper = ((1 - across) * _cell(image, top * w + left, channel, known, channels)
             + across * _cell(image, top * w + right, channel, known, channels))
    lower = ((1 - across) * _cell(image, bottom * w + left, channel, known, channels)
             + across * _cell(image, bottom * w + right, channel, known, channels))
    return (1 - down) * upper + down * lower


@triton.jit
def _cell(image, cells, channel, known, channels):
    return tl.load(image + cells[:, None] * channels + channel, mask=known, other=0
                   ).to(tl.float32)
