# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Stability of labels on frames of the sample drive, moved and spoilt by known amounts."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from recordings import images, sample_drive, true_labels
from segret_ros.files.share import default_model
from segret_ros.inference import Segmenter
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.evaluation.stability import LEAST_STEPS, Stability, StabilityTally, Step

CLASSES = 11
Frames = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope='module')
def drive() -> Frames:
    """Read the sample drive's frames, (360, 480, 3) uint8 RGB, with their true labels."""
    labels = true_labels(sample_drive())
    return [(image, labels[stamp]) for stamp, image in images(sample_drive()).items()]


@pytest.fixture(scope='module')
def image(drive: Frames) -> np.ndarray:
    """Return one frame of the drive."""
    return drive[50][0]


def steps_of(frames: Frames, num_classes: int = CLASSES) -> list[Step | None]:
    """Compute the steps of a camera's frames, one a frame."""
    stability = Stability(num_classes)
    return [stability(image, label) for image, label in frames]


def tally_of(steps: list[Step | None], num_classes: int = CLASSES) -> StabilityTally:
    """Add up all steps that there are."""
    tally = StabilityTally(num_classes)
    for step in steps:
        if step is not None:
            tally.add(step)
    return tally


def compared(step: Step) -> int:
    """Return how many pixels are compared."""
    return int(step.confusion.counts.sum())


def figures_of(frames: Frames, num_classes: int = CLASSES) -> dict:
    """Return the report on a camera's frames."""
    tally = tally_of(steps_of(frames, num_classes), num_classes)
    return tally.as_json([str(number) for number in range(num_classes)])


def without_flow(frames: Frames) -> tuple[float, float]:
    """Compute the mean IoU of labels with the next ones in the same places, and the share kept."""
    confusion = ConfusionMatrix(CLASSES)
    for (_, last), (_, new) in zip(frames, frames[1:]):
        confusion.add(last, new)
    confusion = confusion.of_known()
    return confusion.mean_iou(), confusion.pixel_accuracy()


