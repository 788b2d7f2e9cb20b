# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Stamps that do not advance: told once, and kept to the bit."""

from collections.abc import Iterable
from pathlib import Path

from builtin_interfaces.msg import Time
from live_node import Diagnostics, Peer, running_node, street_image
import pytest
from segret_ros.node.stamps import StampCheck
from sensor_msgs.msg import Image

ZERO = 'the stamps of its images are 0, so that max_age and all that pairs images with labels'
SAME = 'its images have the stamp of the image before, so that max_age'
BACK = 'the stamps of its images go back, as of two cameras on one topic, so that max_age'
CASES = {'zero': ([0, 0, 0, 0], ZERO), 'constant': ([7, 7, 7, 7, 7], SAME),
         'every second twice': ([1, 1, 2, 2, 3, 3, 4, 4], SAME),
         'descending': ([9, 8, 7, 6], BACK), 'two cameras': ([5, 105, 6, 106, 7, 107, 8], BACK)}


def check(stamps_ns: Iterable[int]) -> str:
    """Return what is wrong after the last of some stamps."""
    stamps = StampCheck()
    return [stamps(stamp_ns) for stamp_ns in stamps_ns][-1]


@pytest.mark.parametrize('case', CASES)
def test_stamps_that_do_not_advance_are_a_problem(case: str) -> None:
    stamps_ns, problem = CASES[case]
    assert check(stamps_ns).startswith(problem)


@pytest.mark.parametrize('stamps_ns', [
    [5], [0, 5, 6], [1, 2, 3], [8, 9, 1, 2, 3, 8, 9, 1],  # a bag in a loop
    [1, 2, 2, 3, 4, 5, 6], [0, 0, 0, *range(1, 10)]])
def test_stamps_that_advance_are_none(stamps_ns: list[int]) -> None:
    assert check(stamps_ns) == ''


@pytest.mark.parametrize('sec, problem', [(0, ZERO), (1_700_000_000, SAME)])
def test_the_node_reports_it_once_and_keeps_the_headers(
        peer: Peer, model_file: Path, tmp_path: Path, sec: int, problem: str) -> None:
    diagnostics = Diagnostics(peer)
    label = peer.listen(Image, '/segmentation/label')
    camera = peer.advertise(Image, '/image')
    standing = Time(sec=sec)

    def frame() -> Image:
        message = street_image()
        message.header.stamp = standing
        message.header.frame_id = f'optical_{len(label)}'
        return message

    with running_node(tmp_path, model=str(model_file), device='cpu', frozen_frames=0,
                      camera_timeout=60.0) as node:
        def told_after_another(text: str) -> list[str]:
            message = frame()
            camera.publish(message)
            peer.wait_for(lambda: [found for found in label if found.header == message.header],
                          'the label with the header of its image')
            return node.lines(text)

        peer.connect(camera, frame, label)
        peer.wait_for(lambda: told_after_another(problem), 'the warning')
        for _ in range(3):
            line, = told_after_another(problem)
        assert '[WARN]' in line and ': /image: ' in line
        values = diagnostics.values('camera')
        assert values['level'] == 'warn' and values['message'] == values['stamp_problem']
        assert values['stamp_problem'].startswith(problem)

        def advancing() -> list[str]:
            nonlocal standing
            standing = Time(sec=standing.sec + 1)
            return told_after_another('the stamps advance again')

        peer.wait_for(advancing, 'the end of the trouble')
        assert len(node.lines(problem)) == 1
        assert diagnostics.values('camera')['stamp_problem'] == ''
    peer.close_inbox(label)
    peer.node.destroy_publisher(camera)
