"""From messages to pixels and back, against values worked out without the code under test."""

import cv2
from node_process import FRAME_ID, image_message, new_header, pixels_of, street
import numpy as np
import pytest
from segret_ros.node.messages import (
    BYTES_PER_PIXEL, decode_compressed, decode_image, encode_image, ImageError, key_values)
from sensor_msgs.msg import CompressedImage, Image

PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')
# Pure colours in limited-range BT.601, the YUV of video.
YUV_OF_RED, YUV_OF_GREEN, YUV_OF_BLUE = (81, 90, 240), (145, 54, 34), (41, 240, 110)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Give random pixels, the same each time."""
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def mosaic(pattern: str, color: tuple[int, int, int], height: int, width: int) -> np.ndarray:
    """Give what a sensor behind a Bayer filter sees of an evenly coloured wall."""
    tile = np.array([color['rgb'.index(letter)] for letter in pattern]).reshape(2, 2)
    return np.tile(tile, (height // 2 + 1, width // 2 + 1))[:height, :width]


def any_image(encoding: str, padding: int = 0) -> Image:
    """Give a noisy 6 x 8 image of an encoding, its bytes below 128 to be legal everywhere."""
    pixels = noise(6, 8, BYTES_PER_PIXEL[encoding]) // 2
    return image_message(pixels, encoding, padding)


@pytest.mark.parametrize('height, width', [(1, 1), (3, 5), (6, 8)])
@pytest.mark.parametrize('encoding, channels', [
    ('rgb8', (0, 1, 2)), ('bgr8', (2, 1, 0)), ('rgba8', (0, 1, 2)), ('bgra8', (2, 1, 0))])
def test_color_channels_become_rgb(encoding: str, channels: tuple[int, int, int], height: int,
                                   width: int) -> None:
    pixels = noise(height, width, BYTES_PER_PIXEL[encoding])
    decoded = decode_image(image_message(pixels, encoding))
    np.testing.assert_array_equal(decoded, pixels[..., channels])


@pytest.mark.parametrize('encoding, channels', [
    ('rgb16', (0, 1, 2)), ('bgr16', (2, 1, 0)), ('rgba16', (0, 1, 2)), ('bgra16', (2, 1, 0))])
def test_16_bit_channels_are_scaled_to_8_bit(encoding: str,
                                             channels: tuple[int, int, int]) -> None:
    pixels = noise(3, 5, BYTES_PER_PIXEL[encoding] // 2, dtype=np.uint16)
    decoded = decode_image(image_message(pixels, encoding))
    np.testing.assert_array_equal(decoded, np.rint(pixels[..., channels] / 257))


@pytest.mark.parametrize('height, width', [(1, 1), (3, 5)])
def test_mono8_becomes_grey(height: int, width: int) -> None:
    pixels = noise(height, width)
    decoded = decode_image(image_message(pixels, 'mono8'))
    np.testing.assert_array_equal(decoded, np.stack([pixels] * 3, axis=-1))


@pytest.mark.parametrize('is_bigendian', [0, 1])
def test_mono16_becomes_grey_in_either_byte_order(is_bigendian: int) -> None:
    values = np.array([[0, 257, 258], [0x8000, 65534, 65535]], np.uint16)
    message = image_message(values.byteswap() if is_bigendian else values, 'mono16')
    message.is_bigendian = is_bigendian
    decoded = decode_image(message)
    grey = np.array([[0, 1, 1], [128, 255, 255]])
    np.testing.assert_array_equal(decoded, np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize('encoding, byte_order', [
    ('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')])
def test_yuv_becomes_rgb(encoding: str, byte_order: str) -> None:
    pairs = [[color['yuv'.index(letter)] for letter in byte_order]
             for color in (YUV_OF_RED, YUV_OF_GREEN, YUV_OF_BLUE)]
    pixels = np.tile(np.array(pairs, np.uint8).reshape(1, 6, 2), (3, 1, 1))
    decoded = decode_image(image_message(pixels, encoding))
    row = np.repeat([(255, 0, 0), (0, 255, 0), (0, 0, 255)], 2, axis=0)
    np.testing.assert_allclose(decoded.astype(int), np.stack([row] * 3), atol=2)


@pytest.mark.parametrize('height, width', [(6, 8), (5, 7)])
@pytest.mark.parametrize('pattern', PATTERNS)
@pytest.mark.parametrize('bits', [8, 16])
def test_a_bayer_mosaic_of_one_color_becomes_that_color(bits: int, pattern: str, height: int,
                                                        width: int) -> None:
    color = (200, 120, 40)
    pixels = mosaic(pattern, color, height, width)
    pixels = pixels.astype(np.uint8) if bits == 8 else (pixels * 257).astype(np.uint16)
    decoded = decode_image(image_message(pixels, f'bayer_{pattern}{bits}'))
    np.testing.assert_array_equal(decoded, np.full((height, width, 3), color))


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
def test_row_padding_is_no_part_of_the_image(encoding: str) -> None:
    decoded = decode_image(any_image(encoding, padding=5))
    assert decoded.shape == (6, 8, 3) and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, decode_image(any_image(encoding)))


@pytest.mark.parametrize('encoding', [
    'rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'yuv422', 'yuv422_yuy2',
    *(f'bayer_{pattern}8' for pattern in PATTERNS)])
def test_cv_bridge_and_rosbags_image_convert_alike(encoding: str) -> None:
    cv_bridge = pytest.importorskip('cv_bridge', reason='needs cv_bridge of a ROS 2 installation')
    rosbags_image = pytest.importorskip('rosbags.image', reason='needs rosbags-image')
    message = any_image(encoding)
    np.testing.assert_array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8'),
                                  rosbags_image.message_to_cvimage(message, 'rgb8'))


@pytest.mark.parametrize('change, reason', [
    ({'encoding': '32FC1'}, "'32FC1' is not supported: send one of rgb8, bgr8"),
    ({'encoding': ''}, "'' is not supported"),
    ({'width': 0}, 'the image is 0 x 6 pixels'),
    ({'height': 0, 'data': b''}, 'the image is 8 x 0 pixels'),
    ({'step': 23}, 'step is 23: a row of 8 pixels of rgb8 takes 24 bytes'),
    ({'data': bytes(143)}, '143 bytes of data: 6 rows of step 24 take 144'),
    ({'data': bytes(145)}, '145 bytes of data: 6 rows of step 24 take 144'),
    ({'data': b''}, '0 bytes of data: 6 rows of step 24 take 144'),
    ({'height': 7}, '144 bytes of data: 7 rows of step 24 take 168'),
])
def test_a_malformed_image_is_refused_with_what_is_wrong(change: dict[str, object],
                                                         reason: str) -> None:
    message = any_image('rgb8')
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError) as error:
        decode_image(message)
    assert reason in str(error.value)


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2'])
def test_yuv_of_odd_width_is_refused_for_half_a_pixel_pair(encoding: str) -> None:
    with pytest.raises(ImageError, match=f'{encoding} of 7 x 6 pixels'):
        decode_image(image_message(noise(6, 7, 2), encoding))


@pytest.mark.parametrize('suffix, tolerance', [('.jpg', 16), ('.png', 0)])
def test_a_compressed_image_becomes_rgb(suffix: str, tolerance: int) -> None:
    picture = street(40, 64)
    picture = cv2.GaussianBlur(picture, (9, 9), 0)  # JPEG keeps no sharp colour edges
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    decoded = decode_compressed(CompressedImage(format=suffix[1:], data=data.tobytes()))
    np.testing.assert_allclose(decoded.astype(int), picture, atol=tolerance)


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    grey = street(40, 64)[..., 0]
    _, data = cv2.imencode('.jpg', grey)
    decoded = decode_compressed(CompressedImage(format='jpeg', data=data.tobytes()))
    np.testing.assert_allclose(decoded.astype(int), np.stack([grey] * 3, axis=-1), atol=12)
    assert (decoded == decoded[..., :1]).all()


@pytest.mark.parametrize('data', [b'', b'no picture', bytes(range(256))])
def test_data_that_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=f"{len(data)} bytes of format 'jpeg'"):
        decode_compressed(CompressedImage(format='jpeg', data=data))


@pytest.mark.parametrize('encoding, pixels', [
    ('mono8', noise(3, 5)), ('rgb8', noise(3, 5, 3)), ('mono8', noise(1, 1)),
    ('mono8', noise(6, 10)[::2, ::2]), ('rgb8', noise(3, 5, 3)[..., ::-1])])
def test_an_encoded_image_has_no_padding(encoding: str, pixels: np.ndarray) -> None:
    header = new_header()
    message = encode_image(pixels, encoding, header)
    assert message.header == header and message.header.frame_id == FRAME_ID
    assert (message.height, message.width) == pixels.shape[:2]
    assert message.encoding == encoding and message.is_bigendian == 0
    assert message.step == message.width * BYTES_PER_PIXEL[encoding]
    assert len(message.data) == message.height * message.step
    np.testing.assert_array_equal(pixels_of(message), pixels)


def test_diagnostic_values_are_short_texts() -> None:
    values = key_values({'age_ms': 1.23456, 'processed': 7, 'device': 'cpu'})
    assert [(item.key, item.value) for item in values] == [
        ('age_ms', '1.235'), ('processed', '7'), ('device', 'cpu')]
