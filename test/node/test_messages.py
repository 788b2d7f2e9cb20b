# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From messages to pixels and back, against values worked out without the code under test."""

import array
from io import BytesIO
import time
import tracemalloc

import cv2
from hypothesis import given, settings, strategies
from live_node import FRAME_ID, image_message, new_header, pixels_of, street
from malformed import BOMB, GIF, jpeg_of_size, png_of_size
import numpy as np
from PIL import Image as PillowImage
from pixel_layouts import BYTES_PER_PIXEL, LAYOUTS, PAIRED, PATTERNS, PLANAR
import pytest
from segret_ros.images.codec import decode_compressed, decode_image, ImageError
from segret_ros.node.camera import encode_image
from segret_ros.node.diagnostics import key_values
from sensor_msgs.msg import CompressedImage, Image

MAX_PIXELS = 320

ALIKE = settings(derandomize=True, database=None, deadline=None, max_examples=400)  # each run
UINT32 = strategies.integers(0, 2**32 - 1)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Return random pixels, the same each time."""
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def any_image(encoding: str, padding: int = 0) -> Image:
    """Return a noisy 6 x 8 image of an encoding, its bytes below 128 to be legal everywhere."""
    pixels = noise(6, 8, BYTES_PER_PIXEL[encoding]) // 2
    return image_message(pixels, encoding, padding)


def compressed(data: bytes | array.array) -> CompressedImage:
    """Return a compressed image."""
    return CompressedImage(format='jpeg', data=data)


def file_of(picture: np.ndarray, suffix: str) -> bytes:
    """Return the file of an RGB or grey picture."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(suffix, picture)[1].tobytes()


JPEG, PNG = file_of(street(16, 20), '.jpg'), file_of(street(16, 20), '.png')


@pytest.mark.parametrize('height, width', [(1, 1), (3, 5), (6, 8)])
@pytest.mark.parametrize('encoding, channels', [
    ('rgb8', (0, 1, 2)), ('bgr8', (2, 1, 0)), ('rgba8', (0, 1, 2)), ('bgra8', (2, 1, 0)),
    ('mono8', (0, 0, 0))])
def test_color_channels_become_rgb(encoding: str, channels: tuple[int, int, int], height: int,
                                   width: int) -> None:
    pixels = noise(height, width, BYTES_PER_PIXEL[encoding])
    decoded = decode_image(image_message(pixels, encoding), MAX_PIXELS)
    np.testing.assert_array_equal(decoded, pixels[..., channels])


@pytest.mark.parametrize('encoding, channels', [
    ('rgb16', (0, 1, 2)), ('bgr16', (2, 1, 0)), ('rgba16', (0, 1, 2)), ('bgra16', (2, 1, 0)),
    ('mono16', (0, 0, 0))])