def region(shape: tuple[int, int], inside: int, outside: int = 0) -> np.ndarray:
    """Return a label whose middle, 1/4 of all pixels, is another class."""
    label = np.full(shape, outside, np.uint8)
    height, width = shape
    label[height // 4:height * 3 // 4, width // 4:width * 3 // 4] = inside
    return label


def window(frame: np.ndarray, number: int) -> np.ndarray:
    """Crop a frame as seen by a camera that moves by 7 pixels right and 3 down."""
    return frame[3 * number:3 * number + 300, 7 * number:7 * number + 400].copy()


def test_a_still_scene_with_the_same_labels_is_steady(drive: Frames) -> None:
    found = figures_of([drive[50]] * 4, CLASSES + 1)
    assert found['pairs'] == 3
    assert found['consistency'] == found['pixel_consistency'] == 1
    assert (found['flicker'], found['changes'], found['cuts']) == (0, 0, 0)
    present = set(np.unique(drive[50][1])) - {255}
    assert {int(name) for name, iou in found['classes'].items() if iou == 1} == present
    assert set(found['classes'].values()) == {1, None}


def test_labels_that_move_with_the_image_are_steady(drive: Frames) -> None:
    image, label = drive[50]
    moving = [(window(image, number), window(label, number)) for number in range(8)]
    found = figures_of(moving)
    consistency, pixel_consistency = without_flow(moving)
    assert found['consistency'] > 0.93
    assert found['pixel_consistency'] > 0.99
    assert found['flicker'] < 0.002
    assert consistency < 0.75
    assert pixel_consistency < 0.95


def test_labels_that_stay_while_the_image_moves_are_not(drive: Frames) -> None:
    image, label = drive[50]
    found = figures_of([(window(image, number), window(label, 0)) for number in range(8)])
    assert found['consistency'] < 0.75
    assert found['pixel_consistency'] < 0.95


def test_noise_in_labels_is_measured(image: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    noisy = [(image, np.where(generator.random(image.shape[:2]) < 0.2, 1, 0).astype(np.uint8))
             for _ in range(6)]
    found = figures_of(noisy)
    assert found['pixel_consistency'] == pytest.approx(0.8 ** 2 + 0.2 ** 2, abs=0.01)
    # From A over B back to A: of class 0 and of class 1.
    assert found['flicker'] == pytest.approx(0.8 * 0.2 * 0.8 + 0.2 * 0.8 * 0.2, abs=0.01)
    assert found['classes']['1'] == pytest.approx(0.04 / 0.36, abs=0.01)


def test_a_region_that_alternates_flickers_by_its_share(image: np.ndarray) -> None:
    alternating = [(image, region(image.shape[:2], number % 2)) for number in range(6)]
    steps = steps_of(alternating)
    assert steps[0] is None
    assert steps[1].flicker is None  # two frames can't tell
    assert [step.flicker for step in steps[2:]] == pytest.approx([0.25] * 4, abs=0.002)
    assert [step.kept for step in steps[1:]] == pytest.approx([0.75] * 5, abs=0.002)


def test_a_region_that_changes_once_does_not_flicker(image: np.ndarray) -> None:
    shape = image.shape[:2]
    for numbers in ([0, 1, 1, 1], [0, 1, 2, 3], [0, 0, 1, 2]):
        found = figures_of([(image, region(shape, number)) for number in numbers])
        assert found['flicker'] == 0
        assert found['pixel_consistency'] < 0.95


def test_flicker_is_followed_along_the_flow(drive: Frames) -> None:
    image = drive[50][0]
    alternating = [region(image.shape[:2], number % 2) for number in range(6)]
    found = figures_of([(window(image, number), window(label, number))
                       for number, label in enumerate(alternating)])
    share = np.mean([window(alternating[1], number).mean() for number in range(2, 6)])
    assert found['flicker'] == pytest.approx(share, abs=0.02)


def test_a_scene_cut_is_no_instability(drive: Frames) -> None:
    here = drive[50]
    elsewhere = here[0][:, ::-1].copy(), here[1]
    steps = steps_of([here, here, here, elsewhere, elsewhere, elsewhere])
    assert [step.is_cut for step in steps[1:]] == [False, False, True, False, False]
    assert (steps[3].kept, steps[3].flicker) == (None, None)
    assert (steps[4].kept, steps[4].flicker) == (1, None)
    assert (steps[5].kept, steps[5].flicker) == (1, 0)
    found = tally_of(steps).as_json([str(number) for number in range(CLASSES)])
    assert (found['pairs'], found['cuts'], found['pixel_consistency']) == (4, 1, 1)


@pytest.mark.parametrize('other', [
    lambda drive, image: drive[0][0], lambda drive, image: np.roll(image, 160, 1),
    lambda drive, image: image[::-1].copy(), lambda drive, image: np.zeros_like(image)],
    ids=['50 frames ago', 'turned', 'upside down', 'black'])
def test_images_that_jump_are_cuts(drive: Frames, image: np.ndarray, other: Callable) -> None:
    label = np.zeros(image.shape[:2], np.uint8)
    jump = other(drive, image)
    assert [step.is_cut for step in steps_of([(image, label), (jump, label), (image, label)])[1:]
            ] == [True, True]


@pytest.mark.parametrize('gain', [0.6, 1.4])
def test_another_exposure_is_no_cut(image: np.ndarray, gain: float) -> None:
    label = np.zeros(image.shape[:2], np.uint8)
    step = steps_of([(image, label), (cv2.convertScaleAbs(image, alpha=gain), label)])[1]
    assert not step.is_cut
    assert compared(step) > 0.7 * 180 * 240


def test_the_drive_has_no_cut_at_any_usual_rate(drive: Frames) -> None:
    for every in (1, 2, 3, 5):
        assert figures_of(drive[::every])['cuts'] == 0


def test_a_sudden_change_is_reported(image: np.ndarray) -> None:
    shape = image.shape[:2]
    usual = [(image, region(shape, 0))] * (LEAST_STEPS + 1)
    small = np.zeros(shape, np.uint8)
    small[:7] = 1  # 2 % of the rows
    steps = steps_of([*usual, (image, small), *usual[:2], (image, region(shape, 1)), *usual[:2]])
    changes = [number for number, step in enumerate(steps) if step is not None and step.is_change]
    assert changes == [len(usual) + 3, len(usual) + 4]  # there and back


def test_no_change_is_sudden_before_the_usual_is_known(image: np.ndarray) -> None:
    shape = image.shape[:2]
    steps = steps_of([*[(image, region(shape, 0))] * LEAST_STEPS, (image, region(shape, 1))])
    assert steps[-1].kept == pytest.approx(0.75, abs=0.01)
    assert not steps[-1].is_change


def test_labels_that_always_change_do_not_change_suddenly(image: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    shares = generator.normal(0.2, 0.05, 60).clip(0, 1)
    labels = [(generator.random(image.shape[:2]) < share).astype(np.uint8) for share in shares]
    steps = steps_of([*((image, label) for label in labels), (image, 1 - labels[-1])])
    assert [step.is_change for step in steps[1:-1]] == [False] * 59
    assert steps[-1].is_change


def test_a_class_that_vanishes(image: np.ndarray) -> None:
    shape = image.shape[:2]
    steps = steps_of([(image, region(shape, 2)), (image, region(shape, 0))], 4)
    found = tally_of(steps, 4).as_json(['a', 'b', 'c', 'd'])
    assert found['classes'] == {'a': pytest.approx(0.75, abs=0.002), 'b': None, 'c': 0, 'd': None}
    assert found['consistency'] == pytest.approx(0.375, abs=0.001)


def test_unknown_is_neither_kept_nor_changed(image: np.ndarray) -> None:
    shape = image.shape[:2]
    for unknown in (255, CLASSES):
        appears, vanishes, back = steps_of([(image, region(shape, number)) for number in (
            unknown, 1, unknown, 1)])[1:]
        assert [step.kept for step in (appears, vanishes, back)] == [1] * 3
        assert compared(appears) == pytest.approx(0.75 * 180 * 240, rel=0.01)
        assert back.flicker == 0
        assert back.followed == compared(appears)
        assert back.confusion.union().tolist() == [compared(back)] + [0] * (CLASSES - 1)


def test_unknown_alone_gives_no_figures(image: np.ndarray) -> None:
    unknown = np.full(image.shape[:2], 255, np.uint8)
    step = steps_of([(image, unknown)] * 2)[1]
    assert (step.kept, step.flicker, step.is_cut, step.is_change) == (None, None, False, False)
    found = figures_of([(image, unknown)] * 2)
    assert (found['pairs'], found['consistency'], found['pixel_consistency']) == (1, None, None)


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (32, 1000), (1000, 33), (179, 333),
                                               (181, 181), (361, 723), (720, 90)])
def test_any_size_is_compared(image: np.ndarray, height: int, width: int) -> None:
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    steps = steps_of([(resized, region((height, width), number)) for number in (3, 3, 4, 3)])
    assert steps[1].kept == 1
    assert compared(steps[1]) > 0
    assert 0 < steps[2].kept < 1
    assert 0 < steps[3].flicker < 1


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (31, 300), (300, 31), (1000, 5), (31, 31)])
def test_images_too_small_for_the_flow_are_left_out(height: int, width: int) -> None:
    frame = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    assert steps_of([frame, frame]) == [None, None]


