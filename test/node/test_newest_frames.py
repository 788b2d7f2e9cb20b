# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The slots between the executor and the worker."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from segret_ros.node.newest_frames import NewestFrames

WAIT_S = 10.0


@pytest.fixture
def frames() -> Iterator[NewestFrames]:
    """Yield the slots of two cameras, closed at the end so that no thread keeps waiting."""
    frames = NewestFrames({'front': 1, 'rear': 1})
    yield frames
    frames.close()


def test_the_newest_frame_replaces_the_waiting_one(frames: NewestFrames) -> None:
    assert [frames.put('front', number) for number in range(5)] == [False, *[True] * 4]
    assert frames.take() == 4


def test_a_frame_taken_in_time_is_not_dropped(frames: NewestFrames) -> None:
    for number in range(3):
        assert not frames.put('front', number)
        assert frames.take() == number


def test_each_camera_has_a_slot_of_its_own(frames: NewestFrames) -> None:
    assert not frames.put('front', 1)
    assert not frames.put('rear', 2)
    assert frames.put('rear', 3)
    assert sorted([frames.take(), frames.take()]) == [1, 3]


def test_a_fast_camera_does_not_starve_the_other(frames: NewestFrames) -> None:
    served = []
    for _ in range(6):
        frames.put('front', 'front')
        frames.put('rear', 'rear')
        served.append(frames.take())
    assert served == ['front', 'rear'] * 3


def test_no_camera_waits_more_than_a_round() -> None:
    names = ['front', 'left', 'right', 'rear']
    frames = NewestFrames(dict.fromkeys(names, 1))
    random = np.random.default_rng(3)
    waited = Counter()
    for _ in range(2000):
        for name in names:  # each camera comes and goes as it likes
            if random.random() < 0.5:
                frames.put(name, name)
        waiting = set(frames._waiting)
        if not waiting:
            continue
        served = frames.take()
        for name in waiting:
            waited[name] = 0 if name == served else waited[name] + 1
            assert waited[name] < len(names)


def test_a_camera_of_priority_gets_its_turns_and_starves_none() -> None:
    frames = NewestFrames({'front': 3, 'left': 1, 'rear': 1})
    served = []
    for _ in range(50):
        for name in ('front', 'left', 'rear'):
            frames.put(name, name)
        served.append(frames.take())
    assert Counter(served) == {'front': 30, 'left': 10, 'rear': 10}
    assert all({'left', 'rear'} < set(served[start:start + 6]) for start in range(44))


def test_a_silent_camera_saves_no_turns_up(frames: NewestFrames) -> None:
    for number in range(100):
        frames.put('front', number)
        frames.take()
    served = []
    for _ in range(10):
        frames.put('front', 'front')
        frames.put('rear', 'rear')
        served.append(frames.take())
    assert served.count('rear') == 5


@pytest.mark.parametrize(('act', 'taken'), [
    (lambda frames: frames.put('rear', 'image'), 'image'), (NewestFrames.close, None)],
    ids=['a frame', 'the end'])
def test_take_waits(frames: NewestFrames, act: Callable, taken: str | None) -> None:
    future = ThreadPoolExecutor().submit(frames.take)
    assert not wait([future], 0.1).done
    act(frames)
    assert future.result(WAIT_S) == taken


def test_close_forgets_what_waits(frames: NewestFrames) -> None:
    frames.put('front', 'image')
    frames.close()
    assert frames.take() is None
