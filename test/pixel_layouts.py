# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The bytes of a picture in every encoding of sensor_msgs/Image, by definition and by hand."""

from collections.abc import Callable
import struct
from types import SimpleNamespace
import zlib

import numpy as np

PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')
# Limited-range BT.601: Y, Cb and Cr of red, green and blue 0..1, and of black.
YUV = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
BLACK = np.array([16, 128, 128])
COLORS = ((220, 30, 30), (30, 200, 60), (20, 60, 230), (180, 170, 20))


def quarters(height: int, width: int) -> np.ndarray:
    """Return a picture of four colours, (H, W, 3) uint8 RGB."""
    picture = np.empty((height, width, 3), np.uint8)
    for index, color in enumerate(COLORS):
        rows = slice(height // 2) if index < 2 else slice(height // 2, None)
        picture[rows, slice(width // 2) if index % 2 == 0 else slice(width // 2, None)] = color
    return picture


def inside(height: int, width: int) -> np.ndarray:
    """Return where all pixels nearby are of one colour, (H, W) bool."""
    from_middle = [np.abs(np.arange(side) - (side // 2 - 0.5)) > 2 for side in (height, width)]
    return from_middle[0][:, None] & from_middle[1]


def raw_image(rgb: np.ndarray, encoding: str, padding: int = 0,
              is_bigendian: int = 0) -> SimpleNamespace:
    """
    Return the fields of an image message.

    :param rgb: (H, W, 3) uint8.
    :param padding: bytes at the end of each row.
    """
    rows = LAYOUTS[encoding](rgb)
    if rows.dtype == np.uint16:
        rows = rows.astype('>u2' if is_bigendian else '<u2')
    rows = rows.view(np.uint8).reshape(len(rows), -1)
    if encoding.lower() == 'nv24':
        return _nv24_image(rows, rgb.shape[:2], encoding, padding)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return SimpleNamespace(height=rgb.shape[0], width=rgb.shape[1], encoding=encoding,
                           is_bigendian=is_bigendian, step=rows.shape[1], data=rows.tobytes())


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Return what a sensor behind a Bayer filter sees, (H, W)."""
    grid = np.indices(rgb.shape[:2]) % 2  # (2, H, W)
    letters = np.array(['rgb'.index(letter) for letter in pattern])[2 * grid[0] + grid[1]]
    return np.take_along_axis(rgb, letters[..., None], axis=2)[..., 0]


def wide(pixels: np.ndarray) -> np.ndarray:
    """Return pixels in 16 bits, such that swapped bytes are another value."""
    return pixels.astype(np.uint16) * 256 + 7


def grey_png(rows: list[bytes], width: int, bits: int) -> bytes:
    """Return a grey PNG of packed rows; Pillow and OpenCV write 8 and 16 bits alone."""
    def chunk(name: bytes, content: bytes) -> bytes:
        return (struct.pack('>I', len(content)) + name + content
                + struct.pack('>I', zlib.crc32(name + content)))

    head = struct.pack('>IIBBBBB', width, len(rows), bits, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head)
            + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + row for row in rows)))
            + chunk(b'IEND', b''))


def _nv24_image(rows: np.ndarray, size: tuple[int, int], encoding: str,
                padding: int) -> SimpleNamespace:
    """Return the message; a row of colours is two of brightness long, padding and all."""
    height, width = size
    brightness = np.pad(rows[:height], ((0, 0), (0, padding)))
    colors = np.pad(rows[height:].reshape(height, -1), ((0, 0), (0, 2 * padding)))
    return SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=0,
                           step=width + padding, data=brightness.tobytes() + colors.tobytes())


def _yuv(rgb: np.ndarray) -> np.ndarray:
    return np.rint(rgb / 255 @ YUV.T + BLACK).astype(np.uint8)


def _pairs(rgb: np.ndarray, order: str) -> np.ndarray:
    yuv = _yuv(rgb)
    shared = {'u': yuv[:, ::2, 1], 'v': yuv[:, ::2, 2]}
    brightness = iter((yuv[:, ::2, 0], yuv[:, 1::2, 0]))
    return np.stack([next(brightness) if letter == 'y' else shared[letter] for letter in order],
                    axis=-1).reshape(len(rgb), -1)


def _planes(rgb: np.ndarray, order: tuple[int, int]) -> np.ndarray:
    yuv = _yuv(rgb)
    return np.concatenate([yuv[..., 0], yuv[::2, ::2, order].reshape(len(rgb) // 2, -1)])


def _full_planes(rgb: np.ndarray) -> np.ndarray:
    yuv = _yuv(rgb)
    return np.concatenate([yuv[..., 0], np.ascontiguousarray(yuv[..., 1:]).reshape(
        2 * len(rgb), -1)])


def _with_alpha(color: np.ndarray) -> np.ndarray:
    return np.concatenate([color, color[..., :1] // 2], axis=-1)


def _rows(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rgb: np.ascontiguousarray(function(rgb)).reshape(len(rgb), -1)


_ORDERS = {'rgb': lambda rgb: rgb, 'bgr': lambda rgb: rgb[..., ::-1], 'rgba': _with_alpha,
           'bgra': lambda rgb: _with_alpha(rgb[..., ::-1]), 'mono': lambda rgb: rgb[..., 0],
           **{f'bayer_{pattern}': lambda rgb, pattern=pattern: mosaic(rgb, pattern)
              for pattern in PATTERNS}}
_NAMED = {
    **{f'{name}8': _rows(order) for name, order in _ORDERS.items()},
    **{f'{name}16': _rows(lambda rgb, order=order: wide(order(rgb)))
       for name, order in _ORDERS.items()},
    'uyvy': lambda rgb: _pairs(rgb, 'uyvy'), 'yuyv': lambda rgb: _pairs(rgb, 'yuyv'),
    'nv12': lambda rgb: _planes(rgb, (1, 2)), 'nv21': lambda rgb: _planes(rgb, (2, 1)),
    'nv24': _full_planes}
# What drivers write, beside the names as sensor_msgs has them.
OTHER_NAMES = {
    'yuv422': 'uyvy', 'UYVY': 'uyvy', 'yuv422_yuy2': 'yuyv', 'YUYV': 'yuyv',
    'NV12': 'nv12', 'NV21': 'nv21', 'NV24': 'nv24', 'RGB8': 'rgb8', 'BGR8': 'bgr8',
    'BAYER_RGGB8': 'bayer_rggb8', '8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8',
    '16UC1': 'mono16', '16UC3': 'bgr16', '16UC4': 'bgra16'}
LAYOUTS = {**_NAMED, **{other: _NAMED[name] for other, name in OTHER_NAMES.items()}}
BYTES_PER_PIXEL = {name: LAYOUTS[name](np.zeros((2, 2, 3), np.uint8)).view(np.uint8).size // 4
                   for name in LAYOUTS if not name.lower().startswith('nv')}
PAIRED = ('uyvy', 'yuyv', 'yuv422', 'yuv422_yuy2', 'UYVY', 'YUYV')
PLANAR = ('nv12', 'nv21', 'nv24')
GREY = ('mono8', '8UC1', 'mono16', '16UC1')
