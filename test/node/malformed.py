# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Endless malformed images, raw and compressed, of every kind that a node may meet."""

import array
from collections.abc import Callable, Iterator
from random import Random
import struct
import zlib

import cv2
from live_node import new_header, street
from pixel_layouts import BYTES_PER_PIXEL, PAIRED
from sensor_msgs.msg import CompressedImage, Image

MAX_PIXELS = 200 * 300  # the parameter of the node that is to reject them
UNKNOWN_ENCODINGS = ('', 'rgb8 ', '8UC2', '8SC3', '32FC1', 'nv42', 'jpeg', 'h264', 'rgb',
                     '\U0001f4f7', '%s%n', 'x' * 50_000)
FORMATS = ('jpeg', 'png', '', 'bgr8; jpeg compressed bgr8', '%s%n', 'x' * 50_000)
PICTURE = street(48, 64)
JPEG, PNG, BMP, TIFF, WEBP = (cv2.imencode(suffix, PICTURE)[1].tobytes()
                              for suffix in ('.jpg', '.png', '.bmp', '.tiff', '.webp'))
GIF = (b'GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;')
H264 = b'\0\0\0\1\x67\x42\xc0\x1e\xd9\0\xa0\x47\xfe\xc8'
LARGE_SIDES = (4097, 65_535, 2**20, 2**31 - 1)
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG_END = b'\0\0\0\0IEND\xaeB`\x82'


def malformed_images(seed: int) -> Iterator[Image]:
    """Yield images that no node with `MAX_PIXELS` can use, as many of each kind."""
    random = Random(seed)
    while True:
        for fault in random.sample(IMAGE_FAULTS, len(IMAGE_FAULTS)):
            message = good_image(random)
            fault(message, random)
            yield message


def malformed_compressed(seed: int) -> Iterator[CompressedImage]:
    """Yield compressed images that no node with `MAX_PIXELS` can use, as many of each kind."""
    random = Random(seed)
    while True:
        for fault in random.sample(COMPRESSED_FAULTS, len(COMPRESSED_FAULTS)):
            yield CompressedImage(header=new_header(), format=random.choice(FORMATS),
                                  data=array.array('B', fault(random)))


def good_image(random: Random) -> Image:
    """Return a sound image of any encoding, byte order, padding and small, even size."""
    encoding = random.choice(list(BYTES_PER_PIXEL))
    width, height = 2 * random.randint(1, 32), random.randint(1, 48)
    message = Image(header=new_header(), width=width, height=height, encoding=encoding,
                    is_bigendian=random.choice((0, 1, 2, 255)))
    message.step = width * BYTES_PER_PIXEL[encoding] + random.choice((0, 0, 1, 7))
    fill(message, random)
    return message


def fill(message: Image, random: Random, surplus: int = 0) -> None:
    """Fill an image with as many bytes as its sizes say, and some more or less."""
    message.data = array.array('B', random.randbytes(message.step * message.height + surplus))


def no_width(message: Image, random: Random) -> None:
    message.width = 0


def no_height(message: Image, random: Random) -> None:
    message.height = 0


def no_size_and_no_data(message: Image, random: Random) -> None:
    message.width = message.height = message.step = 0
    message.data = array.array('B')


def short_step(message: Image, random: Random) -> None:
    message.step = random.randrange(message.width * BYTES_PER_PIXEL[message.encoding])
    fill(message, random)


def other_step(message: Image, random: Random) -> None:
    message.step += random.choice((1, 3, 64, 4096, 2**32 - 1 - message.step))


def short_data(message: Image, random: Random) -> None:
    fill(message, random, surplus=-random.randint(1, len(message.data)))


def surplus_data(message: Image, random: Random) -> None:
    fill(message, random, surplus=random.choice((1, 2, message.step, 20_000)))


def unknown_encoding(message: Image, random: Random) -> None:
    message.encoding = random.choice(UNKNOWN_ENCODINGS)


def half_a_big_endian_sample(message: Image, random: Random) -> None:
    message.encoding, message.is_bigendian = 'mono16', 1
    message.step = 2 * message.width - 1
    fill(message, random)


