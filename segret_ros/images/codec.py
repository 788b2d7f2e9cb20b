# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
From image messages to pixels; every rule of sensor_msgs/Image is here and nowhere else.

Any object with the fields of the message will do: those of a ROS installation and of rosbags.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import re
from reprlib import repr as short_repr
from typing import Any, NamedTuple

import cv2
import numpy as np
from segret_ros.errors import reason
from segret_ros.images.error import ImageError
from segret_ros.images.jpeg_and_png import file_extent, WAY_OUT


class Packed(NamedTuple):
    """
    An encoding whose pixels lie side by side.

    :param channels: of a pixel; YUV 4:2:2 has two, its brightness and one half of the colour.
    :param bits: of a channel.
    :param to_rgb: OpenCV's conversion, or None where there is nothing to convert.
    """

    channels: int
    bits: int
    to_rgb: int | None


COLORS = {
    'rgb': (3, None), 'bgr': (3, cv2.COLOR_BGR2RGB), 'mono': (1, cv2.COLOR_GRAY2RGB),
    'rgba': (4, cv2.COLOR_RGBA2RGB), 'bgra': (4, cv2.COLOR_BGRA2RGB),
    # OpenCV names a pattern by the second row's second and third pixel.
    'bayer_rggb': (1, cv2.COLOR_BayerBG2RGB), 'bayer_bggr': (1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg': (1, cv2.COLOR_BayerGR2RGB), 'bayer_grbg': (1, cv2.COLOR_BayerGB2RGB)}
PACKED = {
    **{f'{name}{bits}': Packed(channels, bits, to_rgb)
       for name, (channels, to_rgb) in COLORS.items() for bits in (8, 16)},
    'uyvy': Packed(2, 8, cv2.COLOR_YUV2RGB_UYVY), 'yuyv': Packed(2, 8, cv2.COLOR_YUV2RGB_YUY2)}
# Brightness first, then the colours of 2 x 2 pixels, or in nv24 those of each pixel.
PLANES = {'nv12': cv2.COLOR_YUV2RGB_NV12, 'nv21': cv2.COLOR_YUV2RGB_NV21, 'nv24': None}
# Of nv24 alone, which OpenCV does not convert: limited-range BT.601, as it takes for the others.
YUV_SCALES = np.array([[1.164, 0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0]], np.float32)
YUV_TO_RGB = np.column_stack([YUV_SCALES, YUV_SCALES @ np.array([-16, -128, -128], np.float32)])
# Other names, in small letters. Unnamed channels are in OpenCV's order, as cv_bridge sends them.
ALIASES = {'yuv422': 'uyvy', 'yuv422_yuy2': 'yuyv',
           '8uc1': 'mono8', '8uc3': 'bgr8', '8uc4': 'bgra8',
           '16uc1': 'mono16', '16uc3': 'bgr16', '16uc4': 'bgra16'}
ENCODINGS = (*PACKED, *PLANES, *ALIASES)
MOSAICS = {packed.to_rgb for name, packed in PACKED.items() if name.startswith('bayer')}

# Measurements, not pictures; 16 bit grey may be an infrared camera's, but mostly is depth.
DEPTH = re.compile('16uc1|mono16|(8|16|32)sc|(32|64)fc', re.IGNORECASE)
WANTED = ('send rgb8, bgr8, rgba8, bgra8, mono8, a Bayer pattern, their 16 bit forms, uyvy, yuyv, '
          'nv12, nv21 or nv24, or a JPEG or PNG file as sensor_msgs/CompressedImage')

OTHER_FILES = {b'GIF8': 'GIF', b'BM': 'BMP', b'II*\0': 'TIFF', b'MM\0*': 'TIFF', b'RIFF': 'WebP',
               b'qoif': 'QOI', b'\xff\x0a': 'JPEG XL', b'\0\0\0\x0cJXL ': 'JPEG XL',
               b'\0\0\0\1': 'H.264 or H.265', b'\0\0\1': 'H.264 or H.265'}
# Labels have the camera's size, so an orientation in the file is ignored. Bit depth and a single
# channel are kept: it may hold a mosaic.
AS_STORED = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_image(message: Any, max_pixels: int) -> np.ndarray:
    """
    Return the pixels of an image message.

    :param message: sensor_msgs/Image of one of `ENCODINGS`, in any case, rows padded or not;
        the byte order matters for 16 bits only.
    :param max_pixels: width times height at most.
    :return: (H, W, 3) uint8 RGB; a view of the message's data where it is rgb8 already.
    :raises ImageError: for another encoding, sizes that do not fit the data, or too many pixels;
        before memory is taken for the image.
    """
    with _image_errors():
        encoding = message.encoding.lower()
        encoding = ALIASES.get(encoding, encoding)
        if encoding in PLANES:
            return _decode_planes(message, encoding, max_pixels)
        if encoding in PACKED:
            return _to_rgb(_packed_pixels(message, PACKED[encoding], max_pixels),
                           PACKED[encoding].to_rgb)
        if not encoding:
            raise ImageError('the encoding is empty', WANTED)
        raise ImageError(f'encoding {short_repr(message.encoding)} is not supported', WANTED)


def decode_compressed(message: Any, max_pixels: int) -> np.ndarray:
    """
    Return the pixels of a compressed image message.

    :param message: sensor_msgs/CompressedImage that holds a JPEG or PNG file, anything may
        follow its end. Its format matters for Bayer patterns only: colours are the file's own.
    :param max_pixels: width times height at most.
    :return: (H, W, 3) uint8 RGB, as stored: EXIF does not turn it.
    :raises ImageError: for other content, a corrupt or cut file, or too many pixels; the latter
        before memory is taken for the image.
    """
    with _image_errors():
        content = memoryview(message.data).cast('B')
        extent = file_extent(content)
        if extent is None:
            raise _no_file(content, message.format)
        _check_size(extent.width, extent.height, max_pixels)
        image = cv2.imdecode(np.frombuffer(content[:extent.length], np.uint8), AS_STORED)
        if image is None:
            raise ImageError('a damaged JPEG or PNG file', WAY_OUT)
        if image.ndim == 3:
            return _to_rgb(image, cv2.COLOR_BGR2RGB)
        return _to_rgb(image, _grey_conversion(message.format))


def holds_depth(encoding: str) -> bool:
    """Return whether an encoding, or a compressed image's format, is that of a depth image."""
    return DEPTH.match(encoding) is not None


@contextmanager
def _image_errors() -> Iterator[None]:
    """Turn whatever a message of odd fields or content raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # cv2.error, and anything for fields of other types
        raise ImageError("the image can't be converted", reason(error)) from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError('the image has no pixels', f'its size is {height} x {width}')
    if width * height > max_pixels:
        raise ImageError('the image is larger than max_pixels', f'it is {height} x {width} pixels,'
                         f' {width * height} in all, and the parameter max_pixels is {max_pixels}'
                         '; raise it if the camera is right')


def _packed_pixels(message: Any, packed: Packed, max_pixels: int) -> np.ndarray:
    """Return (H, W) or (H, W, channels), uint8 or uint16."""
    height, width = message.height, message.width
    _check_size(width, height, max_pixels)
    if packed.channels == 2 and width % 2:
        raise ImageError(f'{message.encoding} of odd width', f'it is {height} x {width} pixels, '
                         'but two pixels share their colour')
    length = width * packed.channels * packed.bits // 8
    rows = _rows(message, message.step, height, length)[:, :length]
    if packed.bits == 16:
        rows = np.ascontiguousarray(rows).view('>u2' if message.is_bigendian else '<u2')
        rows = rows.astype(np.uint16, copy=False)
    if packed.channels == 1:
        return rows.reshape(height, width)
    return rows.reshape(height, width, packed.channels)


def _decode_planes(message: Any, encoding: str, max_pixels: int) -> np.ndarray:
    height, width = message.height, message.width
    _check_size(width, height, max_pixels)
    if encoding != 'nv24' and (height % 2 or width % 2):
        raise ImageError(f'{message.encoding} of odd size', f'it is {height} x {width} pixels, '
                         'but 2 x 2 pixels share their colour')
    count = 3 * height if encoding == 'nv24' else 3 * height // 2
    step = message.step
    if step * height == len(message.data) == width * count:
        step = width  # the bytes of both planes, divided among the rows of one
    rows = _rows(message, step, count, width)
    conversion = PLANES[encoding]
    if conversion is not None:
        return cv2.cvtColor(rows[:, :width], conversion)
    brightness = np.maximum(rows[:height, :width], 16)
    colors = cv2.split(rows[height:].reshape(height, -1, 2)[:, :width])
    return cv2.transform(cv2.merge((brightness, *colors)), YUV_TO_RGB)


def _rows(message: Any, step: int, count: int, length: int) -> np.ndarray:
    """Return a message's rows, padding and all: (count, step) uint8."""
    if step < length:
        raise ImageError('step is shorter than a row', f'it is {step}, and {message.width} '
                         f'pixels of {message.encoding} take {length} bytes')
    if len(message.data) != step * count:
        raise ImageError('the data do not fit the size', f'there are {len(message.data)} bytes of '
                         f'data: {count} rows of step {step} take {step * count}')
    return np.frombuffer(message.data, np.uint8).reshape(count, step)


def _to_rgb(pixels: np.ndarray, conversion: int | None) -> np.ndarray:
    if conversion in MOSAICS and min(pixels.shape) < 3:
        raise ImageError('a Bayer mosaic too small for colours', 'it is '
                         f'{pixels.shape[0]} x {pixels.shape[1]} pixels; 3 x 3 are the least')
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def _grey_conversion(message_format: str) -> int:
    """
    Return the conversion of a file of one channel.

    image_transport writes `bayer_rggb8; jpeg compressed ` (or the pattern again at the end) where
    it has compressed the mosaic, and `bayer_rggb8; jpeg compressed mono8` where it has converted
    it to grey.
    """
    encoding, _, codec = message_format.lower().partition(';')
    packed = PACKED.get(encoding.strip())
    if packed and packed.to_rgb and packed.to_rgb in MOSAICS and 'compressed mono' not in codec:
        return packed.to_rgb
    return cv2.COLOR_GRAY2RGB


def _no_file(content: memoryview, message_format: str) -> ImageError:
    if not content:
        return ImageError('the message holds no data', WAY_OUT)
    name = next((OTHER_FILES[start] for start in OTHER_FILES if content[:len(start)] == start),
                'no JPEG or PNG')
    return ImageError(f'data of format {short_repr(message_format)} are {name}',
                      f'{len(content)} bytes; {WAY_OUT}')
