# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The pixels of raw and compressed images of every kind, against colours worked out by hand."""

from io import BytesIO
from types import SimpleNamespace

import cv2
import numpy as np
from PIL import Image as PillowImage
from pixel_layouts import (
    GREY,
    grey_png,
    inside,
    LAYOUTS,
    mosaic,
    PAIRED,
    PATTERNS,
    PLANAR,
    quarters,
    raw_image,
    wide,
)
import pytest
from segret_ros.images.codec import decode_compressed, decode_image, ENCODINGS, holds_depth
from segret_ros.images.error import ImageError

MAX_PIXELS = 10_000
SIZES = {(12, 16): LAYOUTS, (15, 18): set(LAYOUTS) - {'nv12', 'nv21', 'NV12', 'NV21'},
         (15, 13): set(LAYOUTS) - {'nv12', 'nv21', 'NV12', 'NV21', *PAIRED}}
TAILS = {
    'new line': b'\r\n', 'a lone ff': b'\xff', 'padding': bytes(999), 'boundary':
    b'\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n',
    'random bytes': np.random.default_rng(3).integers(0, 256, 64, np.uint8).tobytes()}


def compressed(data: bytes, message_format: str = 'jpeg') -> SimpleNamespace:
    return SimpleNamespace(format=message_format, data=data)


def file_of(picture: np.ndarray, ending: str, *options: int) -> bytes:
    """Return the file of an RGB or grey picture of 8 or 16 bits."""
    if picture.ndim == 3:
        picture = np.concatenate([picture[..., 2::-1], picture[..., 3:]], axis=-1)
    return cv2.imencode(ending, picture, options)[1].tobytes()


PICTURE = quarters(32, 40)
JPEG, PNG = file_of(PICTURE, '.jpg'), file_of(PICTURE, '.png')


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('size, encoding', [
    (size, encoding) for size, encodings in SIZES.items() for encoding in sorted(encodings)])
def test_the_colors_of_an_encoding(size: tuple[int, int], encoding: str, padding: int) -> None:
    picture = quarters(*size)
    decoded = decode_image(raw_image(picture, encoding, padding), MAX_PIXELS)
    expected = picture[..., [0, 0, 0]] if encoding in GREY else picture
    assert decoded.shape == expected.shape and decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded[inside(*size)].astype(int), expected[inside(*size)], atol=2)


@pytest.mark.parametrize('encoding', [name for name in LAYOUTS if '16' in name])
def test_16_bits_in_big_endian(encoding: str) -> None:
    picture = quarters(12, 16)
    np.testing.assert_array_equal(
        decode_image(raw_image(picture, encoding, is_bigendian=1), MAX_PIXELS),
        decode_image(raw_image(picture, encoding), MAX_PIXELS))


@pytest.mark.parametrize('encoding', PLANAR)
def test_planes_whose_bytes_are_shared_out_among_the_rows(encoding: str) -> None:
    message = raw_image(quarters(12, 16), encoding)
    expected = decode_image(message, MAX_PIXELS)
    message.step = len(message.data) // 12  # so that step * height is all, as the field's comment
    np.testing.assert_array_equal(decode_image(message, MAX_PIXELS), expected)


@pytest.mark.parametrize('encoding, kind', [
    ('', 'the encoding is empty'),
    *((name, f"encoding '{name}' is not supported")
      for name in ('32FC1', '64FC1', '16SC1', '8UC2', 'h264', 'hevc', 'jpeg', 'jpegxl', 'nv42',
                   'yuv420', 'rgb', 'rgb8 ', '8UC3; jpeg'))])
def test_an_encoding_that_is_not_read_is_named_with_a_way_out(encoding: str, kind: str) -> None:
    message = raw_image(quarters(4, 4), 'rgb8')
    message.encoding = encoding
    with pytest.raises(ImageError) as error:
        decode_image(message, MAX_PIXELS)
    assert error.value.kind == kind
    assert str(error.value).startswith(f'{kind}: send rgb8, bgr8, ')


@pytest.mark.parametrize('encoding, size', [('nv12', (5, 6)), ('nv21', (6, 5)), ('uyvy', (6, 5)),
                                            ('YUYV', (6, 5))])
def test_shared_colors_take_even_sizes(encoding: str, size: tuple[int, int]) -> None:
    message = SimpleNamespace(height=size[0], width=size[1], encoding=encoding, is_bigendian=0,
                              step=12, data=bytes(12 * 9))
    with pytest.raises(ImageError, match=f'^{encoding} of odd (size|width): it is {size[0]} x '):
        decode_image(message, MAX_PIXELS)


