# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""segret_label on real photos and videos, damaged ones too."""

from collections.abc import Callable
import hashlib
import os
from pathlib import Path
import random
import resource
import shutil
import subprocess
import sys

import cv2
from mutation import mutate
import numpy as np
import pytest
from segret_ros.files.share import default_model, share_directory
from segret_ros.images.image_file import read_image
from segret_ros.inference import Segmenter
from segret_ros.labels.label_set import load_label_set
from segret_ros.labels.visualization import overlay
from segret_ros.offline.bags import read_bag
from segret_ros.offline.label import main
from segret_ros.offline.video import VideoReader, VideoWriter

IMAGE = '/camera/image_raw/compressed'
CODECS = {'mp4': 'mp4v', 'avi': 'MJPG', 'mkv': 'mp4v', 'mov': 'mp4v'}
FRAMES = 6
NOISE = ['Traceback', '[ERROR', 'Unexpected element']  # of Python, OpenCV and FFmpeg
if cv2.__version__ >= '4.6':  # Humble's OpenCV can't silence FFmpeg
    NOISE.append('moov')
LATIN_1 = os.fsdecode('café'.encode('latin-1'))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope='module')
def jpegs() -> list[bytes]:
    recorded = read_bag(share_directory() / 'data' / 'sample_drive', [IMAGE])
    return [bytes(message.message().data) for message, _ in zip(recorded, range(FRAMES))]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Run:
    """Return a function that runs the command in `tmp_path`; it returns exit code and outputs."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr('sys.argv', ['segret_label', '--device', 'cpu', *map(str, arguments)])
        code = main()
        printed = capfd.readouterr()
        errors = [line for line in printed.err.replace('\r', '\n').splitlines()
                  if line.startswith('segret_label')]
        assert not [noise for noise in NOISE if noise in printed.err]
        return code, printed.out, '\n'.join(errors)

    return run_command


def write_video(path: Path, jpegs: list[bytes], size: tuple[int, int] = (90, 120)) -> None:
    """Write a video of 10 frames a second; `size` is (height, width)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODECS[path.suffix[1:].lower()]),
                             10, size[::-1])
    for jpeg in jpegs:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        writer.write(cv2.resize(image, size[::-1]))
    writer.release()


def names(folder: Path) -> set[str]:
    """Return the files in a folder but for hidden ones, as paths in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob('*')
            if path.is_file() and not path.name.startswith('.')}


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_photo_has_the_segmenters_label_confidence_and_overlay(
        tmp_path: Path, run: Run, jpegs: list[bytes]) -> None:
    (tmp_path / 'street.jpg').write_bytes(jpegs[0])
    code, printed, errors = run('street.jpg', '--output', 'out', '--min-confidence', 0.5)
    assert (code, errors) == (0, '')
    assert names(tmp_path / 'out') == {'labels/street.png', 'confidence/street.png',
                                       'overlays/street.jpg', 'classes.yaml'}
    segmenter = Segmenter(default_model(), 'cpu')
    image_rgb = read_image(tmp_path / 'street.jpg')
    expected = segmenter(image_rgb, 0.5)
    np.testing.assert_array_equal(read(tmp_path / 'out/labels/street.png'), expected.label)
    np.testing.assert_array_equal(read(tmp_path / 'out/confidence/street.png'),
                                  expected.confidence)
    assert 255 in expected.label
    shown = overlay(image_rgb, expected.label, segmenter.info.labels.color_table(), 0.5)
    written = read_image(tmp_path / 'out/overlays/street.jpg')
    assert np.abs(shown.astype(int) - written).mean() < 4
    assert load_label_set(tmp_path / 'out/classes.yaml') == segmenter.info.labels
    unknown = (expected.label == 255).mean()
    assert f'unknown {unknown:.2%} of the pixels' in ' '.join(printed.split())


@pytest.mark.parametrize('ending', CODECS)
def test_a_video_is_labelled_frame_by_frame(tmp_path: Path, run: Run, jpegs: list[bytes],
                                            ending: str) -> None:
    video = tmp_path / f'drive.{ending}'
    write_video(video, jpegs)
    code, printed, errors = run(video, '--output', 'out', '--every', 2)
    assert (code, errors) == (0, '')
    shown = f'overlays/{video.name}' + ('' if ending == 'mp4' else '.mp4')
    assert names(tmp_path / 'out') == {
        'classes.yaml', shown, *(f'{kind}/{video.name}/{number:06d}.png'
                                 for kind in ('labels', 'confidence') for number in (0, 2, 4))}
    segmenter = Segmenter(default_model(), 'cpu')
    reader = VideoReader(video)
    for number, image_rgb in reader.frames(2):
        np.testing.assert_array_equal(
            read(tmp_path / f'out/labels/{video.name}/{number:06d}.png'),
            segmenter(image_rgb).label)
    reader.close()
    reader = VideoReader(tmp_path / 'out' / shown)
    assert (reader.announced, reader.fps) == (3, 5)
    assert all(image.shape == (90, 120, 3) for _, image in reader.frames())
    reader.close()


@pytest.mark.skipif(hasattr(cv2, 'setLogLevel'), reason='has its log level there already')
def test_an_opencv_with_its_log_level_at_the_top_is_taken() -> None:
    """As Ubuntu's have it, 4.5 of 22.04 and 4.6 of 24.04."""
    code = ('import cv2; cv2.setLogLevel = cv2.utils.logging.setLogLevel; del cv2.utils.logging; '
            'import segret_ros.offline.video')
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, '')