def half_a_pair(message: Image, random: Random) -> None:
    message.encoding = random.choice(PAIRED)
    message.width += 1
    message.step = 2 * message.width
    fill(message, random)


def absurd_size(message: Image, random: Random) -> None:
    message.width, message.height = random.choice(LARGE_SIDES), random.choice(LARGE_SIDES)
    message.step = min(message.width * BYTES_PER_PIXEL[message.encoding], 2**32 - 1)


def absurd_height_of_no_bytes(message: Image, random: Random) -> None:
    message.height, message.step = 2**32 - 1, 0
    message.data = array.array('B')


def too_many_pixels(message: Image, random: Random) -> None:
    message.encoding = 'mono8'
    message.width = message.step = 300
    message.height = MAX_PIXELS // 300 + random.randint(1, 5)
    fill(message, random)


IMAGE_FAULTS: list[Callable[[Image, Random], None]] = [
    no_width, no_height, no_size_and_no_data, short_step, other_step, short_data, surplus_data,
    unknown_encoding, half_a_big_endian_sample, half_a_pair, absurd_size,
    absurd_height_of_no_bytes, too_many_pixels]


def nothing(random: Random) -> bytes:
    return b'\0' * random.choice((0, 0, 1, 1000))


def noise(random: Random) -> bytes:
    return bytes([random.randrange(128)]) + random.randbytes(random.randint(1, 5000))


def other_content(random: Random) -> bytes:
    return random.choice((GIF, BMP, TIFF, WEBP, H264, b'<svg/>', b'no picture', bytes(12) + PNG))


def truncated(random: Random) -> bytes:
    whole = random.choice((JPEG, PNG))
    return whole[:random.randrange(1, len(whole))]


def truncated_and_padded(random: Random) -> bytes:
    return truncated(random) + bytes(random.randint(1, 5000))


def without_start(random: Random) -> bytes:
    return random.choice((JPEG, PNG))[random.randint(1, 40):]


def end_alone(random: Random) -> bytes:
    return random.choice((b'\xff\xd8\xff\xd9', PNG_START + PNG_END, PNG_START + PNG_END[:3]))


def truncated_before_another(random: Random) -> bytes:
    whole = random.choice((JPEG, PNG))
    return whole[:random.randrange(len(whole) // 2, len(whole))] + random.choice((JPEG, PNG))


def jpeg_claim(random: Random) -> bytes:
    width, height = random.choice(((65_535, 65_535), (300, 201), (0, 5), (5, 0), (0, 0)))
    return jpeg_of_size(width, height)


def png_claim(random: Random) -> bytes:
    width, height = random.choice(((2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (300, 201), (0, 5),
                                   (5, 0), (2**32 - 1, 2**32 - 1)))
    return png_of_size(width, height, rows=b'')


def bomb(random: Random) -> bytes:
    return BOMB


def damaged_png(random: Random) -> bytes:
    spot = random.randrange(len(PNG_START), len(PNG) - len(PNG_END))
    return PNG[:spot] + bytes([PNG[spot] ^ 1 << random.randrange(8)]) + PNG[spot + 1:]


COMPRESSED_FAULTS: list[Callable[[Random], bytes]] = [
    nothing, noise, other_content, truncated, truncated_and_padded, without_start, end_alone,
    truncated_before_another, jpeg_claim, png_claim, bomb, damaged_png]


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a JPEG file whose header claims a size."""
    spot = JPEG.index(b'\xff\xc0') + 5  # of the frame header's height
    return JPEG[:spot] + struct.pack('>HH', height, width) + JPEG[spot + 4:]


def png_of_size(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG file of one bit a pixel, of sound chunks."""
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    return PNG_START + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + PNG_END


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return (struct.pack('>I', len(content)) + name + content
            + struct.pack('>I', zlib.crc32(name + content)))


# Some 8 kB that are 201 MB of pixels.
BOMB = png_of_size(8192, 8192, rows=bytes(8192 * (1 + 8192 // 8)))