@pytest.mark.parametrize('size', [(2, 8), (8, 2), (1, 1)])
def test_a_mosaic_too_small_for_colors_is_no_black_image(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f'^a Bayer mosaic too small .* {size[0]} x {size[1]} '):
        decode_image(raw_image(quarters(*size), 'bayer_rggb8'), MAX_PIXELS)


@pytest.mark.parametrize('change', [{'step': 49}, {'step': 20}, {'width': 0}, {'height': 9999},
                                    {'encoding': 'nope'}, {'data': bytes(3)}])
def test_one_fault_has_one_kind_whatever_the_numbers(change: dict[str, object]) -> None:
    kinds = set()
    for picture in (quarters(12, 16), quarters(6, 7)):
        message = raw_image(picture, 'rgb8')
        vars(message).update(change)
        with pytest.raises(ImageError) as error:
            decode_image(message, 200)
        kinds.add(error.value.kind)
        assert str(error.value).startswith(error.value.kind + ': ')
    assert len(kinds) == 1 and not any(letter.isdigit() for letter in kinds.pop())


@pytest.mark.parametrize('pattern', PATTERNS)
@pytest.mark.parametrize('bits, ending, message_format', [
    (8, '.jpg', 'bayer_{}8; jpeg compressed '), (8, '.png', 'bayer_{}8; png compressed '),
    (8, '.jpg', 'bayer_{0}8; jpeg compressed bayer_{0}8'),
    (8, '.jpg', 'BAYER_{}8;jpeg compressed'), (16, '.png', 'bayer_{}16; png compressed '),
    (8, '.jpg', 'bayer_{}16; jpeg compressed '), (8, '.png', 'bayer_{}8')])
def test_a_compressed_mosaic_has_colors(pattern: str, bits: int, ending: str,
                                        message_format: str) -> None:
    pixels = mosaic(PICTURE, pattern)
    data = file_of(wide(pixels) if bits == 16 else pixels, ending, cv2.IMWRITE_JPEG_QUALITY, 100)
    decoded = decode_compressed(compressed(data, message_format.format(pattern)), MAX_PIXELS)
    where = inside(32, 40)
    np.testing.assert_allclose(decoded[where].astype(int), PICTURE[where], atol=6)


def test_red_cells_alone_are_red() -> None:
    cells = np.zeros((64, 64), np.uint8)
    cells[::2, ::2] = 220
    data = file_of(cells, '.jpg', cv2.IMWRITE_JPEG_QUALITY, 100)
    decoded = decode_compressed(compressed(data, 'bayer_rggb8; jpeg compressed '), MAX_PIXELS)
    np.testing.assert_allclose(decoded.astype(int), np.full((64, 64, 3), (220, 0, 0)), atol=6)


@pytest.mark.parametrize('message_format', ['bayer_rggb8; jpeg compressed mono8', 'jpeg', '',
                                            'mono8; jpeg compressed mono8'])
def test_grey_stays_grey(message_format: str) -> None:
    grey = np.ascontiguousarray(PICTURE[..., 0])
    decoded = decode_compressed(compressed(file_of(grey, '.jpg'), message_format), MAX_PIXELS)
    assert (decoded == decoded[..., :1]).all()
    where = inside(32, 40)
    np.testing.assert_allclose(decoded[where][:, 0].astype(int), grey[where], atol=6)


