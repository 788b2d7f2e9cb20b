"""Between ROS messages and arrays; every rule of sensor_msgs/Image is here and nowhere else."""

import array
from types import SimpleNamespace

import cv2
from diagnostic_msgs.msg import KeyValue
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

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


class ImageError(ValueError):
    """A message that holds no usable image; the text says why."""


def decode_image(message: Image) -> np.ndarray:
    """
    Give the pixels of an image message.

    :param message: sensor_msgs/Image of any encoding of `BYTES_PER_PIXEL`, rows padded or not.
    :return: (H, W, 3) uint8 RGB; a view of the message's data where it is rgb8 already.
    :raises ImageError: for another encoding, or sizes that do not fit the data.
    """
    encoding = message.encoding
    pixels = _rows_without_padding(message)  # (H, W * bytes) uint8
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


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """
    Give the pixels of a compressed image message (JPEG, PNG or what else OpenCV reads).

    :return: (H, W, 3) uint8 RGB.
    :raises ImageError: for data that is no image.
    """
    data = np.frombuffer(message.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(f'{data.size} bytes of format {message.format!r} are no image that can '
                         'be decoded: send whole JPEG or PNG files')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Give an image message without row padding.

    :param pixels: (H, W) or (H, W, 3) uint8.
    :param encoding: `mono8` or `rgb8`.
    :param header: is taken as it is.
    """
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(pixels).reshape(-1).data)
    height, width = pixels.shape[:2]
    return Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0,
                 step=pixels.size // height, data=data)


def key_values(values: dict[str, object]) -> list[KeyValue]:
    """Give diagnostic values; floats with three decimals."""
    return [KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
            for key, value in values.items()]


def _rows_without_padding(message: Image) -> np.ndarray:
    bytes_per_pixel = BYTES_PER_PIXEL.get(message.encoding)
    if bytes_per_pixel is None:
        raise ImageError(f'encoding {message.encoding!r} is not supported: send one of '
                         f'{", ".join(BYTES_PER_PIXEL)}')
    if message.width < 1 or message.height < 1:
        raise ImageError(f'the image is {message.width} x {message.height} pixels: it must have '
                         'at least one')
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
