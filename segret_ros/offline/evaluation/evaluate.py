# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evaluate one bag frame by frame: labels, their scores, and oddities of the recording."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
import os

import numpy as np
from segret_ros.inference import Model, Segmentation, Segmenter
from segret_ros.inference.engines.device import gpu_of
from segret_ros.inference.engines.devices import devices_of_auto
from segret_ros.inference.segmenter import Stopwatch
from segret_ros.inference.serving.validated import open_validated_engine
from segret_ros.inference.validity import CameraCheck, Limits
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.bags import Bag, Damage, open_bag, printable, Recorded
from segret_ros.offline.bags.cameras import remarks
from segret_ros.offline.evaluation.frames import (
    decode,
    Frame,
    in_order,
    Job,
    Options,
    read_messages,
)
from segret_ros.offline.evaluation.matching import AMBIGUOUS, BY_TIME, RESTART_NS
from segret_ros.offline.evaluation.output import BY_CLASS
from segret_ros.offline.evaluation.parts import Part, Parts
from segret_ros.offline.evaluation.result import new_header, ResultTopics
from segret_ros.offline.evaluation.stability import Stability, Step
from segret_ros.offline.evaluation.tally import histogram, REJECTED, short, UNSCORED
from segret_ros.offline.evaluation.truth import Truth, UNMATCHED

MOST_STREAMS = 16
GPU_STREAMS = 2  # one image is decoded while another is labelled; all share the GPU's memory
PART_FRAMES = 250  # an interrupted run repeats no more than so many
UNSET, REPEATED, DISORDERED, RESIZED = (
    'stamp zero', 'stamp repeated', 'stamp out of order', 'size changed')
FROZEN = 'frozen'  # of `CameraCheck`: its labels would count as perfectly steady