@pytest.mark.parametrize('message_format, picture', [
    ('rgb8; png compressed bgr8', PICTURE), ('rgb8; png compressed rgb8', PICTURE),
    ('bgr8; png compressed ', PICTURE), ('png', PICTURE), ('bayer_rggb8; png compressed', PICTURE),
    ('rgba8; png compressed bgra8', np.dstack([PICTURE, PICTURE[..., 1] // 2])),
    ('rgb16; png compressed bgr16', wide(PICTURE)), ('8UC3; png compressed ', PICTURE),
    ('mono16; png compressed ', wide(PICTURE[..., 0])), ('mono8; png', PICTURE[..., 0])])
def test_a_files_colors_are_its_own(message_format: str, picture: np.ndarray) -> None:
    data = file_of(np.ascontiguousarray(picture), '.png')
    decoded = decode_compressed(compressed(data, message_format), MAX_PIXELS)
    expected = PICTURE if picture.ndim == 3 else PICTURE[..., [0, 0, 0]]
    np.testing.assert_allclose(decoded.astype(int), expected, atol=1)


@pytest.mark.parametrize(('bits', 'row', 'grey'), [
    (1, b'\x40', [0, 255, 0, 0]), (2, b'\x1b', [0, 85, 170, 255]), (4, b'\x0f', [0, 255])])
def test_a_grey_png_of_few_bits_spans_black_to_white(bits: int, row: bytes,
                                                     grey: list[int]) -> None:
    decoded = decode_compressed(compressed(grey_png([row], 8 // bits, bits)), MAX_PIXELS)
    assert decoded[0, :4, 0].tolist() == grey


@pytest.mark.parametrize('tail', TAILS)
@pytest.mark.parametrize('whole', [JPEG, PNG], ids=['JPEG', 'PNG'])
def test_bytes_after_the_end_are_no_fault(whole: bytes, tail: str) -> None:
    np.testing.assert_array_equal(decode_compressed(compressed(whole + TAILS[tail]), MAX_PIXELS),
                                  decode_compressed(compressed(whole), MAX_PIXELS))


@pytest.mark.parametrize('tail', [*TAILS.values(), JPEG, PNG],
                         ids=[*TAILS, 'another JPEG', 'another PNG'])
@pytest.mark.parametrize('whole', [JPEG, PNG], ids=['JPEG', 'PNG'])
def test_bytes_after_a_cut_file_do_not_make_it_whole(whole: bytes, tail: bytes) -> None:
    for end in range(len(whole) // 4, len(whole), 7):
        with pytest.raises(ImageError):
            decode_compressed(compressed(whole[:end] + tail), MAX_PIXELS)


def pillow_jpeg(**options: object) -> bytes:
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    PillowImage.fromarray(noise).save(file, 'JPEG', quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize('options', [
    {'progressive': True}, {'restart_marker_rows': 1}, {'comment': b'\xff\xd9' * 9},
    {'exif': b'Exif\0\0' + JPEG}, {'icc_profile': b'\xff\xd9' * 9}])
def test_the_end_of_a_jpeg_is_none_of_its_markers(options: dict[str, object]) -> None:
    whole = pillow_jpeg(**options)
    expected = decode_compressed(compressed(whole), MAX_PIXELS)
    np.testing.assert_array_equal(
        decode_compressed(compressed(whole + b'\r\n\xff\xd8'), MAX_PIXELS), expected)
    for end in range(2, len(whole)):
        with pytest.raises(ImageError, match='without its end|no JPEG or PNG'):
            decode_compressed(compressed(whole[:end]), MAX_PIXELS)


@pytest.mark.parametrize('data, message_format, kind', [
    (b'', 'jpeg', 'the message holds no data'),
    (b'\0\0\0\1\x67\x42', 'h264', "data of format 'h264' are H.264 or H.265"),
    (b'\xff\x0a123', 'jxl', "data of format 'jxl' are JPEG XL"),
    (bytes(range(1, 12)) + PNG, '16UC1; compressedDepth png',
     "data of format '16UC1; compressedDepth png' are no JPEG or PNG"),
    (JPEG[:-2], 'jpeg', 'a JPEG file without its end'),
    (PNG[:-1], 'png', 'a PNG file without its end'),
    (PNG[:60] + b'?' + PNG[61:], 'png', 'a damaged JPEG or PNG file')])
def test_what_is_no_picture_has_a_kind(data: bytes, message_format: str, kind: str) -> None:
    with pytest.raises(ImageError, match='send whole JPEG or PNG files') as error:
        decode_compressed(compressed(data, message_format), MAX_PIXELS)
    assert error.value.kind == kind


@pytest.mark.parametrize('fields', [
    {}, {'data': b'abc'}, {'encoding': None, 'data': 7}, {'format': 7, 'data': JPEG + b'7'},
    {'format': 'bayer_rggb8;', 'data': 'text'}, {'format': 'jpeg', 'data': [1, 2, 3]},
    {'encoding': 'rgb8', 'width': '3', 'height': 2, 'step': 9, 'data': bytes(18)},
    {'encoding': 'rgb8', 'width': 3, 'height': 2, 'step': 9.0, 'data': bytes(18)},
    {'encoding': 'rgb8', 'width': 3, 'height': 2, 'step': 9, 'data': None}])
def test_fields_of_other_types_are_an_image_error(fields: dict[str, object]) -> None:
    for decode in (decode_image, decode_compressed):
        if decode is decode_compressed and fields.get('data') == JPEG + b'7':
            continue  # colours are the file's: its format is not asked
        with pytest.raises(ImageError):
            decode(SimpleNamespace(**fields), MAX_PIXELS)


@pytest.mark.parametrize('encoding, depth', [
    ('16UC1', True), ('16uc1; png compressed ', True), ('mono16', True), ('32FC1', True),
    ('16UC1; compressedDepth png', True), ('16SC1', True), ('8UC1', False), ('mono8', False),
    ('16UC3', False), ('rgb16', False), ('jpeg', False), ('', False), ('nv12', False)])
def test_depth_is_recognised_by_its_encoding(encoding: str, depth: bool) -> None:
    assert holds_depth(encoding) == depth


def test_every_encoding_is_tried_here() -> None:
    assert {name.lower() for name in LAYOUTS} == set(ENCODINGS)
