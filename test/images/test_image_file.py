# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Image and label files: which are read, what is in them, and what is refused by name."""

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import features, Image
from pixel_layouts import grey_png
import pytest
from segret_ros.images.image_file import (
    decode_label,
    ENDINGS,
    files_in,
    image_files,
    image_size,
    ImageError,
    read_image,
    read_label,
    read_label_colors,
)

IDS = np.arange(12 * 16).reshape(12, 16) % 2
ROTATED = [ending for ending in ('.jpg', '.png', '.tif', '.webp', '.avif')
           if ending != '.avif' or features.check('avif')]


def scene(height: int = 12, width: int = 16) -> np.ndarray:
    """Return an image whose top left quarter is red and whose rest is blue."""
    image = np.full((height, width, 3), (0, 0, 200), np.uint8)
    image[:height // 2, :width // 2] = (200, 0, 0)
    return image


def test_what_counts_as_an_image(tmp_path: Path) -> None:
    for name in ('0.jpg', '1.JPG', '2.jpeg', '3.TIFF', '._0.jpg', 'Thumbs.db', 'deep/4.png',
                 '.git/5.png', 'old.png/6.webp'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'content is not looked at')
    (tmp_path / 'broken.bmp').symlink_to(tmp_path / 'nowhere')  # reading will name it
    os.mkfifo(tmp_path / 'pipe.png')  # reading would never end
    (tmp_path / 'deep' / 'again').symlink_to(tmp_path)
    (tmp_path / 'deep' / 'self').symlink_to(tmp_path / 'deep' / 'self')

    def names(paths: list[Path]) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in paths]

    flat = ['0.jpg', '1.JPG', '2.jpeg', '3.TIFF', 'broken.bmp']
    assert names(image_files(tmp_path)) == flat
    assert names(image_files(tmp_path, recursive=True)) == [*flat, 'deep/4.png', 'old.png/6.webp']
    assert names(files_in(tmp_path, recursive=True)) == [
        '._0.jpg', '.git', *flat[:4], 'Thumbs.db', 'broken.bmp', 'deep/4.png', 'deep/self',
        'old.png/6.webp', 'pipe.png']
    assert image_files(tmp_path / 'nowhere') == []


@pytest.mark.parametrize('ending', ENDINGS)
def test_every_ending_is_read_whatever_its_case(tmp_path: Path, ending: str) -> None:
    if ending == '.avif' and not features.check('avif'):
        pytest.skip('this Pillow reads no AVIF')
    path = tmp_path / f'0{ending}'
    Image.fromarray(scene(64, 64)).save(path)
    path = path.rename(tmp_path / f'0{ending.upper()}')
    np.testing.assert_allclose(read_image(path)[[10, 50], 10], [[200, 0, 0], [0, 0, 200]], atol=6)
    assert image_size(path) == (64, 64)


@pytest.mark.parametrize('ending', ROTATED)
def test_a_turned_picture_is_read_as_people_see_it(tmp_path: Path, ending: str) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # turn it by 90 degrees to the right
    path = tmp_path / f'0{ending}'
    Image.fromarray(scene(64, 96)).save(path, exif=note)
    image = read_image(path)
    assert image.shape == (96, 64, 3) and image_size(path) == (96, 64)
    np.testing.assert_allclose(image[10, [50, 10]], [[200, 0, 0], [0, 0, 200]], atol=6)


def test_jpeg_pixels_are_those_of_opencv(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    cv2.imwrite(str(tmp_path / '0.jpg'), cv2.blur(noise, (9, 9)))
    np.testing.assert_array_equal(read_image(tmp_path / '0.jpg'),
                                  cv2.imread(str(tmp_path / '0.jpg'))[..., ::-1])


@pytest.mark.parametrize(('pixels', 'rgb'), [
    (np.uint8([[0, 128, 255]]), [0, 128, 255]),
    (np.uint16([[0, 128 * 257, 65535]]), [0, 128, 255]),
    (np.array([[False, True, True]]), [0, 255, 255]),
])
def test_grey_images_keep_their_brightness(tmp_path: Path, pixels: np.ndarray,
                                           rgb: list[int]) -> None:
    Image.fromarray(pixels).save(tmp_path / '0.png')
    assert read_image(tmp_path / '0.png')[0].tolist() == [[value] * 3 for value in rgb]


def test_a_see_through_picture_has_its_own_colours(tmp_path: Path) -> None:
    image = np.dstack([scene(), np.full((12, 16), 90, np.uint8)])
    Image.fromarray(image).save(tmp_path / '0.png')
    np.testing.assert_array_equal(read_image(tmp_path / '0.png'), scene())


def test_a_name_that_is_no_text_is_read_and_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b'stra\xdfe.png')
    path.write_bytes(cv2.imencode('.png', scene()[..., ::-1])[1].tobytes())
    assert image_files(tmp_path) == [path]
    np.testing.assert_array_equal(read_image(path), scene())
    path.write_bytes(b'none')
    with pytest.raises(ImageError, match=r'/stra\\xdfe.png: not a readable image'):
        read_image(path)