def test_inputs_of_equal_name_get_the_shortest_distinct_paths(
        tmp_path: Path, run: Run, jpegs: list[bytes]) -> None:
    for name in ('a/left/0.jpg', 'a/right/0.jpg', 'a/right/1.JPG', 'a/right/.1.jpg',
                 'a/right/1.jpeg', 'a/right/notes.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpegs[0])
    code, printed, errors = run('a', 'a/left/0.jpg', './a/../a/left', '--output', 'out')
    assert (code, errors) == (0, '')
    assert names(tmp_path / 'out' / 'labels') == {
        'left/0.png', 'right/0.png', 'right/1.JPG.png', 'right/1.jpeg.png'}
    assert 'left out, neither photo nor video  2 files' in printed


def test_names_that_are_no_utf_8_are_kept(tmp_path: Path, run: Run, jpegs: list[bytes]) -> None:
    folder = tmp_path / LATIN_1
    folder.mkdir()
    (folder / f'{LATIN_1}.jpg').write_bytes(jpegs[0])
    write_video(tmp_path / 'drive.mp4', jpegs[:2])
    (tmp_path / 'drive.mp4').rename(folder / f'{LATIN_1}%03d.mp4')
    code, printed, errors = run(folder, '--output', folder.with_name(f'{LATIN_1}_out'))
    assert (code, errors) == (0, '')
    assert names(tmp_path / f'{LATIN_1}_out' / 'overlays') == {
        f'{LATIN_1}.jpg', f'{LATIN_1}%03d.mp4'}


def test_damaged_files_do_not_affect_others(tmp_path: Path, run: Run, jpegs: list[bytes]) -> None:
    write_video(tmp_path / 'cut.avi', jpegs)
    content = (tmp_path / 'cut.avi').read_bytes()
    (tmp_path / 'cut.avi').write_bytes(content[:len(content) // 2])
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'none.mp4').write_bytes(b'no video')
    (tmp_path / 'sound.jpg').write_bytes(jpegs[0])
    (tmp_path / 'notes.txt').write_text('mine')
    (tmp_path / 'link.jpg').symlink_to('nothing')
    code, printed, errors = run('cut.avi', 'empty.png', 'none.mp4', 'sound.jpg', 'notes.txt',
                                'nowhere.jpg', 'link.jpg', '--output', 'out')
    assert code == 1
    for name, reason in (('notes.txt', 'ends in none of .avif'), ('nowhere.jpg', 'no such file'),
                         ('cut.avi', f'of {FRAMES} frames were readable'),
                         ('empty.png', '0 bytes'), ('none.mp4', "can't open it"),
                         ('link.jpg', 'neither a file nor')):
        (line,) = [line for line in errors.splitlines() if f'{name}: ' in line]
        assert reason in line
    assert errors.splitlines()[-1] == (
        'segret_label: 6 of 7 inputs could not be labelled completely')
    labels = names(tmp_path / 'out' / 'labels')
    assert {'sound.png', 'cut.avi/000000.png'} <= labels and len(labels) < 1 + FRAMES


@pytest.mark.parametrize('arguments', [
    ('empty.png',), ('nowhere',), ('folder',), ('sound.jpg', '--every', '0'),
    ('sound.jpg', '--min-confidence', 'nan'), ('sound.jpg', '--model', 'sound.jpg'),
    ('sound.jpg', '--model', 'nowhere.onnx'), ('sound.jpg', '--device', 'nothing')])
def test_what_labels_nothing_leaves_nothing(tmp_path: Path, run: Run, jpegs: list[bytes],
                                            arguments: tuple[str, ...]) -> None:
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'sound.jpg').write_bytes(jpegs[0])
    code, printed, errors = run(*arguments, '--output', 'out')
    assert (code, printed) == (1, '') and 1 <= len(errors.splitlines()) <= 2
    assert not (tmp_path / 'out').exists()


def test_only_labels_of_an_earlier_run_are_replaced(tmp_path: Path, run: Run,
                                                    jpegs: list[bytes]) -> None:
    for name in ('a.jpg', 'b.jpg'):
        (tmp_path / name).write_bytes(jpegs[0])
    run('a.jpg', '--output', 'out')
    (tmp_path / 'out' / 'mine.txt').write_text('mine')
    code, printed, errors = run('b.jpg', '--output', 'out')
    assert code == 0 and errors == ('segret_label: replaced the 4 files of an earlier run in out')
    assert names(tmp_path / 'out') == {'mine.txt', 'labels/b.png', 'confidence/b.png',
                                       'overlays/b.jpg', 'classes.yaml'}


@pytest.mark.parametrize('output', ['photos', '.', 'photos/out', 'models', 'mine'])
def test_no_file_of_the_users_is_touched(tmp_path: Path, run: Run, jpegs: list[bytes],
                                         output: str) -> None:
    for folder in ('photos', 'models', 'mine'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'photos' / '0.jpg').write_bytes(jpegs[0])
    (tmp_path / 'mine' / 'labels').write_text('mine')
    shutil.copy(default_model(), tmp_path / 'models')
    before = hashes(tmp_path)
    code, printed, errors = run('photos', '--model', tmp_path / 'models' / default_model().name,
                                '--output', output)
    assert (code, printed) == (1, '') and output in errors and len(errors.splitlines()) == 1
    assert hashes(tmp_path) == before


def test_an_overlay_that_the_disk_does_not_hold_is_an_error(tmp_path: Path,
                                                            jpegs: list[bytes]) -> None:
    writer = VideoWriter(tmp_path / 'overlay.mp4', 10)
    image_rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    try:
        for _ in range(5):
            writer.write(image_rgb)
        with pytest.raises((OSError, ValueError)):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('seed', range(3))
def test_mutated_inputs_end_in_one_line_each(tmp_path: Path, run: Run, jpegs: list[bytes],
                                             seed: int) -> None:
    chance = random.Random(seed)
    sound = tmp_path / 'sound'
    sound.mkdir()
    for ending in CODECS:
        write_video(sound / f'drive.{ending}', jpegs[:3], (48, 64))
    image = cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_COLOR)
    for ending in ('jpg', 'png', 'bmp', 'tif', 'webp'):
        cv2.imwrite(str(sound / f'photo.{ending}'), cv2.resize(image, (64, 48)))
    files = sorted(sound.iterdir())
    mine = tmp_path / 'mine'
    mine.mkdir()
    for number in range(24):
        ending = chance.choice(files).suffix if chance.random() < 0.2 else None
        file = chance.choice(files)
        name = chance.choice(('a', '-b', 'c\nd', LATIN_1, 'e%d', "f'g", ' ', '#?'))
        content = file.read_bytes()
        for _ in range(chance.choice((1, 3, 30))):
            content = mutate(content, chance)
        (mine / f'{name}{number}{ending or file.suffix}').write_bytes(content)
    before = hashes(mine)
    code, printed, errors = run('mine', '--output', 'out')
    assert code in (0, 1)
    assert all(line.startswith('segret_label: ') for line in errors.splitlines())
    assert hashes(mine) == before
