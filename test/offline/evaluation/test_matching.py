# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matching of frames and true labels, whatever the stamps are worth."""

import numpy as np
import pytest
from segret_ros.offline.evaluation.matching import AMBIGUOUS, BY_STAMP, BY_TIME, match, Moments

SECOND, MS = 10 ** 9, 10 ** 6
START = 1_700_000_000 * SECOND
STEP = SECOND // 10
TIMES = START + STEP * np.arange(5)
ZERO = np.zeros(5, np.int64)


def moments(stamp_ns: object, time_ns: object = TIMES) -> Moments:
    return Moments(np.array(stamp_ns, np.int64),
                   None if time_ns is None else np.array(time_ns, np.int64))


def matches(frames: Moments, labels: Moments) -> list[tuple[int, str]]:
    """Return the label of each frame, and how it was found."""
    found = [match(frames, labels, stamp, time) for stamp, time in
             zip(frames.stamp_ns.tolist(), frames.time_ns.tolist())]
    return found


@pytest.mark.parametrize('frames, labels', [
    (ZERO, ZERO), (ZERO, TIMES), (TIMES, ZERO), (ZERO + START, ZERO + START),
    (TIMES, ZERO + START), (ZERO + START, TIMES), (ZERO + 7, ZERO)],
    ids=['zero', 'zero images', 'zero labels', 'equal', 'equal labels', 'equal images', 'stuck'])
def test_meaningless_stamps_give_way_to_the_recording_time(frames: np.ndarray,
                                                           labels: np.ndarray) -> None:
    found = matches(moments(frames), moments(labels))
    assert [place for place, _ in found] == [0, 1, 2, 3, 4]
    assert BY_TIME in {how for _, how in found}


def test_sound_stamps_count_whenever_the_labels_were_recorded() -> None:
    later = moments(TIMES, TIMES[::-1] + 3600 * SECOND)
    assert matches(moments(TIMES), later) == [(place, BY_STAMP) for place in range(5)]


def test_frames_without_a_label_of_their_own_get_none() -> None:
    for stamps in (TIMES, ZERO, TIMES - START + 1000):  # the last: steps of far less than 10 ms
        frames = moments(stamps)
        one = moments(stamps[2:3], TIMES[2:3])
        how = BY_TIME if not stamps.any() else BY_STAMP
        assert matches(frames, one) == [(-1, ''), (-1, ''), (0, how), (-1, ''), (-1, '')]
    close = moments(np.arange(1, 6) * 100_000)
    assert matches(close, moments([300_000], TIMES[2:3])) == [
        (-1, ''), (-1, ''), (0, BY_STAMP), (-1, ''), (-1, '')]


def test_some_stamps_may_be_zero() -> None:
    stamps = [0, 0, *TIMES[2:]]
    assert matches(moments(stamps), moments(stamps)) == [
        (0, BY_TIME), (1, BY_TIME), (2, BY_STAMP), (3, BY_STAMP), (4, BY_STAMP)]


@pytest.mark.parametrize('shift_ns', [0, 3 * MS])
def test_runs_whose_stamps_start_again_keep_their_labels(shift_ns: int) -> None:
    stamps = np.arange(1, 31) * STEP
    frames = moments(np.concatenate([stamps, stamps + shift_ns]), START + STEP * np.arange(60))
    labels = moments(frames.stamp_ns + 2 * MS, frames.time_ns + 5 * SECOND // 100)
    assert matches(frames, labels) == [(place, BY_STAMP) for place in range(60)]
    second = moments(labels.stamp_ns[30:], labels.time_ns[30:])
    assert matches(frames, second) == [(-1, '')] * 30 + [(place, BY_STAMP) for place in range(30)]
    assert frames.oddities() == {'restarts': 1}


def test_a_little_disorder_does_no_harm() -> None:
    order = [1, 0, 2, 4, 3]
    assert [place for place, _ in matches(moments(TIMES[order]), moments(TIMES))] == order


def test_two_candidates_are_ambiguous() -> None:
    frames = moments(ZERO)
    twice = moments([0, 0], TIMES[[1, 1]])
    assert matches(frames, twice)[1] == (-1, AMBIGUOUS)
    near = moments([0, 0], [TIMES[1], TIMES[1] + 5 * MS])
    assert matches(frames, near)[1] == (-1, AMBIGUOUS)
    same_moment = moments(ZERO, [*TIMES[:4], TIMES[3]])
    assert matches(same_moment, moments(ZERO))[3:] == [(-1, AMBIGUOUS)] * 2


def test_two_labels_of_one_stamp_are_never_guessed() -> None:
    labels = moments([TIMES[0], TIMES[1], TIMES[1]], [TIMES[0], TIMES[1], TIMES[1] + 2 * MS])
    assert matches(moments(TIMES), labels)[:3] == [(0, BY_STAMP), (-1, AMBIGUOUS), (-1, '')]


def test_files_are_matched_by_their_names() -> None:
    assert matches(moments(TIMES), moments(TIMES[1:3], None)) == [
        (-1, ''), (0, BY_STAMP), (1, BY_STAMP), (-1, ''), (-1, '')]
    # Named by the times of recording, of frames without stamps.
    assert matches(moments(ZERO), moments(TIMES[1:2], None))[1] == (0, BY_TIME)
    assert matches(moments(TIMES), moments([TIMES[1], TIMES[1]], None))[1] == (-1, AMBIGUOUS)
    twice = moments([1 * SECOND, 4 * SECOND, 1 * SECOND, 4 * SECOND],
                    START + 10 * SECOND * np.arange(4))
    assert matches(twice, moments([1 * SECOND], None)) == [
        (-1, AMBIGUOUS), (-1, ''), (-1, AMBIGUOUS), (-1, '')]


def test_any_stamps_give_each_label_to_one_frame_at_most() -> None:
    random = np.random.default_rng(3)
    for _ in range(300):
        kinds = [np.zeros(40, np.int64), np.arange(40) * STEP, random.integers(0, 9, 40) * MS,
                 random.integers(-2 ** 62, 2 ** 62, 40), np.arange(40) % 7 * STEP]
        pick = [random.choice(len(kinds), 40) for _ in range(2)]
        frames, labels = (moments(np.choose(one, kinds), np.sort(
            START + random.integers(0, 2 * SECOND, 40))) for one in pick)
        places = [place for place, _ in matches(frames, labels) if place >= 0]
        assert len(set(places)) == len(places)
