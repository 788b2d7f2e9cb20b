# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How the demo holds the node's labels against those of the drive."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from segret_ros.files.share import default_model, share_directory
from segret_ros.inference import Model, ModelInfo
from segret_ros.offline.bags import BagWriter, open_bag, read_bag, Recorded, serialize
from segret_ros.offline.bags.cameras import find_cameras
from segret_ros.offline.demo.drive import labelled_frames, open_true_labels
from segret_ros.offline.demo.summary import truth_notes
from segret_ros.offline.evaluation.result import label_message, new_header

IMAGE, TRUE_LABEL, LABEL = (f'/camera/{name}' for name in (
    'image_raw/compressed', 'label/compressed', 'segmentation/label'))
DRIVE = share_directory() / 'data' / 'sample_drive'


@pytest.fixture(scope='module')
def info() -> ModelInfo:
    return Model.load(default_model()).info


def restamped(recorded: Recorded, stamp_ns: int) -> Recorded:
    message = recorded.message()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10 ** 9)
    return serialize(recorded.topic, recorded.time_ns, message)


def answered(drive: list[Recorded]) -> Iterator[Recorded]:
    """Return a drive with an answer to each image, whose ids are the image's number."""
    number = 0
    for recorded in drive:
        yield recorded
        if recorded.topic == IMAGE:
            header = new_header(0, 'camera')
            header.stamp = recorded.message().header.stamp
            yield serialize(LABEL, recorded.time_ns + 1, label_message(
                header, np.full((360, 480), number, np.uint8)))
            number += 1


def result_of(folder: Path, stamped: bool, frames: int = 4) -> Path:
    drive = [recorded if stamped else restamped(recorded, 0)
             for recorded in read_bag(DRIVE, [IMAGE, TRUE_LABEL])][:2 * frames]
    with BagWriter(folder / 'result') as writer:
        for recorded in answered(drive):
            writer.write(recorded)
    return folder / 'result'


@pytest.mark.parametrize('stamped, how', [(True, 'stamp'), (False, 'time of recording')])
def test_each_frame_has_its_own_labels(tmp_path: Path, info: ModelInfo, stamped: bool,
                                       how: str) -> None:
    result = result_of(tmp_path, stamped)
    with open_bag(result) as bag:
        (camera,) = find_cameras({IMAGE: bag.topics[IMAGE]}, [])
        truths, notes = open_true_labels(result, [camera], info, DRIVE)
        frames = list(labelled_frames(bag, camera, truths[IMAGE]))
    assert not notes
    assert [int(frame.label[0, 0]) for frame in frames] == [0, 1, 2, 3]
    assert {frame.truth for frame in frames} == {how}
    with open_bag(DRIVE) as bag:
        sound, _ = open_true_labels(DRIVE, [camera], info, DRIVE)
        for frame, recorded in zip(frames, bag.messages([IMAGE])):
            stamp = recorded.message().header.stamp
            true = sound[IMAGE].cameras[IMAGE].find(stamp.sec * 10 ** 9 + stamp.nanosec,
                                                    recorded.time_ns, (360, 480)).label
            np.testing.assert_array_equal(frame.true_label, true)


def test_labels_of_other_classes_are_not_used(tmp_path: Path, info: ModelInfo) -> None:
    result = result_of(tmp_path, stamped=True, frames=1)
    (tmp_path / 'classes.yaml').write_text('classes: [{name: bed, color: [1, 2, 3]}]')
    with open_bag(result) as bag:
        (camera,) = find_cameras({IMAGE: bag.topics[IMAGE]}, [])
    drive = result.rename(tmp_path / 'drive')
    (tmp_path / 'classes.yaml').rename(drive / 'classes.yaml')
    truths, (note,) = open_true_labels(drive, [camera], info, drive)
    assert not truths
    assert '(1 there, 11 here)' in note


def test_what_is_odd_about_true_labels_is_reported() -> None:
    assert truth_notes({'stamp': 4, 'time of recording': 0, 'none': 2}) == []
    matched, unscored = truth_notes({'time of recording': 3, 'an empty file': 2})
    assert matched.startswith('3 frames were matched') and 'an empty file (2)' in unscored