def test_a_frame_of_another_size_starts_over(image: np.ndarray) -> None:
    label = np.zeros(image.shape[:2], np.uint8)
    large, small = (image, label), (image[::2, ::2].copy(), label[::2, ::2].copy())
    steps = steps_of([large, large, small, small, small, large])
    assert [step is None for step in steps] == [True, False, True, False, False, True]
    assert [steps[1].flicker, steps[3].flicker, steps[4].flicker] == [None, None, 0]


def test_a_label_of_another_size_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r'the image is \(360, 480\), its label \(180, 240\)'):
        Stability(3)(image, np.zeros((180, 240), np.uint8))


def test_buffers_may_be_reused(drive: Frames) -> None:
    stability = Stability(CLASSES)
    image, label = (np.empty_like(array) for array in drive[0])
    steps = []
    for number in (50, 51, 52):
        image[...], label[...] = drive[number]
        steps.append(stability(image, label))
    wanted = steps_of(drive[50:53])
    assert [step.kept for step in steps[1:]] == [step.kept for step in wanted[1:]]
    assert steps[2].flicker == wanted[2].flicker


@pytest.fixture
def many_threads() -> Iterator[None]:
    """Let OpenCV use four threads, and then as many as before."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(4)
    yield
    cv2.setNumThreads(threads)


def test_threads_change_nothing(drive: Frames, many_threads: None) -> None:
    by_many = figures_of(drive[:12])
    cv2.setNumThreads(1)
    assert figures_of(drive[:12]) == by_many


def test_another_camera_changes_nothing(drive: Frames) -> None:
    alone = steps_of(drive[:5])
    stability, tiny = Stability(CLASSES), Stability(CLASSES)
    for (image, label), wanted in zip(drive[:5], alone):
        step = stability(image, label)
        tiny(image[:34, :41], label[:34, :41])
        assert (step is None) == (wanted is None)
        assert step is None or step.kept == wanted.kept


def step(*counts: list[int], **values: int) -> Step:
    """Return a step of a confusion of three classes."""
    confusion = ConfusionMatrix(3)
    for row, of_class in enumerate(counts):
        confusion.counts[row, :3] = of_class
    return Step(confusion, **values)


def test_the_figures_of_a_tally() -> None:
    tally = StabilityTally(3)
    assert tally.as_json(['a', 'b', 'c']) is None
    tally.add(step([6, 1, 0], [1, 2, 0], is_change=True))
    tally.add(step([6, 1, 0], [3, 0, 0], followed=8, flickers=2))
    tally.add(step(is_cut=True))
    assert tally.as_json(['a', 'b', 'c']) == {
        'pairs': 2, 'consistency': pytest.approx(11 / 24), 'pixel_consistency': 0.7,
        'flicker': 0.25, 'classes': {'a': 12 / 18, 'b': 0.25, 'c': None}, 'changes': 1, 'cuts': 1}


def test_the_models_labels_are_steadier_along_the_flow(drive: Frames) -> None:
    segmenter = Segmenter(default_model())
    labelled = [(image, segmenter(image).label) for image, _ in drive[60:76]]
    found = figures_of(labelled)
    consistency, pixel_consistency = without_flow(labelled)
    assert (found['pairs'], found['cuts']) == (15, 0)
    assert found['consistency'] > consistency + 0.05
    assert found['pixel_consistency'] > pixel_consistency + 0.02
    assert found['flicker'] < 0.01
