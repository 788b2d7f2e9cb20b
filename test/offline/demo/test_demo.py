# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo as a user runs it: the real node over real DDS on the sample drive."""

from pathlib import Path

from demo_command import messages, run_demo, values_of
import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.images.codec import decode_compressed
from segret_ros.inference import Segmenter
from segret_ros.node.parameters import Parameters
from segret_ros.offline.bags import stamp_ns

IMAGE = '/camera/image_raw/compressed'


@pytest.fixture(scope='module')
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo once; return its folder and what it printed."""
    output = tmp_path_factory.mktemp('demo') / 'out'
    result = run_demo('--output', output)
    assert result.returncode == 0, result.stderr
    return output, result.stdout


@pytest.mark.parametrize('topic', ['label', 'confidence', 'status', 'camera_info'])
def test_every_output_has_the_inputs_stamps_one_for_one(demo: tuple[Path, str],
                                                        topic: str) -> None:
    bag = demo[0] / 'result'
    stamps = [stamp_ns(message.header) for message in messages(bag, IMAGE)]
    answered = [stamp_ns(message.header) for message in messages(
        bag, f'/camera/segmentation/{topic}')]
    assert answered == stamps
    assert len(stamps) == 101


def test_the_bags_labels_are_the_segmenters(demo: tuple[Path, str]) -> None:
    bag = demo[0] / 'result'
    outputs = (messages(bag, f'/camera/segmentation/{topic}') for topic in ('label', 'status'))
    for image, label, status in list(zip(messages(bag, IMAGE), *outputs))[::25]:
        segmenter = Segmenter(default_model(), values_of(status)['device'])
        expected = segmenter(decode_compressed(image, Parameters.max_pixels)).label
        np.testing.assert_array_equal(label.data.reshape(360, 480), expected)
        assert label.header.frame_id == image.header.frame_id == 'camera_optical'


def test_the_age_is_in_the_drives_time(demo: tuple[Path, str]) -> None:
    statuses = messages(demo[0] / 'result', '/camera/segmentation/status')
    ages = [float(values_of(status)['age_ms']) for status in statuses]
    longest_ms = 60e3  # on a busy machine; by the machine's clock they would be years
    assert -longest_ms < min(ages) and max(ages) < longest_ms


def test_the_table_has_the_drives_numbers(demo: tuple[Path, str]) -> None:
    assert 'frames in / out / dropped 101 / 101 / 0' in ' '.join(demo[1].split())
    miou = float(demo[1].split("drive's labels")[1].split('%')[0])
    assert 50 <= miou <= 100


def test_pictures_and_report_are_there(demo: tuple[Path, str]) -> None:
    assert len(list((demo[0] / 'overlays').glob('*.jpg'))) == 101
    assert (demo[0] / 'contact_sheet.png').is_file()
    report = (demo[0] / 'report.html').read_text()
    assert report.count('<img') == 12 + 4 * 4  # the film, and the panels of four frames
    assert 'The node labelled all 101 frames' in report and '<pre><code>segret_demo ' in report
    for fact in ('device', 'engine', 'machine', 'ended'):
        assert f'<th scope="row">{fact}</th>' in report
    assert 'src="http' not in report and 'href="http' not in report


@pytest.mark.parametrize('arguments, message', [
    (['--bag', 'no/drive'], 'no/drive: no such bag'),
    (['--model', 'no.onnx'], 'no.onnx: no such model file'),
])
def test_a_users_mistake_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run_demo('--output', tmp_path / 'out', *arguments)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and message in result.stderr
    assert not (tmp_path / 'out').exists()


def test_a_node_that_refuses_is_reported_at_once(tmp_path: Path) -> None:
    ran = run_demo('--device', 'gpu', '--output', tmp_path / 'out')
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(
        "segret_demo: the node is not configured: no device 'gpu': use auto, ")
