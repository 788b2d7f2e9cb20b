# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The thread in which images become labels."""

from collections.abc import Callable
from functools import partial
import json
import threading
import time

import numpy as np
from rclpy.lifecycle import LifecycleNode
from segret_ros.images.codec import ImageError
from segret_ros.inference import Segmentation, Segmenter
from segret_ros.inference.segmenter import Stopwatch
from segret_ros.inference.serving.supervisor import EngineError
from segret_ros.labels.label_set import UNKNOWN
from segret_ros.node.camera import Camera
from segret_ros.node.freshness import staleness
from segret_ros.node.messages import stamp_ns
from segret_ros.node.newest_frames import NewestFrames
from segret_ros.node.parameters import Parameters

WARNING_PERIOD_S = 5.0


class Worker:
    """
    Labels the newest frame of each camera, from its construction until `stop`.

    :param cameras: by name.
    :param segmenter: on a `Supervisor`.
    :param parameters: gives those in force, asked for with each image.
    """

    def __init__(self, node: LifecycleNode, cameras: dict[str, Camera],
                 segmenter: Segmenter, parameters: Callable[[], Parameters]) -> None:
        self.frames = NewestFrames(parameters().turns())
        self._node = node
        self._cameras = cameras
        self._segmenter = segmenter
        self._parameters = parameters
        self._class_names = json.dumps(list(segmenter.info.labels.names), ensure_ascii=False)
        self._warm = threading.Event()
        self._thread = threading.Thread(target=self._work, name='segret_worker', daemon=True)
        self._thread.start()

    def wait_until_warm(self) -> None:
        """Return when the engine has run in the thread: a GPU's has a state for each thread."""
        self._warm.wait()

    def put(self, camera: Camera, message) -> None:
        """Let a camera's message wait for its turn."""
        camera.watch.check_stamp(message.header)
        if camera.watch.history.note_received(self._parameters().max_rate):
            self.frames.put(camera.name, (message, time.perf_counter()))

    def stop(self) -> None:
        """End the frame in work and the thread; what waits is forgotten."""
        self.frames.close()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._segmenter.warm_up()
        except EngineError as error:  # as of any frame: the engine gets over it
            self._node.get_logger().warning(f'the engine failed to warm up: {error}')
        finally:
            self._warm.set()
        while (taken := self.frames.take()) is not None:
            name, (message, received) = taken
            try:
                self._process_or_tell(self._cameras[name], message, received)
            except Exception as error:  # whatever fails costs the frame, never the thread
                self._node.get_logger().error(f'{type(error).__name__}: {error}',
                                              throttle_duration_sec=WARNING_PERIOD_S)

    def _process_or_tell(self, camera: Camera, message, received: float) -> None:
        try:
            self._process(camera, message, received)
        except ImageError as error:
            camera.watch.history.note_rejected(error.kind)
            self._give_up(camera, message.header, 'rejected', str(error))
        except EngineError as error:
            self._give_up(camera, message.header, 'failed', str(error))
        except Exception as error:
            self._give_up(camera, message.header, 'failed', f'{type(error).__name__}: {error}')

    def _process(self, camera: Camera, message, received: float) -> None:
        started, watch, header = time.perf_counter(), Stopwatch(), message.header
        parameters = self._parameters()
        if problem := self._staleness(header, parameters.max_age):
            self._give_up(camera, header, 'stale', problem)
            return
        image_rgb = camera.decode(message, parameters.max_pixels)
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
        published = time.perf_counter()
        camera.watch.history.note_processed((published - started) * 1e3,
                                            (published - received) * 1e3)
        if problem := self._staleness(header, parameters.max_age):
            camera.watch.history.note_problem('late', problem)
        self._publish_status(camera, header, fault.text if fault is not None else problem, {
            'waiting_ms': (started - received) * 1e3,
            **{f'{stage}_ms': value
               for stage, value in (watch.laps_ms | result.stages_ms).items()},
            'processing_time_ms': (published - started) * 1e3})

    def _label(self, camera: Camera, header, image_rgb: np.ndarray, min_confidence: float,
               trusted: bool) -> Segmentation:
        """Publish an image's label, before its confidence is known, and give all about it."""
        publish = partial(camera.publish_label, header)
        if trusted:
            return self._segmenter(image_rgb, min_confidence, publish)
        size = image_rgb.shape[:2]
        unknown = np.full(size, UNKNOWN, np.uint8)
        publish(unknown)
        return Segmentation(unknown, np.zeros(size, np.uint8), {})

    def _give_up(self, camera: Camera, header, count: str, problem: str) -> None:
        """Tell why an image has no labels: in counts and status, now and then in the log."""
        camera.watch.history.note_problem(count, problem)
        self._publish_status(camera, header, problem, {})
        camera.watch.log_lost(count)

    def _publish_status(self, camera: Camera, header, problem: str,
                        times: dict[str, object]) -> None:
        camera.publish_status(header, self._segmenter.model.name, problem, {
            'age_ms': self._age_ms(header), **times, 'model': self._segmenter.model.name,
            'model_hash': self._segmenter.model.hash, 'class_names': self._class_names,
            'device': self._segmenter.engine.device})

    def _staleness(self, header, max_age_s: float) -> str:
        now_ns = self._node.get_clock().now().nanoseconds
        return staleness((now_ns - stamp_ns(header)) / 1e9, now_ns / 1e9, max_age_s)

    def _age_ms(self, header) -> float:
        return (self._node.get_clock().now().nanoseconds - stamp_ns(header)) / 1e6