@pytest.mark.parametrize(('bits', 'row', 'ids'), [
    (1, b'\x55', [0, 1, 0, 1, 0, 1, 0, 1]), (2, b'\x1b\xe4', [0, 1, 2, 3, 3, 2, 1, 0]),
    (4, b'\x01\x2f\xe3\x40', [0, 1, 2, 15, 14, 3, 4, 0]),
    (8, bytes(range(8)), [0, 1, 2, 3, 4, 5, 6, 7]),
    (16, b'\0\x07' * 7 + b'\0\xff', [7, 7, 7, 7, 7, 7, 7, 255])])
def test_grey_labels_of_any_depth(bits: int, row: bytes, ids: list[int]) -> None:
    assert decode_label(grey_png([row, row], 8, bits), 'here').tolist() == [ids, ids]


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_palette_labels_hold_the_numbers_of_colours(tmp_path: Path, bits: int) -> None:
    label = Image.fromarray(IDS.astype(np.uint8), 'P')
    label.putpalette([90, 90, 90, 200, 20, 20])
    label.save(tmp_path / '0.png', bits=bits)
    np.testing.assert_array_equal(read_label(tmp_path / '0.png'), IDS)
    assert read_label_colors(tmp_path / '0.png')[0, :2].tolist() == [[90, 90, 90], [200, 20, 20]]


@pytest.mark.parametrize('name', ['0.bmp', '0.tif', '0.png'])
@pytest.mark.parametrize('dtype', [bool, np.uint8])
def test_lossless_formats_of_labels(tmp_path: Path, name: str, dtype: type) -> None:
    Image.fromarray(IDS.astype(dtype)).save(tmp_path / name)
    np.testing.assert_array_equal(read_label(tmp_path / name), IDS)


def test_lossy_labels_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    label = Image.fromarray(IDS.astype(np.uint8))
    label.save(tmp_path / '0.png', format='JPEG', quality=100)
    label.save(tmp_path / '1.tif', compression='jpeg')
    label.save(tmp_path / '2.png', format='WEBP')
    for name, format_ in (('0.png', 'JPEG'), ('1.tif', 'TIFF'), ('2.png', 'WEBP')):
        for read in (read_label, read_label_colors):
            with pytest.raises(ImageError, match=f'/{name}: a label in a lossy format: it is a '
                               f'{format_}.* do not survive a lossy codec: write ids as a grey'):
                read(tmp_path / name)


def test_labels_of_another_kind_are_refused(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / 'rgb.png')
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'wide.png')
    Image.fromarray(IDS.astype(np.uint8)).save(tmp_path / 'ids.png')
    with pytest.raises(ImageError, match='rgb.png: a label of colours.*pixels of RGB, where one'):
        read_label(tmp_path / 'rgb.png')
    with pytest.raises(ImageError, match=r'wide.png: .* holds id 300, and ids are 0..255'):
        read_label(tmp_path / 'wide.png')
    with pytest.raises(ImageError, match='ids.png: .* pixels of L, where RGB is wanted'):
        read_label_colors(tmp_path / 'ids.png')


def test_a_flipped_bit_is_no_other_id(tmp_path: Path) -> None:
    whole = grey_png([bytes(range(8))] * 8, 8, 8)
    for place in range(50, len(whole) - 12):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with pytest.raises(ImageError, match='here: not a readable image: .*: copy it again'):
            decode_label(bytes(damaged), 'here')


@pytest.mark.parametrize('name', ['0.jpg', '0.png', '0.bmp', '0.tif', '0.webp'])
def test_cut_files_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(scene(64, 64)).save(path)
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - len(whole) // 8):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=f'^{path}: ') as caught:
            read_image(path)
        assert '\n' not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for read in (read_image, read_label, image_size):
        with pytest.raises(ImageError, match=r"none.jpg: can't be read \(No such file"):
            read(tmp_path / 'none.jpg')
        with pytest.raises(ImageError, match=rf"^{tmp_path}: can't be read \(Is a directory"):
            read(tmp_path)


def test_too_many_pixels_are_reported_with_the_limit(tmp_path: Path) -> None:
    Image.new('1', (20000, 10000)).save(tmp_path / '0.png')
    for read in (read_image, read_label, image_size):
        with pytest.raises(ImageError, match=r'0.png: too large an image: .*200000000 pixels.* '
                           'limit of 178956970 pixels: scale it down'):
            read(tmp_path / '0.png')


def test_damaged_exif_leaves_the_picture_readable(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / '0.jpg', exif=b'Exif\0\0broken')
    assert read_image(tmp_path / '0.jpg').shape == (12, 16, 3)