def test_16_bit_channels_are_scaled_to_8_bit(encoding: str,
                                             channels: tuple[int, int, int]) -> None:
    pixels = noise(3, 5, BYTES_PER_PIXEL[encoding] // 2, dtype=np.uint16)
    decoded = decode_image(image_message(pixels, encoding), MAX_PIXELS)
    np.testing.assert_array_equal(decoded, np.rint(pixels[..., channels] / 257))


@pytest.mark.parametrize('encoding', [
    'rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'yuv422', 'yuv422_yuy2',
    *(f'bayer_{pattern}8' for pattern in PATTERNS)])
def test_cv_bridge_converts_alike(encoding: str) -> None:
    cv_bridge = pytest.importorskip('cv_bridge', reason='needs cv_bridge of a ROS 2 installation')
    message = any_image(encoding)
    np.testing.assert_array_equal(decode_image(message, MAX_PIXELS),
                                  cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8'))


@pytest.mark.parametrize('change, reason', [
    ({'encoding': '32FC1'}, "'32FC1' is not supported: send rgb8, bgr8"),
    ({'encoding': ''}, 'the encoding is empty'),
    ({'encoding': 'x' * 10_000}, 'xxx...xxx'),
    ({'width': 0}, 'the image has no pixels: its size is 6 x 0'),
    ({'height': 0, 'data': b''}, 'its size is 0 x 8'),
    ({'step': 23}, 'it is 23, and 8 pixels of rgb8 take 24 bytes'),
    ({'data': bytes(143)}, '143 bytes of data: 6 rows of step 24 take 144'),
    ({'data': bytes(145)}, '145 bytes of data: 6 rows of step 24 take 144'),
    ({'data': b''}, '0 bytes of data: 6 rows of step 24 take 144'),
    ({'height': 41}, '41 x 8 pixels, 328 in all, and the parameter max_pixels is 320'),
    ({'width': 65_535, 'height': 65_535}, '65535 x 65535 pixels, 4294836225 in all'),
    ({'height': 7}, '144 bytes of data: 7 rows of step 24 take 168'),
])
def test_a_malformed_image_is_refused_with_what_is_wrong(change: dict[str, object],
                                                         reason: str) -> None:
    message = any_image('rgb8')
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError) as error:
        decode_image(message, MAX_PIXELS)
    assert reason in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize('is_bigendian', [1, 2, 255])
def test_the_byte_order_of_8_bit_images_is_irrelevant(is_bigendian: int) -> None:
    message = any_image('bgr8')
    expected = decode_image(message, MAX_PIXELS)
    message.is_bigendian = is_bigendian
    np.testing.assert_array_equal(decode_image(message, MAX_PIXELS), expected)


@pytest.mark.parametrize('padding', [0, 1, 5000])
@pytest.mark.parametrize('suffix, tolerance', [('.jpg', 16), ('.png', 0)])
def test_a_compressed_image_becomes_rgb(suffix: str, tolerance: int, padding: int) -> None:
    picture = street(40, 64)
    picture = cv2.GaussianBlur(picture, (9, 9), 0)  # JPEG keeps no sharp colour edges
    decoded = decode_compressed(compressed(file_of(picture, suffix) + bytes(padding)),
                                max_pixels=40 * 64)
    np.testing.assert_allclose(decoded.astype(int), picture, atol=tolerance)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_a_note_to_turn_the_picture_is_passed_over(kind: str) -> None:
    turned = PillowImage.Exif()
    turned[0x0112] = 6  # the tag Orientation: a quarter turn
    picture = PillowImage.fromarray(street(16, 20))
    plain, noted = BytesIO(), BytesIO()
    picture.save(plain, kind)
    picture.save(noted, kind, exif=turned)
    assert len(noted.getvalue()) > len(plain.getvalue())
    decoded = decode_compressed(compressed(noted.getvalue()), MAX_PIXELS)
    assert decoded.shape == (16, 20, 3)
    np.testing.assert_array_equal(decoded, decode_compressed(compressed(plain.getvalue()),
                                                             MAX_PIXELS))


@pytest.mark.parametrize('data, reason', [
    (b'', 'the message holds no data: send whole JPEG or PNG files'),
    (b'no picture', "data of format 'jpeg' are no JPEG or PNG: 10 bytes; send whole JPEG or PNG "),
    (bytes(range(256)), "data of format 'jpeg' are no JPEG or PNG"),
    (GIF, "data of format 'jpeg' are GIF"),
    (file_of(street(6, 8), '.bmp'), "data of format 'jpeg' are BMP"),
    (file_of(street(6, 8), '.tiff'), "data of format 'jpeg' are TIFF"),
    (file_of(street(6, 8), '.webp'), "data of format 'jpeg' are WebP"),
    (b'\xff\xd8\xff\xd9', 'a JPEG file of damaged head'),
    (jpeg_of_size(0, 5), 'the image has no pixels: its size is 5 x 0'),
    (png_of_size(5, 0, rows=b''), 'the image has no pixels: its size is 0 x 5'),
    (png_of_size(5, 4, rows=b''), 'a damaged JPEG or PNG file: send whole'),
])
def test_data_that_is_no_picture_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        decode_compressed(compressed(data), MAX_PIXELS)
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize('padding', [0, 100])
@pytest.mark.parametrize('whole', [JPEG, PNG])
def test_a_file_cut_anywhere_is_refused(whole: bytes, padding: int) -> None:
    for end in range(1, len(whole)):
        with pytest.raises(ImageError, match='are no JPEG or PNG|without its end|of damaged head'):
            decode_compressed(compressed(whole[:end] + bytes(padding)), MAX_PIXELS)


@pytest.mark.parametrize('size, data', [
    ('65535 x 65535', jpeg_of_size(65_535, 65_535)), ('17 x 19', jpeg_of_size(19, 17)),
    ('2147483647 x 2147483647', png_of_size(2**31 - 1, 2**31 - 1, rows=b'')),
    ('17 x 19', png_of_size(19, 17, rows=bytes(17 * 4))), ('8192 x 8192', BOMB)])
def test_a_file_of_too_many_pixels_is_refused_unread(size: str, data: bytes) -> None:
    message = compressed(data)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=f'{size} pixels, .* max_pixels is 320; raise'):
            decode_compressed(message, MAX_PIXELS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_more_pixels_than_opencv_takes_are_refused() -> None:
    with pytest.raises(ImageError, match="can't be converted: .*pixels"):
        decode_compressed(compressed(jpeg_of_size(40_000, 30_000)), max_pixels=2**31 - 1)


def test_a_long_file_of_filling_bytes_is_refused_soon() -> None:
    data = array.array('B', b'\xff\xd8' + b'\xff' * 20_000_000 + b'\xff\xd9')
    start_s = time.process_time()
    for _ in data:
        pass
    loop_s = time.process_time() - start_s
    with pytest.raises(ImageError, match='a JPEG file of damaged head'):
        decode_compressed(compressed(data), MAX_PIXELS)
    assert time.process_time() - start_s < 8 * loop_s  # some 2; 25 where all is read


@strategies.composite
def nearly_sound_images(draw: strategies.DrawFn) -> Image:
    """Return images whose numbers fit, or are little or far off."""
    encoding = draw(strategies.sampled_from(list(LAYOUTS)))
    width, height = draw(strategies.integers(0, 20)), draw(strategies.integers(0, 20))
    rows, row = rows_of(encoding, height, width)
    step = max(0, row + draw(strategies.sampled_from((0, 1, -1))))
    size = max(0, step * rows + draw(strategies.sampled_from((0, 0, 0, 1, -1, step))))
    data = (draw(strategies.binary(min_size=1, max_size=7)) * size)[:size]
    return Image(width=width, height=height, step=step, encoding=encoding, data=data,
                 is_bigendian=draw(strategies.integers(0, 255)))


def rows_of(encoding: str, height: int, width: int) -> tuple[int, int]:
    """Return how many rows an image has and how many bytes without padding each of them."""
    if encoding.lower() in PLANAR:
        return 3 * height if encoding.lower() == 'nv24' else 3 * height // 2, width
    return height, width * BYTES_PER_PIXEL[encoding]


def is_sound(message: Image) -> bool:
    """Return whether an image's fields fit together."""
    encoding = message.encoding
    if encoding not in LAYOUTS:
        return False
    height, width, step, size = message.height, message.width, message.step, len(message.data)
    rows, row = rows_of(encoding, height, width)
    shared_out = encoding.lower() in PLANAR and size == step * height == width * rows
    return (0 < width * height <= MAX_PIXELS and 0 < row <= step
            and (size == step * rows or shared_out)
            and not (encoding in PAIRED and width % 2)
            and not (encoding.lower() in ('nv12', 'nv21') and (height % 2 or width % 2))
            and not (encoding.lower().startswith('bayer') and min(height, width) < 3))


ANY_IMAGES = strategies.builds(
    Image, width=UINT32, height=UINT32, step=UINT32, is_bigendian=strategies.integers(0, 255),
    encoding=strategies.sampled_from(list(LAYOUTS)) | strategies.text(), data=strategies.binary())


@given(message=nearly_sound_images() | ANY_IMAGES)
@ALIKE
def test_any_image_is_decoded_to_its_size_or_refused(message: Image) -> None:
    sound = is_sound(message)
    tracemalloc.start()
    try:
        decoded = decode_image(message, MAX_PIXELS)
    except ImageError:
        assert not sound
    else:
        assert sound
        assert decoded.shape == (message.height, message.width, 3) and decoded.dtype == np.uint8
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200_000


@strategies.composite
def nearly_sound_files(draw: strategies.DrawFn) -> bytes:
    """Return files with bytes changed, put in or left out."""
    data = bytearray(draw(strategies.sampled_from((JPEG, PNG))))
    for _ in range(draw(strategies.integers(0, 3))):
        start = draw(strategies.integers(0, len(data)))
        end = start + draw(strategies.sampled_from((0, 1, 2, 4, 50)))
        data[start:end] = draw(strategies.binary(max_size=4))
    return bytes(data)


@given(data=nearly_sound_files() | strategies.binary())
@ALIKE
def test_any_file_is_decoded_to_no_more_than_max_pixels_or_refused(data: bytes) -> None:
    try:
        decoded = decode_compressed(compressed(data), MAX_PIXELS)
    except ImageError:
        assert data not in (JPEG, PNG)
    else:
        height, width, channels = decoded.shape
        assert 0 < height * width <= MAX_PIXELS and channels == 3 and decoded.dtype == np.uint8


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
