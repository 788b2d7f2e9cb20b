# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Image and label files: which files are images, and the only reader of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
import os
from pathlib import Path
import stat
import warnings

import numpy as np
import PIL
from PIL import Image, ImageOps, TiffImagePlugin
from segret_ros.errors import printable, reason
from segret_ros.images.error import ImageError

ENDINGS = ('.avif', '.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
LOSSLESS = ('BMP', 'PNG', 'TIFF')  # formats of labels, by Pillow's names
LOSSY_TIFFS = ('jpeg', 'tiff_jpeg', 'tiff_sgilog', 'tiff_sgilog24', 'webp')  # compressions
EXIF_ORIENTATION = 0x0112
AS_STORED = 1
SIDEWAYS = range(5, 9)  # the orientations that swap height and width
TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS = 256, 257, 258
LABEL_WAY_OUT = 'write ids as a grey or palette PNG'

# Pillow warns about odd metadata and images of half its limit; what it can't read is an error.
warnings.filterwarnings('ignore', module=r'PIL\.')


class LabelError(ImageError):
    """A sound image that is not a label."""


def image_files(folder: Path, recursive: bool = False) -> list[Path]:
    """
    Return the images in a folder, by their names alone, sorted.

    An image has one of `ENDINGS` in any case and is not hidden, as `._0.jpg` of macOS is.

    :param recursive: with those in its subfolders, except hidden ones.
    """
    return [path for path in files_in(folder, recursive) if is_image(path)]


def is_image(path: Path, endings: Collection[str] = ENDINGS) -> bool:
    """
    Return whether a path counts as an image, even if it can't be opened.

    :param endings: that an image may have, in small letters.
    """
    if path.name.startswith('.') or path.suffix.lower() not in endings:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a broken link, which reading then names
        return True


def files_in(folder: Path, recursive: bool) -> list[Path]:
    """
    Return everything in a folder, sorted; folders only where they are not searched.

    :param recursive: search folders and links to folders, but no hidden ones and never a folder
        within itself.
    """
    return sorted(_walk(folder, recursive, ())) if folder.is_dir() else []


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file.

    :return: (H, W, 3) uint8 RGB, turned by its EXIF orientation: the picture as people see it.
    :raises ImageError: for a file that is missing, corrupt, cut short or too large.
    """
    place = shown(path)
    with _opened(_content(path), place) as image:
        return _rgb(_upright(image), place)


def image_size(path: Path) -> tuple[int, int]:
    """
    Return (height, width) of what `read_image` reads, from the header of the file alone.

    :raises ImageError: for a file that is missing, or whose header is corrupt.
    """
    with _explained(shown(path)), Image.open(BytesIO(_content(path))) as image:
        height, width = _stored_size(image)
        return (width, height) if _orientation(image) in SIDEWAYS else (height, width)


def stored_size(content: bytes, place: str) -> tuple[int, int]:
    """
    Return the (height, width) of an image file before its EXIF turns it, from its header alone.

    :param place: where it comes from, for the error.
    :raises ImageError: for a file whose header is corrupt.
    """
    with _explained(place), Image.open(BytesIO(content)) as image:
        return _stored_size(image)


def read_label(path: Path) -> np.ndarray:
    """Read a label file; see `decode_label`."""
    return decode_label(_content(path), shown(path))


def decode_label(content: bytes, place: str) -> np.ndarray:
    """
    Return the class ids of a label file.

    :param content: PNG, BMP or TIFF of 1 to 16 bits of grey or palette a pixel.
    :param place: where it comes from, for the error.
    :return: (H, W) uint8, as stored: neither scaled to 255 nor mapped by the palette.
    :raises LabelError: for a lossy file, colours, or ids beyond 255.
    :raises ImageError: for a corrupt file.
    """
    with _lossless(content, place) as image:
        step = _step(image, content)
        raw = np.asarray(_upright(image))
    if raw.ndim != 2 or raw.dtype.kind not in 'bui':
        raise LabelError('a label of colours or fractions', f'it has pixels of {image.mode}, '
                         f'where one whole number is wanted: {LABEL_WAY_OUT}', place)
    outside = [number for number in (raw.min(), raw.max()) if not 0 <= number <= 255]
    if outside:
        raise LabelError('a label of too large ids', f'it holds id {outside[-1]}, and ids are '
                         '0..255', place)
    return raw.astype(np.uint8) // np.uint8(step)


def read_label_colors(path: Path) -> np.ndarray:
    """
    Read a label file whose classes are colours.

    :return: (H, W, 3) uint8 RGB.
    :raises LabelError: for a lossy file, or one without colours.
    :raises ImageError: for a corrupt file.
    """
    place = shown(path)
    with _lossless(_content(path), place) as image:
        if image.mode not in ('P', 'RGB', 'RGBA'):
            raise LabelError('a label without colours', f'it has pixels of {image.mode}, where '
                             'RGB is wanted: write an RGB PNG', place)
        return _rgb(_upright(image), place)


def shown(path: Path) -> str:
    """Return a path as text that can be printed in a line, whatever bytes its name holds."""
    return printable(os.fsencode(path).decode(errors='backslashreplace'))


def _walk(folder: Path, recursive: bool, above: tuple[str, ...]) -> Iterator[Path]:
    here = *above, os.path.realpath(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry)
            is_folder = os.path.isdir(path) if entry.is_symlink() else entry.is_dir()
            if not recursive or entry.name.startswith('.') or not is_folder:
                yield path
            elif os.path.realpath(path) not in here:
                yield from _walk(path, recursive, here)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"can't be read ({error.strerror or reason(error)})",
                         place=shown(path)) from error


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # its text has the limit and the size
        raise ImageError('too large an image', f'{reason(error).partition(",")[0]}: scale it '
                         'down', place) from error
    except PIL.UnidentifiedImageError as error:
        raise ImageError('not a readable image', f'Pillow {PIL.__version__} knows no such '
                         'format: copy it again, or convert it to PNG', place) from error
    except Exception as error:  # anything from SyntaxError to struct.error
        raise ImageError('not a readable image', f'{reason(error)}: copy it again',
                         place) from error


@contextmanager
def _opened(content: bytes, place: str) -> Iterator[Image.Image]:
    """Open an image whose every byte was read."""
    if not content:
        raise ImageError('an empty file', 'it has 0 bytes: copy it again', place)
    with _explained(place):
        with Image.open(BytesIO(content)) as image:
            image.verify()  # checksums, which loading passes over
        with Image.open(BytesIO(content)) as image:
            yield image


@contextmanager
def _lossless(content: bytes, place: str) -> Iterator[Image.Image]:
    with _opened(content, place) as image:
        if image.format not in LOSSLESS or image.info.get('compression') in LOSSY_TIFFS:
            kind = image.format if image.format not in LOSSLESS else 'TIFF of a lossy codec'
            raise LabelError('a label in a lossy format', f'it is a {kind}, and ids do not '
                             f'survive a lossy codec: {LABEL_WAY_OUT}', place)
        yield image


def _stored_size(image: Image.Image) -> tuple[int, int]:
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # newer versions of Pillow turn its size
        return image.tag_v2[TIFF_HEIGHT], image.tag_v2[TIFF_WIDTH]
    return image.size[::-1]


def _step(image: Image.Image, content: bytes) -> int:
    """Return what 1 became: Pillow scales grey of 2 and 4 bits to 0..255."""
    bits = 8
    if image.format == 'PNG' and image.mode == 'L':
        bits = content[24]  # of the header, which comes first
    elif isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode == 'L':
        bits = image.tag_v2[TIFF_BITS][0]
    return 255 // (2 ** bits - 1)


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return image if _orientation(image) == AS_STORED else ImageOps.exif_transpose(image)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, AS_STORED))
    except Exception:  # corrupt EXIF, for which Pillow raises anything, leaves the pixels sound
        return AS_STORED


def _rgb(image: Image.Image, place: str) -> np.ndarray:
    if image.mode.startswith('I'):
        return _rgb_of_16_bits(np.asarray(image), place)
    if image.mode == 'F':
        raise ImageError('an image of fractions', 'its range is not known: write 8 or 16 bits',
                         place)
    image.info.pop('transparency', None)  # which convert would blend in, or warn about
    return np.array(image if image.mode == 'RGB' else image.convert('RGB'))


def _rgb_of_16_bits(grey: np.ndarray, place: str) -> np.ndarray:
    """Return (H, W, 3) uint8 of (H, W) 0..65535."""
    if grey.min() < 0 or grey.max() > 65535:
        raise ImageError('an image of 32 bits', 'its range is not known: write 8 or 16 bits',
                         place)
    return np.repeat(((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)[..., None], 3, 2)