class CameraMemory:
    """
    What is remembered of a camera's earlier frames.

    :param arrays: of the memory to resume from.
    """

    def __init__(self, num_classes: int, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._check = CameraCheck()
        self.stability = Stability(num_classes)
        self._stamp_ns: int | None = None
        self._size: tuple[int, ...] | None = None
        if arrays is None:
            return
        self._check.rows, self._check.repeats = arrays.get('rows'), int(arrays['repeats'])
        if 'stamp_ns' in arrays:
            self._stamp_ns = int(arrays['stamp_ns'])
        if 'image size' in arrays:
            self._size = tuple(arrays['image size'].tolist())
        self.stability.restore(arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return its content as arrays by name."""
        values = {'rows': self._check.rows, 'repeats': self._check.repeats,
                  'stamp_ns': self._stamp_ns, 'image size': self._size}
        return self.stability.arrays() | {
            name: np.array(value) for name, value in values.items() if value is not None}

    def problem(self, stamp: int, image_rgb: np.ndarray) -> tuple[str, str]:
        """Return kind and text of what is wrong with the next frame, or empty texts."""
        oddity = self._oddity(stamp, image_rgb.shape[:2])
        fault = self._check(image_rgb, Limits())
        return (fault.kind, fault.text) if fault is not None else oddity

    def _oddity(self, stamp: int, size: tuple[int, ...]) -> tuple[str, str]:
        last, last_size, self._size = self._stamp_ns, self._size, size
        if not stamp:
            return UNSET, 'the stamp is zero'
        is_restart = last is not None and stamp < last - RESTART_NS
        self._stamp_ns = stamp if last is None or is_restart else max(stamp, last)
        if stamp == last:
            return REPEATED, 'an earlier frame has the same stamp'
        if last is not None and stamp < last:
            return DISORDERED, f'the stamp is {(last - stamp) / 1e9:.3f} s before an earlier one'
        if last_size is not None and size != last_size:
            return RESIZED, '{} x {} after {} x {} pixels'.format(*size, *last_size)
        return '', ''


class Evaluator:
    """
    A model, ready to evaluate bags.

    :param streams: images to label at once, one per core; None: see `streams_on`.
    :raises ModelError: for a model file that can't be used.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, options: Options, streams: int | None = None) -> None:
        self.streams = streams or streams_on(options.device)
        model = Model.load(options.model)
        self.segmenter = Segmenter(model, engine=open_validated_engine(model, options.device,
                                                                       self.streams))
        self.segmenter.warm_up()

    def engine_info(self) -> dict[str, str]:
        """Return what metrics.json says about the engine."""
        engine = self.segmenter.engine
        return {'hash': self.segmenter.model.short_hash, 'device': engine.device,
                'engine': engine.name}

    def try_bag(self, job: Job, progress: Callable[[Frame], None] = lambda frame: None) -> str:
        """
        Evaluate a bag, or what is left of it, into its parts.

        :return: why the bag, its topics or its labels can't be used, or an empty text.
        """
        parts = Parts(job.folder, job.classes)
        try:
            if parts.finished() is None:
                self._evaluate(job, parts, progress)
        except (ValueError, OSError) as error:
            return printable(str(error))
        return ''

    def _evaluate(self, job: Job, parts: Parts, progress: Callable[[Frame], None]) -> None:
        cameras, truth = job.cameras, job.truth
        with open_bag(job.bag) as bag:
            drive = _Drive(self, job, parts)
            drive.evaluate(bag, progress)
            parts.finish({
                'label_topics': {topic: topics.label for topic, topics in drive.topics.items()},
                'damage': [vars(damage) for damage in all_damage(bag, truth)],
                'remarks': remarks(bag, cameras),
                **({} if truth is None else {
                    'labels': truth.counts(), 'odd_stamps': truth.oddities(),
                    'classes_named': truth.named})})


def all_damage(bag: Bag, truth: Truth | None) -> list[Damage]:
    """Return what could not be read of a bag and of its true labels."""
    found = {(damage.place, damage.problem): damage for damage in bag.damage}
    for damage in truth.damage if truth else ():
        found.setdefault((damage.place, damage.problem), damage)
    return list(found.values())


def streams_on(device: str) -> int:
    """
    Return how many images to label at once: one per core, or a few on a GPU.

    :param device: one of `device.DEVICES`; for `auto` its first device counts.
    """
    cores = len(os.sched_getaffinity(0))
    first = devices_of_auto()[0] if device == 'auto' else device
    return min(cores, MOST_STREAMS if gpu_of(first) is None else GPU_STREAMS)


class _Drive:
    """The evaluation of one bag."""

    def __init__(self, evaluator: Evaluator, job: Job, parts: Parts) -> None:
        self._job, self._parts = job, parts
        self._segmenter, self._streams = evaluator.segmenter, evaluator.streams
        labels, known = evaluator.segmenter.info.labels, parts.memory()
        self.topics = {camera.topic: ResultTopics(camera.name, labels) for camera in job.cameras}
        self._memory = {topic: CameraMemory(len(labels), known.get(topic))
                        for topic in self.topics}

    def evaluate(self, bag: Bag, progress: Callable[[Frame], None]) -> None:
        """Evaluate the frames that no finished part holds."""
        recorded = read_messages(bag, self._job.cameras, self._job.options.span,
                                 self._parts.frames())
        with closing(in_order(self._label, recorded, self._streams)) as labelled:
            ended = False
            while not ended:
                with self._parts.new() as part:
                    ended = self._fill(part, labelled, progress)
                    part.save({topic: memory.arrays()
                               for topic, memory in self._memory.items()})

    def _fill(self, part: Part, labelled: Iterator[tuple[Frame, Segmentation | None]],
              progress: Callable[[Frame], None]) -> bool:
        """Fill a part; return whether the drive has ended."""
        for frame, result in labelled:
            self._add(part, frame, result)
            progress(frame)
            if len(part.rows) == PART_FRAMES:
                return False
        return True

    def _label(self, recorded: Recorded) -> tuple[Frame, Segmentation | None]:
        frame = decode(recorded)
        if frame.image_rgb is None:
            return frame, None
        return frame, self._segmenter(frame.image_rgb, self._job.options.min_confidence)

    def _add(self, part: Part, frame: Frame, result: Segmentation | None) -> None:
        reason = short(frame.reason)
        if result is None:
            kind, text, label = REJECTED, frame.problem, None
            values: dict[str, object] = {}
            part.faults.add(frame.camera, REJECTED, reason, short(f'{_place(frame)}: {text}'))
        else:
            kind, text, values = self._judge(part, frame, result)
            label = result.label
        part.tally(frame.camera).add(kind)
        values |= {'decode_ms': frame.decode_ms, 'reason': reason}
        place = {'bag': self._job.name, 'camera': frame.camera, 'stamp_ns': frame.stamp_ns,
                 'time_ns': frame.time_ns, 'problem': kind}
        header = new_header(frame.stamp_ns, frame.frame_id)
        status = {name: value for name, value in values.items()
                  if value != '' and not name.startswith(BY_CLASS)}
        part.add(place | values, self.topics[frame.camera].messages(
            header, frame.time_ns, label, text, status))

    def _judge(self, part: Part, frame: Frame,
               result: Segmentation) -> tuple[str, str, dict[str, object]]:
        """Count a frame; return kind and text of its problem, and its values by column."""
        image, confidence = frame.image_rgb, result.confidence
        assert image is not None and confidence is not None  # it is labelled
        watch, memory = Stopwatch(), self._memory[frame.camera]
        kind, text = memory.problem(frame.stamp_ns, image)
        watch.lap('check_ms')
        step = None if kind == FROZEN else memory.stability(image, result.label)
        pixels = histogram(result.label), histogram(confidence)
        part.tally(frame.camera).add_labels(*pixels, step)
        times = watch.laps_ms | {f'{stage}_ms': time for stage, time in result.stages_ms.items()}
        return kind, text, {
            **times, **label_values(*pixels, step, self._segmenter.info.labels.names),
            **self._score(part, frame, result.label, confidence)}

    def _score(self, part: Part, frame: Frame, label: np.ndarray,
               confidence: np.ndarray) -> dict[str, object]:
        """Return a frame's scores by column; empty without a usable true label."""
        truth = self._job.truth
        if truth is None:
            return {}
        tally = part.tally(frame.camera)
        found = truth.cameras[frame.camera].find(frame.stamp_ns, frame.time_ns, label.shape)
        how = short(found.how)
        if found.label is None:
            if how != UNMATCHED:
                tally.counts['ambiguous' if how == AMBIGUOUS else 'unusable'] += 1
                part.faults.add(frame.camera, UNSCORED, how, short(found.fault or _place(frame)))
            return {'truth': how}
        tally.counts['matched'] += 1
        tally.counts['by_time'] += how == BY_TIME
        before = tally.scores.confusion.counts.copy()
        tally.scores.add(found.label, label, confidence)
        confusion = ConfusionMatrix(tally.scores.confusion.num_classes)
        confusion.counts = tally.scores.confusion.counts - before
        return {'truth': how, **score_values(confusion, self._segmenter.info.labels.names)}


def _place(frame: Frame) -> str:
    return f'{frame.camera} at {frame.time_ns} ns'


def label_values(labels: np.ndarray, confidence: np.ndarray, step: Step | None,
                 names: tuple[str, ...]) -> dict[str, object]:
    """Return a frame's values that need no true label, by column."""
    pixels = int(labels.sum())
    values: dict[str, object] = {
        'confidence': int(confidence @ np.arange(256)) / (255 * pixels),
        'unknown': int(labels[len(names):].sum()) / pixels,
        **{f'area_{name}': int(area) / pixels for name, area in zip(names, labels)}}
    if step is not None and step.kept is not None:
        values |= {'stability': step.kept, 'change': int(step.is_change)}
        if step.flicker is not None:
            values['flicker'] = step.flicker
    return values


def score_values(confusion: ConfusionMatrix, names: tuple[str, ...]) -> dict[str, object]:
    """Return a frame's scores against its true label, by column."""
    hits, unions = np.diagonal(confusion.counts), confusion.union()
    return {'miou': confusion.mean_iou(), 'pixel_accuracy': confusion.pixel_accuracy(),
            **{f'hit_{name}': int(hit) for name, hit in zip(names, hits)},
            **{f'union_{name}': int(union) for name, union in zip(names, unions)}}
