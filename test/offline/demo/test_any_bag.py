# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo on bags that are not the sample drive."""

from pathlib import Path
import sys

import cv2
from demo_command import messages, run_demo, values_of
import numpy as np
import pytest
from segret_ros.files.share import default_model, share_directory
from segret_ros.images.codec import decode_compressed
from segret_ros.inference import Segmenter
from segret_ros.offline.bags import BagWriter, serialize, stamp_ns, TYPESTORE
from segret_ros.offline.demo import main as command

FRAMES = 6
LEFT, RIGHT, DEPTH = '/robot/left/image_color', '/robot/right/image_mono', '/robot/tof/image_raw'
Header = TYPESTORE.types['std_msgs/msg/Header']
Time = TYPESTORE.types['builtin_interfaces/msg/Time']
Image = TYPESTORE.types['sensor_msgs/msg/Image']
CompressedImage = TYPESTORE.types['sensor_msgs/msg/CompressedImage']
String = TYPESTORE.types['std_msgs/msg/String']


def image(stamp: int, pixels: np.ndarray, encoding: str) -> object:
    """Return a raw image whose rows are padded by a byte."""
    rows = pixels.view(np.uint8).reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, 1)))
    return Image(Header(Time(*divmod(stamp, 10**9)), 'lens'), len(pixels), pixels.shape[1],
                 encoding, 0, padded.shape[1], padded.ravel())


def pictures() -> list[np.ndarray]:
    """Return some frames of the sample drive, small: (120, 160, 3) uint8 RGB."""
    drive = messages(share_directory() / 'data' / 'sample_drive', '/camera/image_raw/compressed')
    return [cv2.resize(decode_compressed(message, 10**6), (160, 120))
            for message in drive[:FRAMES]]


@pytest.fixture(scope='module')
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo on two cameras and a depth camera; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp('any_bag')
    with BagWriter(folder / 'warehouse') as writer:
        for index, picture in enumerate(pictures()):
            time_ns = 10**18 + index * 50_000_000
            for topic, pixels, encoding in (
                    (LEFT, picture[..., ::-1], '8UC3'),
                    (RIGHT, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:90], '8UC1'),
                    (DEPTH, picture[..., 0].astype(np.uint16), '16UC1')):
                writer.write(serialize(topic, time_ns, image(
                    time_ns - 7, np.ascontiguousarray(pixels), encoding)))
    result = run_demo('--bag', folder / 'warehouse', '--output', folder / 'out')
    assert result.returncode == 0, result.stderr
    return folder / 'out', result.stdout


@pytest.mark.parametrize(('camera', 'name', 'shape'), [(LEFT, 'left', (120, 160)),
                                                       (RIGHT, 'right', (90, 160))])
def test_each_camera_is_answered_one_for_one(demo: tuple[Path, str], camera: str, name: str,
                                             shape: tuple[int, int]) -> None:
    bag = demo[0] / 'result'
    stamps = [stamp_ns(message.header) for message in messages(bag, camera)]
    labels = messages(bag, f'/robot/{name}/segmentation/label')
    assert [stamp_ns(message.header) for message in labels] == stamps
    assert len(stamps) == FRAMES and stamps[0] == 10**18 - 7
    assert {(label.height, label.width) for label in labels} == {shape}


def test_the_labels_are_the_segmenters(demo: tuple[Path, str]) -> None:
    label, status = (messages(demo[0] / 'result', f'/robot/left/segmentation/{topic}')[-1]
                     for topic in ('label', 'status'))
    expected = Segmenter(default_model(), values_of(status)['device'])(pictures()[-1]).label
    np.testing.assert_array_equal(label.data.reshape(120, 160), expected)


def test_what_is_shown_is_of_this_bag(demo: tuple[Path, str]) -> None:
    output, text = demo
    assert f'frames in / out / dropped {2 * FRAMES} / {2 * FRAMES} / 0' in ' '.join(text.split())
    report = (output / 'report.html').read_text()
    assert 'The node on warehouse' in report and 'mean IoU' not in text + report
    assert 'Intersection over union' not in report
    for camera in ('robot_left', 'robot_right'):
        assert len(list((output / 'overlays').glob(f'{camera}_*.jpg'))) == FRAMES
        assert (output / f'{camera}_contact_sheet.png').is_file()
        assert f'{camera.replace("_", "/", 1)} · 0.00 s' in report


@pytest.mark.parametrize(('topics', 'arguments', 'message'), [
    (['talk'], [], 'the bag has no camera: it has /talk (std_msgs/msg/String)'),
    (['talk', 'raw'], ['--topics', '/cam'],
     'the bag has no image topic /cam: it has /raw (sensor_msgs/msg/Image)'),
    (['raw', 'packed'], [], '/packed are compressed images and /raw are not'),
])
def test_a_bag_that_does_not_do_is_one_line(
        tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch,
        topics: list[str], arguments: list[str], message: str) -> None:
    kinds = {'talk': String('hello'), 'raw': image(1, np.zeros((2, 2, 3), np.uint8), 'rgb8'),
             'packed': CompressedImage(Header(Time(1, 2), ''), 'png', np.zeros(3, np.uint8))}
    with BagWriter(tmp_path / 'bag') as writer:
        for topic in topics:
            writer.write(serialize(f'/{topic}', 1, kinds[topic]))
    monkeypatch.setattr(sys, 'argv', ['segret_demo', '--bag', str(tmp_path / 'bag'), '--output',
                                      str(tmp_path / 'out'), *arguments])
    assert command.main() == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / 'out').exists()
