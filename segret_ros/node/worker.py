# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The thread that labels images: decode, segment, encode and publish."""

from functools import partial
import json
import threading
import time
from typing import NamedTuple

import numpy as np
from rclpy.node import Node
from segret_ros.images.error import ImageError
from segret_ros.inference import Segmentation, Segmenter
from segret_ros.inference.segmenter import Stopwatch
from segret_ros.inference.serving.supervisor import EngineError
from segret_ros.labels.label_set import UNKNOWN
from segret_ros.node.camera import Camera
from segret_ros.node.diagnostics import image_status
from segret_ros.node.newest_frames import NewestFrames
from segret_ros.node.parameters import Parameters
from segret_ros.node.stamps import staleness, stamp_ns
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

WARNING_PERIOD_S = 5.0


class Frame(NamedTuple):
    """
    An image on its way through the node.

    :param received_s: when it was received, by `time.perf_counter`.
    """

    camera: Camera
    message: Image | CompressedImage
    received_s: float


class Worker:
    """
    Labels the newest frame of each camera, from its construction until `stop`.

    :param parameters: those in force; may be replaced at any time.
    """

    def __init__(self, node: Node, segmenter: Segmenter, parameters: Parameters) -> None:
        self.parameters = parameters
        self._frames = NewestFrames[Frame](parameters.turns())
        self._node = node
        self._segmenter = segmenter
        self._class_names = json.dumps(list(segmenter.info.labels.names), ensure_ascii=False)
        self._warm = threading.Event()
        self._thread = threading.Thread(target=self._work, name='segret_worker', daemon=True)
        self._thread.start()

    def wait_until_warm(self) -> None:
        """Wait until the engine has run in the thread: a GPU's has a state for each thread."""
        self._warm.wait()

    def on_image(self, camera: Camera, message: Image | CompressedImage) -> None:
        """Let a camera's new message wait for its turn."""
        watch = camera.watch
        watch.check_stamp(message.header)
        if watch.history.note_received(self.parameters.max_rate):
            frame = Frame(camera, message, time.perf_counter())
            watch.history.counts['dropped'] += self._frames.put(camera.name, frame)

    def stop(self) -> None:
        """Finish the current frame and end the thread; waiting frames are discarded."""
        self._frames.close()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._segmenter.warm_up()
        except EngineError as error:  # as with any frame: the engine recovers
            self._node.get_logger().warning(f'the engine failed to warm up: {error}')
        finally:
            self._warm.set()
        while (frame := self._frames.take()) is not None:
            try:
                self._process_or_give_up(frame)
            except Exception as error:  # whatever fails costs the frame, never the thread
                self._node.get_logger().error(f'{type(error).__name__}: {error}',
                                              throttle_duration_sec=WARNING_PERIOD_S)

    def _process_or_give_up(self, frame: Frame) -> None:
        try:
            self._process(frame)
        except ImageError as error:
            frame.camera.watch.history.note_rejected(error.kind)
            self._give_up(frame, 'rejected', str(error))
        except EngineError as error:
            self._give_up(frame, 'failed', str(error))
        except Exception as error:
            self._give_up(frame, 'failed', f'{type(error).__name__}: {error}')

    def _process(self, frame: Frame) -> None:
        started_s, watch, parameters = time.perf_counter(), Stopwatch(), self.parameters
        camera, header = frame.camera, frame.message.header
        if problem := self._staleness(header, parameters.max_age):
            self._give_up(frame, 'stale', problem)
            return
        image_rgb = camera.decode(frame.message, parameters.max_pixels)
        watch.lap('decode')
        fault = camera.watch.fault(image_rgb, parameters.limits())
        watch.lap('check')
        if fault is not None:
            camera.watch.history.note_problem('invalid', fault.text)
            if parameters.invalid_images == 'drop':
                self._publish_status(camera, header, fault.text, {})
                return
        trusted = fault is None or parameters.invalid_images == 'publish'
        result = self._label(camera, header, image_rgb, parameters.min_confidence, trusted)
        watch.lap()
        camera.publish_rest(header, image_rgb, result, parameters.overlay_alpha)
        watch.lap('publish')
        published_s = time.perf_counter()
        processing_ms = (published_s - started_s) * 1e3
        camera.watch.history.note_processed(processing_ms, (published_s - frame.received_s) * 1e3)
        if problem := self._staleness(header, parameters.max_age):
            camera.watch.history.note_problem('late', problem)
        self._publish_status(camera, header, fault.text if fault is not None else problem, {
            'waiting_ms': (started_s - frame.received_s) * 1e3,
            **{f'{stage}_ms': value
               for stage, value in (watch.laps_ms | result.stages_ms).items()},
            'processing_time_ms': processing_ms})

    def _label(self, camera: Camera, header: Header, image_rgb: np.ndarray,
               min_confidence: float, trusted: bool) -> Segmentation:
        """Label an image and publish the label as soon as it is known, before its confidence."""
        publish = partial(camera.publish_label, header)
        if trusted:
            return self._segmenter(image_rgb, min_confidence, publish)
        size = image_rgb.shape[:2]
        unknown = np.full(size, UNKNOWN, np.uint8)
        publish(unknown)
        return Segmentation(unknown, np.zeros(size, np.uint8), {})

    def _give_up(self, frame: Frame, count: str, problem: str) -> None:
        """Report why an image gets no labels: in counts, its status and, throttled, the log."""
        frame.camera.watch.history.note_problem(count, problem)
        self._publish_status(frame.camera, frame.message.header, problem, {})
        frame.camera.watch.log_lost(count)

    def _publish_status(self, camera: Camera, header: Header, problem: str,
                        times: dict[str, object]) -> None:
        model = self._segmenter.model
        camera.publish_status(header, image_status(
            camera.topic('segmentation'), model.name, problem, {
                'age_ms': (self._now_ns() - stamp_ns(header)) / 1e6, **times, 'model': model.name,
                'model_hash': model.short_hash, 'class_names': self._class_names,
                'device': self._segmenter.device}))

    def _staleness(self, header: Header, max_age_s: float) -> str:
        now_ns = self._now_ns()
        return staleness((now_ns - stamp_ns(header)) / 1e9, now_ns / 1e9, max_age_s)

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
