# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the camera check says of real frames of the sample drive, whole and spoilt."""

from dataclasses import replace
from functools import partial
from typing import Callable

import cv2
import numpy as np
import pytest
from segret_ros.inference.validity import CameraCheck, Limits

Spoil = Callable[[np.ndarray], np.ndarray]


def times(frame: np.ndarray, factor: float) -> np.ndarray:
    """Return a frame under `factor` times the light."""
    return np.clip(frame * factor, 0, 255).astype(np.uint8)


def noisy(frame: np.ndarray, deviation: float) -> np.ndarray:
    """Add a sensor's noise to a frame; sigma in grey levels."""
    noise = np.random.default_rng(0).normal(0, deviation, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    """Compress and decompress a frame as JPEG."""
    _, data = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def of_height(frame: np.ndarray, height: int) -> np.ndarray:
    """Resize a frame, keeping its aspect ratio."""
    return cv2.resize(frame, (height * 4 // 3, height), interpolation=cv2.INTER_AREA)


def blurred(frame: np.ndarray, sigma: float = 8) -> np.ndarray:
    """Blur a frame as a wet lens does; sigma in pixels of a frame 360 high."""
    return cv2.GaussianBlur(frame, (0, 0), sigma * frame.shape[0] / 360)


def washed_out(frame: np.ndarray) -> np.ndarray:
    """Overexpose a frame to values of 250 to 255."""
    return 255 - (255 - frame) // 50


def bright_sky(frame: np.ndarray) -> np.ndarray:
    """Saturate the upper 40 % of a frame."""
    frame = frame.copy()
    frame[:frame.shape[0] * 2 // 5] = 255
    return frame


def uniform(frame: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return noise of values `low` to `high` in place of a frame."""
    return np.random.default_rng(0).integers(low, high + 1, frame.shape, np.uint8)


def kind_of(image: np.ndarray, limits: Limits = Limits()) -> str | None:
    """Return the kind of fault of a camera's first picture."""
    fault = CameraCheck()(image, limits)
    return fault.kind if fault else None


@pytest.mark.parametrize('change', [
    np.array, partial(jpeg, quality=30), partial(of_height, height=180),
    partial(of_height, height=720), lambda frame: jpeg(of_height(frame, 180), 30),
    partial(noisy, deviation=10), partial(times, factor=0.15),
    lambda frame: noisy(times(frame, 0.15), 2), partial(times, factor=2), bright_sky,
    partial(blurred, sigma=2)])
def test_usable_frames_pass(frames: list[np.ndarray], change: Spoil) -> None:
    check = CameraCheck()
    assert [check(change(frame), Limits()) for frame in frames] == [None] * 11


@pytest.mark.parametrize(('spoil', 'kind'), [
    (partial(times, factor=0.01), 'black'),
    (lambda frame: noisy(times(frame, 0.01), 2), 'black'),
    (partial(uniform, low=0, high=6), 'black'),
    (washed_out, 'overexposed'),
    (lambda frame: jpeg(washed_out(frame), 30), 'overexposed'),
    (partial(uniform, low=250, high=255), 'overexposed'),
    (blurred, 'blurred'),
    (lambda frame: jpeg(blurred(frame), 30), 'blurred'),
    (lambda frame: noisy(blurred(frame), 5), 'blurred'),
    (lambda frame: blurred(of_height(frame, 180)), 'blurred'),
    (lambda frame: blurred(of_height(frame, 720)), 'blurred'),
    (partial(uniform, low=127, high=127), 'blurred')])
def test_spoilt_frames_are_reported(frames: list[np.ndarray], spoil: Spoil, kind: str) -> None:
    assert [kind_of(spoil(frame)) for frame in frames] == [kind] * 11


def test_hot_pixels_make_no_picture_of_a_black_one(frames: list[np.ndarray]) -> None:
    black = np.zeros_like(frames[0])
    black.reshape(-1, 3)[::5003] = 255
    assert kind_of(black) == 'black'


def test_a_camera_is_frozen_after_that_many_same_frames(frames: list[np.ndarray]) -> None:
    check, limits = CameraCheck(), Limits(frozen_frames=3)
    faults = [check(frames[0].copy(), limits) for _ in range(5)]
    assert faults[:3] == [None] * 3
    assert [fault.kind for fault in faults[3:]] == ['frozen'] * 2
    assert 'the last 4 frames are the same, frozen_frames is 3' in faults[3].text
    assert check(frames[1], limits) is None
    assert check(frames[0], limits) is None


def test_noise_in_a_standing_scene_is_not_frozen(frames: list[np.ndarray]) -> None:
    check, limits = CameraCheck(), Limits(frozen_frames=1)
    generator = np.random.default_rng(0)
    for _ in range(5):
        scene = frames[0] + generator.normal(0, 1, frames[0].shape)
        assert check(jpeg(np.clip(scene, 0, 255).astype(np.uint8), 80), limits) is None


def test_one_changed_block_is_not_frozen(frames: list[np.ndarray]) -> None:
    check, limits = CameraCheck(), Limits(frozen_frames=1)
    changed = frames[0].copy()
    changed[200:208, 120:128] ^= 1
    assert [check(image, limits) for image in (frames[0], changed, frames[0])] == [None] * 3


def test_a_frozen_camera_is_reported_by_what_it_shows(frames: list[np.ndarray]) -> None:
    check, limits = CameraCheck(), Limits(frozen_frames=1)
    told = []
    for image in times(frames[0], 0.01), washed_out(frames[0]), blurred(frames[0]):
        check(image, limits)
        told.append(check(image, limits).kind)
    assert told == ['black', 'overexposed', 'frozen']
    check(np.zeros_like(frames[0]), limits)
    assert check(np.zeros_like(frames[0]), replace(limits, black_level=0)).kind == 'frozen'


def test_each_check_can_be_switched_off(frames: list[np.ndarray]) -> None:
    off = Limits(frozen_frames=0, black_level=0, overexposed_share=1, blur_level=0)
    check = CameraCheck()
    for image in (np.zeros((360, 480, 3), np.uint8), np.full((360, 480, 3), 255, np.uint8),
                  blurred(frames[0])):
        assert [check(image, off) for _ in range(10)] == [None] * 10


def test_the_limits_decide(frames: list[np.ndarray]) -> None:
    assert kind_of(times(frames[0], 0.15), Limits(black_level=0.3)) == 'black'
    assert kind_of(bright_sky(frames[0]), Limits(overexposed_share=0.3)) == 'overexposed'
    assert kind_of(blurred(frames[0], 2), Limits(blur_level=1)) is None
    assert kind_of(blurred(frames[0], 4), Limits(blur_level=1)) == 'blurred'
    assert kind_of(blurred(frames[0]), Limits(blur_level=0.01)) is None


@pytest.mark.parametrize(('value', 'text'), [
    (0, '99 % of the picture are no brighter than 0.000, black_level is 0.05'),
    (255, '1.00 of the picture is saturated, overexposed_share is 0.7'),
    (127, 'the sharpness of the picture is 0.00, blur_level is 0.5')])
def test_a_fault_gives_value_and_limit(value: int, text: str) -> None:
    fault = CameraCheck()(np.full((120, 160, 3), value, np.uint8), Limits())
    assert text in fault.text


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (1, 500), (500, 1), (2, 3), (89, 89),
                                               (90, 4000), (361, 723)])
def test_any_size_is_checked(height: int, width: int) -> None:
    check = CameraCheck()
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert check(picture, Limits()) is None
    assert check(np.zeros_like(picture), Limits()).kind == 'black'
    assert check(np.full_like(picture, 255), Limits()).kind == 'overexposed'


def test_the_size_may_change_between_frames(frames: list[np.ndarray]) -> None:
    check, limits = CameraCheck(), Limits(frozen_frames=1)
    images = [frames[0], of_height(frames[0], 180), frames[0][:90, :1], frames[0]]
    assert [check(image, limits) for image in images] == [None] * 4
    assert check(frames[0], limits).kind == 'frozen'


def test_views_are_checked_as_their_pixels_and_not_kept(frames: list[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    buffer = np.full((height, width * 3 + 24), 255, np.uint8)  # rows with padding
    view = np.lib.stride_tricks.as_strided(buffer, (height, width, 3), (buffer.strides[0], 3, 1))
    check, limits = CameraCheck(), Limits(frozen_frames=1)
    view[...] = frames[0]
    assert check(view, limits) is None
    view[...] = frames[1]  # the next message in the same buffer
    assert check(view, limits) is None
    buffer[:, width * 3:] = 0
    view.flags.writeable = False
    assert check(view, limits).kind == 'frozen'
    assert check(frames[1], limits).kind == 'frozen'
    assert kind_of(np.zeros((height, width * 2, 4), np.uint8)[:, ::-2, :3]) == 'black'
