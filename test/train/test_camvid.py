"""The CamVid reader on a small tree, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_train.camvid import DataError, samples


def test_frames_come_in_order_with_their_labels(camvid_tree: Path) -> None:
    assert [sample.name for sample in samples(camvid_tree, 'train')] == [
        f'{number:02}' for number in range(8)]
    assert len(samples(camvid_tree, 'val')) == 2
    for sample in samples(camvid_tree, 'val'):
        assert sample.image().shape == (40, 48, 3)
        assert sample.label().shape == (40, 48)
        assert sample.image().dtype == sample.label().dtype == np.uint8


def test_unlabelled_pixels_are_255_and_colours_are_rgb(camvid_tree: Path) -> None:
    label = np.tile(np.arange(12, dtype=np.uint8), (40, 4))
    cv2.imwrite(str(camvid_tree / 'labels/val/00.png'), label)
    red_bgr = np.full((40, 48, 3), (0, 0, 200), np.uint8)
    cv2.imwrite(str(camvid_tree / 'images/val/00.jpg'), red_bgr)
    sample = samples(camvid_tree, 'val')[0]
    assert sample.label()[0, :12].tolist() == [*range(11), 255]
    np.testing.assert_allclose(sample.image()[0, 0], [200, 0, 0], atol=4)


def test_a_missing_folder_is_named_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f'{tmp_path}: no images/train/.*labels/SPLIT'):
        samples(tmp_path, 'train')


def test_a_missing_label_is_named(camvid_tree: Path) -> None:
    (camvid_tree / 'labels/train/03.png').unlink()
    with pytest.raises(DataError, match='labels/train/03.png: missing'):
        samples(camvid_tree, 'train')


@pytest.mark.parametrize('label', [np.full((40, 48), 12, np.uint8),
                                   np.zeros((40, 48, 3), np.uint8)])
def test_a_label_of_another_kind_is_named(camvid_tree: Path, label: np.ndarray) -> None:
    cv2.imwrite(str(camvid_tree / 'labels/val/01.png'), label)
    with pytest.raises(DataError, match='labels/val/01.png: .*ids 0..11'):
        samples(camvid_tree, 'val')[1].label()


@pytest.mark.parametrize('name', ['images/val/01.jpg', 'labels/val/01.png'])
def test_a_damaged_picture_is_named(camvid_tree: Path, name: str) -> None:
    (camvid_tree / name).write_bytes(b'not a picture')
    sample = samples(camvid_tree, 'val')[1]
    with pytest.raises(DataError, match=f'{name}: not a readable image'):
        sample.image()
        sample.label()
