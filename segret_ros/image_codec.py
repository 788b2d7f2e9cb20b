"""
From image messages to arrays; every rule of sensor_msgs/Image is here and nowhere else.

Messages are taken by their fields: those of a ROS installation and those of rosbags alike.
"""

from io import BytesIO
from reprlib import repr as short_repr
from types import SimpleNamespace

import cv2
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from segret_ros.image_error import ImageError

try:
    from cv_bridge import CvBridge
    to_cv_image = CvBridge().imgmsg_to_cv2
except ImportError:  # a pip installation
    from rosbags.image import message_to_cvimage as to_cv_image

BYTES_PER_PIXEL = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1,
    'rgb16': 6, 'bgr16': 6, 'rgba16': 8, 'bgra16': 8, 'mono16': 2,
    'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2,
    **{f'bayer_{pattern}8': 1 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{pattern}16': 2 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
}
PAIRED = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')  # two pixels share their colour
# How a file starts, what reads its header, and how it ends.
FILES = {'JPEG': (b'\xff\xd8\xff', JpegImageFile, b'\xff\xd9'),
         'PNG': (b'\x89PNG\r\n\x1a\n', PngImageFile, b'IEND\xaeB`\x82')}
OTHER_FILES = {b'GIF8': 'GIF', b'BM': 'BMP', b'II*\0': 'TIFF', b'MM\0*': 'TIFF', b'RIFF': 'WebP'}
HEADER_BYTES = 2**20  # read no further for the size: a file of filling bytes would take seconds
WAY_OUT = 'send whole JPEG or PNG files'
# A label is of the size that the camera stores, so a note to turn the picture is passed over.
AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_image(message, max_pixels: int) -> np.ndarray:
    """
    Give the pixels of an image message.

    :param message: sensor_msgs/Image of any encoding of `BYTES_PER_PIXEL`, rows padded or not;
        its byte order counts for 16 bit alone.
    :param max_pixels: width times height at most.
    :return: (H, W, 3) uint8 RGB; a view of the message's data where it is rgb8 already.
    :raises ImageError: for another encoding, sizes that do not fit the data, or too many pixels;
        before memory is taken for the image.
    """
    encoding = message.encoding
    pixels = _rows_without_padding(message, max_pixels)  # (H, W * bytes) uint8
    if encoding.endswith('16'):
        pixels, encoding = _to_8_bit(pixels, message.is_bigendian), encoding[:-2] + '8'
    if encoding == 'rgb8':
        return pixels.reshape(message.height, message.width, 3)
    plain = SimpleNamespace(height=message.height, width=message.width, encoding=encoding,
                            is_bigendian=0, step=pixels.shape[1],
                            data=np.ascontiguousarray(pixels).reshape(-1))
    try:
        return to_cv_image(plain, 'rgb8')
    except Exception as error:  # cv2.error, CvBridgeError or rosbags' ImageError
        raise ImageError(f"{encoding} of {message.width} x {message.height} pixels can't be "
                         f'converted to rgb8: {error}') from error


def decode_compressed(message, max_pixels: int) -> np.ndarray:
    """
    Give the pixels of a compressed image message.

    :param message: sensor_msgs/CompressedImage that holds a JPEG or PNG file, whatever its
        format says; zeros may follow the file.
    :param max_pixels: width times height at most.
    :return: (H, W, 3) uint8 RGB, as stored: EXIF does not turn it.
    :raises ImageError: for other content, a file that is damaged or not whole, or too many
        pixels; the latter before memory is taken for the image.
    """
    content = bytes(message.data)
    what = f'{len(content)} bytes of format {short_repr(message.format)}'
    _check_size(*_size_in_file(content, what), max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), AS_STORED)
    except cv2.error as error:  # more pixels than OpenCV's own limit
        raise ImageError(f"{what} can't be decoded ({error.err}): {WAY_OUT}") from error
    if image is None:
        raise ImageError(f'{what} are a damaged file: {WAY_OUT}')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f'the image is {width} x {height} pixels: it must have at least one')
    if width * height > max_pixels:
        raise ImageError(f'the image is {width} x {height} pixels, {width * height} in all: the '
                         f'parameter max_pixels is {max_pixels}; raise it if the camera is right')


def _size_in_file(content: bytes, what: str) -> tuple[int, int]:
    """Give (width, height) as the header of a whole file says."""
    name = next((name for name in FILES if content.startswith(FILES[name][0])), None)
    if name is None:
        other = next((f' of a {OTHER_FILES[start]} file' for start in OTHER_FILES
                      if content.startswith(start)), '')
        raise ImageError(f'{what}{other} are no JPEG or PNG file: {WAY_OUT}')
    _, header_of, end = FILES[name]
    if not content.rstrip(b'\0').endswith(end):  # some cameras pad
        raise ImageError(f'{what} are a {name} file without its end, or with something behind '
                         f'it: {WAY_OUT}')
    try:
        with header_of(BytesIO(content[:HEADER_BYTES])) as header:
            return header.size
    except Exception as error:  # Pillow raises anything from SyntaxError to struct.error
        raise ImageError(f'{what} are a {name} file whose header is damaged or holds no size '
                         f'({error}): {WAY_OUT}') from error


def _rows_without_padding(message, max_pixels: int) -> np.ndarray:
    bytes_per_pixel = BYTES_PER_PIXEL.get(message.encoding)
    if bytes_per_pixel is None:
        raise ImageError(f'encoding {short_repr(message.encoding)} is not supported: send one of '
                         f'{", ".join(BYTES_PER_PIXEL)}')
    _check_size(message.width, message.height, max_pixels)
    if message.encoding in PAIRED and message.width % 2:
        raise ImageError(f'{message.encoding} of {message.width} x {message.height} pixels: its '
                         'width must be even, for two pixels share their colour')
    row = message.width * bytes_per_pixel
    if message.step < row:
        raise ImageError(f'step is {message.step}: a row of {message.width} pixels of '
                         f'{message.encoding} takes {row} bytes')
    if len(message.data) != message.step * message.height:
        raise ImageError(f'there are {len(message.data)} bytes of data: {message.height} rows of '
                         f'step {message.step} take {message.step * message.height}')
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, :row]


def _to_8_bit(pixels: np.ndarray, is_bigendian: int) -> np.ndarray:
    wide = np.ascontiguousarray(pixels).view('>u2' if is_bigendian else '<u2')
    return cv2.convertScaleAbs(wide.astype(np.uint16), alpha=255 / 65535)
